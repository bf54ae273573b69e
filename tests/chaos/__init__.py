"""Real processes, real faults, and a checker that believes none of them. ``python -m tests.chaos --help``."""

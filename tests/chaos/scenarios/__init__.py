"""T2 to T11: one fault at a time, with a figure to reach. ``python -m tests.chaos --scenario t2``.

A scenario is a module with ``run(stage) -> list[Figure]``, and ``SETTINGS`` where it needs a rig of its own kind.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = tuple(f"t{number}" for number in range(2, 12))
POSTGRES_ONLY = frozenset({"t6"})


def scenario(name: str) -> ModuleType:
    """The module of a scenario."""
    return import_module(f"tests.chaos.scenarios.{name}")

"""The scheduling core: pure functions from a snapshot to decisions and reasons. Knows no Django, no clock, no I/O."""

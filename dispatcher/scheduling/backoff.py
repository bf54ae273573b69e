"""How long to wait before a task is tried again: exponential with full jitter."""

from __future__ import annotations

from math import inf

#: Beyond any sensible cap; keeps the power a float.
_MAX_DOUBLINGS = 64


def delay(failures: int, base: float, cap: float, rand: float) -> float:
    """Seconds before the next attempt, after ``failures`` failures (at least 1).

    ``rand`` in [0, 1) is drawn by the caller. The result lies in [0, min(cap, base * 2 ** (failures - 1))): full
    jitter, so that tasks which failed together do not come back together. ``ValueError`` for arguments out of range.
    """
    if failures < 1:
        raise ValueError(f"failures must be at least 1, not {failures}")
    if not (0.0 <= base < inf and 0.0 <= cap < inf):
        raise ValueError(f"base and cap must be finite and not negative, not {base} and {cap}")
    if not 0.0 <= rand < 1.0:
        raise ValueError(f"rand must be in [0, 1), not {rand}")
    return rand * min(cap, base * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))

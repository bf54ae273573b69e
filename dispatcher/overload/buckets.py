"""How many requests one caller may make: token buckets in memory, with the time as an argument."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

#: Callers remembered; who comes back after so many others starts with a full bucket.
MAX_CALLERS = 10_000


class Buckets:
    """One bucket per caller: ``rate`` requests a second, ``burst`` at once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable, *, rate: float, burst: float, now: float) -> float:
        """Count a request; 0.0 if it may pass, else the seconds until one may. ``now`` is monotonic."""
        with self._lock:
            level, at = self._levels.pop(caller, (burst, now))
            level = min(burst, level + max(0.0, now - at) * rate)
            passes = level >= 1.0
            self._levels[caller] = (level - 1.0 if passes else level, now)
            if len(self._levels) > MAX_CALLERS:
                self._levels.popitem(last=False)
        return 0.0 if passes else (1.0 - level) / rate

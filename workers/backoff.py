"""How long to wait before the next try at something that failed."""

from __future__ import annotations

import random
from typing import Final

_BASE_SECONDS: Final = 0.5
_CAP_SECONDS: Final = 30.0


class Backoff:
    """Exponential with full jitter: a random time up to 0.5, 1, 2, 4 … 30 seconds, so that many nodes spread out."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = random.Random() if rng is None else rng
        self.failures = 0

    def next_delay(self) -> float:
        """Count a failure; seconds to wait now."""
        limit = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(self.failures, 10))
        self.failures += 1
        return self._rng.uniform(0.05, limit)

    def reset(self) -> None:
        """It worked: start small again."""
        self.failures = 0


def jittered(seconds: float, rng: random.Random | None = None) -> float:
    """``seconds`` ±20 %, so that the heartbeats of many nodes do not fall together."""
    return seconds * (rng or random.Random()).uniform(0.8, 1.2)

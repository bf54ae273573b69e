"""When a drain that an operator asked for has to be over: what has not ended by then is handed back."""

from __future__ import annotations

import logging
import math

from workers.executor.patrol import Patrol
from workers.executor.slots import SlotPool

logger = logging.getLogger(__name__)


class DrainDeadline:
    """Told by the heartbeat, looked at by the reporter's housekeeping. Times are monotonic."""

    def __init__(self, pool: SlotPool, patrol: Patrol) -> None:
        self._pool = pool
        self._patrol = patrol
        self._at = math.inf

    def set(self, seconds: float | None, now: float) -> None:
        """What the dispatcher's last answer says: so long from ``now``, or as long as it takes."""
        self._at = math.inf if seconds is None else now + max(0.0, seconds)

    def lift(self) -> None:
        """The node works again."""
        self._at = math.inf

    def tend(self, now: float) -> None:
        """Hand back what is left once the time has come. Repeating it asks nothing twice."""
        if now < self._at:
            return
        running = self._pool.running()
        if running or self._pool.num_waiting:
            logger.warning("the time for the drain is over: %d running tasks are handed back", len(running))
        self._pool.release_waiting(now=now)
        for job in running:
            self._pool.stop(job, "released", now=now)
        if running:
            self._patrol.wake()

"""The thread that looks after running jobs: timeouts, cancellations that are not obeyed, the word "started"."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from workers.executor.slots import SlotPool

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.025


class Patrol:
    """Asleep while no job outlives the answer to its push, so that short tasks cost it nothing."""

    def __init__(self, pool: SlotPool) -> None:
        self._pool = pool
        self._bell = threading.Event()
        self._stop = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="patrol", daemon=True).start()

    def wake(self) -> None:
        """There are jobs to look after."""
        self._bell.set()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._bell.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._bell.wait()
            self._bell.clear()
            while not self._stop.is_set() and self._round():
                self._stop.wait(_TICK_SECONDS)

    def _round(self) -> bool:
        try:
            return self._pool.patrol(time.monotonic())
        except Exception:
            # Without a patrol nothing would time out any more: whatever it was, go on.
            logger.exception("the patrol failed; going on")
            return True

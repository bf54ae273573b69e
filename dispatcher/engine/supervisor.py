"""One engine: builds the loops, wakes them on commits, watches over them, stops them in order."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType

from django.db import connections

from dispatcher.engine.assigner import Assigner
from dispatcher.engine.bulk_worker import BulkWorker
from dispatcher.engine.housekeeping import Pruner, Rollup, Stager
from dispatcher.engine.loop import Loop
from dispatcher.engine.poller import Poller
from dispatcher.engine.presence import Presence
from dispatcher.engine.pusher import Pusher
from dispatcher.engine.sweeper import Sweeper
from dispatcher.wake import Waker

logger = logging.getLogger(__name__)

#: Total time for an orderly stop, in seconds.
STOP_SECONDS = 7.0
#: A loop without a pass for this many intervals, and at least this many seconds, is stuck.
STUCK_INTERVALS = 10
STUCK_SECONDS = 60.0
WAKE_TIMEOUT_SECONDS = 1.0


class Engine:
    """All loops of one process. ``run`` returns the exit status."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        poller = Poller()
        pusher = Pusher(on_unknown=poller.wake)
        # In the order in which they are stopped: first what makes work for the others.
        self._loops: list[Loop] = [
            Assigner(pusher.push, pusher.cancel),
            BulkWorker(),
            Stager(),
            pusher,
            poller,
            Sweeper(is_answering=poller.is_answering),
            Rollup(),
            Pruner(),
        ]
        self._loops.append(Presence(list(self._loops)))

    def run(self) -> int:
        """Run until SIGTERM or SIGINT (0), or until a loop dies or is stuck (1: whoever started us starts us again)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for loop in self._loops:
            loop.start()
        waker = threading.Thread(target=self._wake_on_commits, name="waker", daemon=True)
        waker.start()
        logger.info("engine started: %s", ", ".join(loop.name for loop in self._loops))
        status = 0
        while not self._stop.wait(1.0):
            if problem := self._find_problem():
                logger.critical("engine stops: %s", problem)
                status = 1
                break
        self.stop()
        return status

    def stop(self) -> None:
        """Stop all loops, in order, within ``STOP_SECONDS``."""
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for loop in self._loops:
            if not loop.stop(timeout=max(0.0, deadline - time.monotonic())):
                logger.warning("%s did not stop in time; what it held is found again by the next engine", loop.name)
        connections.close_all()
        logger.info("engine stopped")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _wake_on_commits(self) -> None:
        waker = Waker(self._stop)
        listeners = [loop for loop in self._loops if loop.wakes_on_commit]
        while not self._stop.is_set():
            try:
                if waker.wait(WAKE_TIMEOUT_SECONDS):
                    for loop in listeners:
                        loop.wake()
            except Exception:
                # Only latency suffers: every loop also polls.
                logger.exception("wake-ups interrupted")
                connections.close_all()
                self._stop.wait(WAKE_TIMEOUT_SECONDS)
        waker.close()
        connections.close_all()

    def _find_problem(self) -> str:
        moment = time.monotonic()
        for loop in self._loops:
            if not loop.is_alive:
                return f"the thread of the {loop.name} has died"
            silence = moment - loop.health.last_pass
            if silence > max(STUCK_SECONDS, STUCK_INTERVALS * loop.interval):
                return f"the {loop.name} has not come round for {silence:.0f} s"
        return ""

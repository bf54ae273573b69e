"""The one loop that all of the engine's loops are: run a pass, wait, run again; stop at once when told to."""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import close_old_connections, connection, connections
from django.utils import timezone

from dispatcher import faults

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
#: The longest pause while the database is away: work goes on within seconds of its return.
LONGEST_OUTAGE_PAUSE_SECONDS = 2.0


@dataclass
class LoopHealth:
    """What a loop tells of itself. Written by its thread, read by others; single fields only, so no lock."""

    passes: int = 0
    errors: int = 0
    #: Errors since the last pass that went well.
    failing: int = 0
    last_error: str = ""
    #: Whether the last pass failed because the database is away.
    is_outage: bool = False
    #: Monotonic time of the end of the last pass, good or bad.
    last_pass: float = 0.0
    #: The same of the last pass that went well; the start counts as one.
    last_good: float = 0.0


class Loop(ABC):
    """A background loop with one thread.

    Subclasses implement ``run_once``. The base owns the thread, the waiting, the error boundary (an exception is logged
    and the pass repeated after a growing pause) and the database connection. ``start`` and ``stop`` may be called in
    any order and any number of times; a stopped loop does not start again.
    """

    #: For logs, health reports and thread names.
    name: ClassVar[str]
    #: Whether a commit by someone else should start a pass at once.
    wakes_on_commit: ClassVar[bool] = False

    def __init__(self, *, interval: float, clock: Callable[[], datetime] = timezone.now) -> None:
        """``interval``: seconds between passes when nothing wakes the loop."""
        self.interval = interval
        self.health = LoopHealth()
        self._clock = clock
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def run_once(self, now: datetime) -> bool:
        """One pass. True if there is more to do at once (a batch was full)."""

    def close(self) -> None:  # noqa: B027 - most loops hold nothing
        """Give back what the loop's thread holds; called by that thread at its end."""

    def start(self) -> None:
        """Start the thread, unless it runs or the loop has been stopped."""
        with self._guard:
            if self._thread is None and not self._stop.is_set():
                self.health.last_pass = self.health.last_good = time.monotonic()
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """End the loop after its current pass; True if its thread ended within ``timeout`` s (None: do not wait)."""
        self._stop.set()
        self._wake.set()
        with self._guard:
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        if timeout is not None:
            thread.join(timeout)
        return not thread.is_alive()

    def wake(self) -> None:
        """Start the next pass now; one that is running is followed by another."""
        self._wake.set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether the loop was told to stop."""
        return self._stop.is_set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                # Cleared before the pass: a wake-up during it leads to another one.
                self._wake.clear()
                more = self._pass()
                if self.health.failing:
                    self._stop.wait(pause_after(self.health.failing, is_outage=self.health.is_outage))
                elif not more:
                    self._wake.wait(self.interval)
        finally:
            try:
                self.close()
            except Exception as error:  # noqa: BLE001 - told by _tell
                self._tell(error)
            connections.close_all()

    def _pass(self) -> bool:
        health = self.health
        try:
            more = self.run_once(self._clock())
        except Exception as error:  # noqa: BLE001 - told by _tell
            health.errors += 1
            health.failing += 1
            health.last_error = f"{type(error).__name__}: {error}"
            health.is_outage = faults.outage(error) is not None
            self._tell(error)
            close_old_connections()
            return False
        else:
            if health.failing:
                logger.info("%s: goes on after %d failed passes", self.name, health.failing)
            health.failing = 0
            health.last_good = time.monotonic()
            return more
        finally:
            health.passes += 1
            health.last_pass = time.monotonic()
            if connection.vendor == "postgresql":
                # Back to the pool while we wait. On SQLite opening anew costs more than keeping it.
                connection.close()

    def _tell(self, error: Exception) -> None:
        """Log a failed pass: a defect with where it was, an outage in a line and ever more seldom while it lasts."""
        failing = self.health.failing
        if not (outage := faults.outage(error)):
            logger.error("%s: pass failed, trying again", self.name, exc_info=error)
        elif failing & (failing - 1) == 0:
            logger.warning("%s: the database is away (%s), trying again: %s", self.name, outage.kind, error)


def pause_after(failing: int, *, is_outage: bool) -> float:
    """Seconds to wait after the ``failing``-th failed pass in a row; loops that failed together come back spread."""
    longest = LONGEST_OUTAGE_PAUSE_SECONDS if is_outage else LONGEST_PAUSE_SECONDS
    limit: float = min(longest, FIRST_PAUSE_SECONDS * 2 ** min(failing - 1, 10))
    return limit * random.uniform(0.5, 1.0)

"""Simulated time, and the processes that live in it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.factories import NOW

Call = Callable[..., Any]


class Timeline:
    """What is due, in order of time. ``t`` is monotonic (s); ``offset`` is what jumps of the wall clock added up to."""

    def __init__(self) -> None:
        self.t = 0.0
        self.offset = 0.0
        self._due: list[tuple[float, int, Call, tuple[Any, ...]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        """The wall clock, which is the database's as well."""
        return NOW + timedelta(seconds=self.t + self.offset)

    def at(self, delay: float, call: Call, *args: Any) -> None:
        """Have ``call`` made in ``delay`` seconds."""
        heapq.heappush(self._due, (self.t + delay, next(self._numbers), call, args))

    def step(self) -> None:
        """Make the next call that is due."""
        self.t, _, call, args = heapq.heappop(self._due)
        call(*args)


class Process:
    """Something that can be killed, started anew and stopped (SIGSTOP) for a while."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.is_up = False
        self.is_paused = False
        #: Counts starts: what an earlier start had planned does not happen.
        self.epoch = 0
        self._backlog: list[tuple[int, Call, tuple[Any, ...]]] = []

    def later(self, delay: float, call: Call, *args: Any) -> None:
        """Have this process make ``call`` in ``delay`` seconds, if it still is the same start of it."""
        self.timeline.at(delay, self._make, self.epoch, call, args)

    def _make(self, epoch: int, call: Call, args: tuple[Any, ...]) -> None:
        if epoch != self.epoch or not self.is_up:
            return
        if self.is_paused:
            self._backlog.append((epoch, call, args))
        else:
            call(*args)

    def start(self) -> None:
        """Start, unless it runs."""
        if not self.is_up:
            self.is_up, self.is_paused = True, False
            self.epoch += 1
            self.started()

    def started(self) -> None:
        """What a fresh start does first."""

    def kill(self) -> None:
        """SIGKILL: all that was only in memory is gone."""
        self.is_up = self.is_paused = False
        self._backlog.clear()

    def pause(self) -> None:
        """SIGSTOP."""
        self.is_paused = self.is_up

    def resume(self) -> None:
        """SIGCONT: what came up meanwhile is done now, in order."""
        if self.is_paused:
            self.is_paused = False
            backlog, self._backlog = self._backlog, []
            for epoch, call, args in backlog:
                self.timeline.at(0.0, self._make, epoch, call, args)

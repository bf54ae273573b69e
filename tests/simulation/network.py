"""Requests between processes: delayed, lost on either way, sent twice, refused, swallowed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, Literal

from tests.simulation.timeline import Process, Timeline

Failure = Literal["refused", "unknown"]
#: Takes the message's id, gives the answer.
Handler = Callable[[str], Any]


class Network:
    """One for all. ``cut`` holds the directions (from, to) in which nothing passes."""

    def __init__(self, timeline: Timeline, rng: random.Random) -> None:
        self.timeline = timeline
        self.cut: dict[tuple[str, str], Literal["refuse", "swallow"]] = {}
        self.loss = self.repeats = self.slowness = 0.0
        self._rng = rng
        self._ids = itertools.count(1)

    def heal(self) -> None:
        """Everything passes again, at once."""
        self.cut.clear()
        self.loss = self.repeats = self.slowness = 0.0

    def request(
        self,
        caller: Process,
        server: Process,
        handle: Handler,
        *,
        done: Callable[[Any], None],
        failed: Callable[[Failure], None],
        timeout: float,
    ) -> None:
        """Exactly one of ``done`` and ``failed`` is called, unless the caller dies. ``refused``: it did not arrive."""
        is_open = [True]

        def settle(call: Callable[[Any], None], word: Any) -> None:
            if is_open[0]:
                is_open[0] = False
                call(word)

        def arrive(is_first: bool) -> None:
            if not server.is_up:
                if is_first:
                    caller.later(0.0, settle, failed, "refused")
                return
            server.later(0.0, answer, is_first)

        def answer(is_first: bool) -> None:
            reply = handle(message_id)
            if is_first and (server.name, caller.name) not in self.cut and not self._is_hit(self.loss):
                caller.later(self._delay(), settle, done, reply)

        message_id = f"m{next(self._ids)}"
        caller.later(timeout, settle, failed, "unknown")
        barrier = self.cut.get((caller.name, server.name))
        if barrier == "refuse":
            caller.later(0.001, settle, failed, "refused")
        elif barrier is None and not self._is_hit(self.loss):
            self.timeline.at(self._delay(), arrive, True)
            if self._is_hit(self.repeats):
                self.timeline.at(self._delay() * 4, arrive, False)

    def _is_hit(self, probability: float) -> bool:
        return probability > 0.0 and self._rng.random() < probability

    def _delay(self) -> float:
        if self._is_hit(self.slowness):
            return self._rng.uniform(0.1, 6.0)
        return self._rng.uniform(0.0005, 0.02)

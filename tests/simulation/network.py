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


class _Message:
    """A request on its way: ``done`` or ``failed`` is called once, whatever comes first."""

    def __init__(
        self, message_id: str, handle: Handler, done: Callable[[Any], None], failed: Callable[[Failure], None]
    ) -> None:
        self.id = message_id
        self.handle = handle
        self._done = done
        self._failed = failed
        self._is_open = True

    def reply(self, word: Any) -> None:
        if self._is_open:
            self._is_open = False
            self._done(word)

    def fail(self, why: Failure) -> None:
        if self._is_open:
            self._is_open = False
            self._failed(why)


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
        message = _Message(f"m{next(self._ids)}", handle, done, failed)
        caller.later(timeout, message.fail, "unknown")
        barrier = self.cut.get((caller.name, server.name))
        if barrier == "refuse":
            caller.later(0.001, message.fail, "refused")
        elif barrier is None and not self._is_hit(self.loss):
            self.timeline.at(self._delay(), self._arrive, message, caller, server, True)
            if self._is_hit(self.repeats):
                self.timeline.at(self._delay() * 4, self._arrive, message, caller, server, False)

    def _arrive(self, message: _Message, caller: Process, server: Process, is_first: bool) -> None:
        if server.is_up:
            server.later(0.0, self._answer, message, caller, server, is_first)
        elif is_first:
            caller.later(0.0, message.fail, "refused")

    def _answer(self, message: _Message, caller: Process, server: Process, is_first: bool) -> None:
        reply = message.handle(message.id)
        if is_first and (server.name, caller.name) not in self.cut and not self._is_hit(self.loss):
            caller.later(self._delay(), message.reply, reply)

    def _is_hit(self, probability: float) -> bool:
        return probability > 0.0 and self._rng.random() < probability

    def _delay(self) -> float:
        if self._is_hit(self.slowness):
            return self._rng.uniform(0.1, 6.0)
        return self._rng.uniform(0.0005, 0.02)

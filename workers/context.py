"""What a handler sees of the task it runs: its attempt, progress, log lines, and whether to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol

#: Why a run shall stop: asked for by a person, out of time, taken over by another attempt, or the node is stopping.
StopReason = Literal["cancelled", "timed_out", "superseded", "released"]
Level = Literal["debug", "info", "warning", "error"]


class Retry(Exception):
    """Raised by a handler: this attempt failed, try again, ``after`` seconds from now if given."""

    def __init__(self, message: str = "the handler asked for a retry", *, after: float | None = None) -> None:
        super().__init__(message)
        if after is not None and not isinstance(after, (int, float)):
            raise TypeError(f"Retry: after is a number of seconds, not {after!r}")
        self.after = after


class Fail(Exception):
    """Raised by a handler: the task failed for good; no further attempt whatever ``max_attempts`` says."""


class TaskCancelled(BaseException):
    """Raised in a handler by ``check_cancelled`` and ``sleep``; no ``Exception``, so that no handler swallows it."""


class ContextSink(Protocol):
    """Where progress and log lines go: the node's notes, or the pipe of a child process."""

    def progress(self, context: TaskContext, fraction: float | None, message: str, /) -> None:
        """Take in how far a task is."""

    def line(self, context: TaskContext, level: Level, text: str, /) -> None:
        """Take in a log line."""


class TaskLog:
    """Log lines of one running task; they appear on the task's page. ``args`` are merged in with ``%``."""

    __slots__ = ("_context",)

    def __init__(self, context: TaskContext) -> None:
        self._context = context

    def debug(self, message: str, *args: object) -> None:
        """Add a line of level debug."""
        self._context.write_line("debug", message, args)

    def info(self, message: str, *args: object) -> None:
        """Add a line of level info."""
        self._context.write_line("info", message, args)

    def warning(self, message: str, *args: object) -> None:
        """Add a line of level warning."""
        self._context.write_line("warning", message, args)

    def error(self, message: str, *args: object) -> None:
        """Add a line of level error."""
        self._context.write_line("error", message, args)


class TaskContext:
    """One attempt of one task, as its handler sees it.

    ``deadline`` is a ``time.monotonic()`` value or ``None``. All methods may be called from any thread.
    """

    __slots__ = (
        "_event", "_on_stop", "_sink", "attempt", "deadline", "is_stop_seen", "line_number", "max_attempts",
        "stop_reason", "task_id",
    )  # fmt: skip

    def __init__(self, task_id: str, attempt: int, max_attempts: int, sink: ContextSink) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.deadline: float | None = None
        self.stop_reason: StopReason | None = None
        #: Whether the handler has noticed that it shall stop: only then does its return mean "stopped".
        self.is_stop_seen = False
        self.line_number = 0
        self._sink = sink
        self._event: threading.Event | None = None
        self._on_stop: Callable[[StopReason], None] | None = None

    @property
    def log(self) -> TaskLog:
        """Writes log lines: ``context.log.info("read %s files", n)``."""
        return TaskLog(self)

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop, for whatever reason: cancelled, out of time, or the node is stopping."""
        if self.stop_reason is None:
            return False
        self.is_stop_seen = True
        return True

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds until the attempt times out, or ``None`` if it has no timeout."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check_cancelled(self) -> None:
        """Raise ``TaskCancelled`` if the handler should stop. Call it now and then in long loops."""
        if self.cancelled:
            raise TaskCancelled(self.stop_reason)

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or raise ``TaskCancelled`` as soon as the handler should stop."""
        if self._event is None:
            self._event = threading.Event()
        # The event is published before the flag is read, and set after the flag is written: no stop is missed.
        if self.stop_reason is None:
            self._event.wait(seconds)
        self.check_cancelled()

    def progress(self, fraction: float | None = None, message: str = "") -> None:
        """Show how far the task is: ``fraction`` from 0 to 1. Cheap; at most four a second are sent."""
        # As a plain float and text, whatever the handler computes with: a Decimal, say, would spoil the whole report.
        self._sink.progress(self, None if fraction is None else min(1.0, max(0.0, float(fraction))), str(message))

    def write_line(self, level: Level, message: str, args: tuple[object, ...]) -> None:
        """Add one log line (``TaskLog`` calls it). A message that does not fit its arguments is written as it is."""
        try:
            text = message % args if args else str(message)
        except (TypeError, ValueError):
            text = f"{message} {args!r}"
        self._sink.line(self, level, text)

    def request_stop(self, reason: StopReason) -> None:
        """Ask the handler to stop. The first reason stands, except that ``superseded`` always wins."""
        if self.stop_reason is None or reason == "superseded":
            self.stop_reason = reason
        if self._event is not None:
            self._event.set()
        on_stop = self._on_stop
        if on_stop is not None:
            on_stop(self.stop_reason)

    def on_stop(self, callback: Callable[[StopReason], None] | None) -> None:
        """Have ``callback`` called when a stop is requested; at once if one was before (runners use it)."""
        self._on_stop = callback
        if callback is not None and self.stop_reason is not None:
            callback(self.stop_reason)

"""One accepted attempt on its way through the executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workers.context import ContextSink, TaskContext
from workers.protocol import PushTask, TaskResult
from workers.registry import TaskType

if TYPE_CHECKING:
    from workers.completions import Burst


class Job:
    """An attempt from its acceptance to its end.

    ``is_ended`` is set exactly once, under the pool's lock, by whoever ends it: the slot it ran in, or the patrol that
    gave it up.
    """

    __slots__ = (
        "attempt", "burst", "context", "has_notes", "is_ended", "is_start_told", "payload", "started_at", "stop_at",
        "task_id", "timeout_seconds", "type",
    )  # fmt: skip

    def __init__(self, task: PushTask, task_type: TaskType, sink: ContextSink) -> None:
        self.task_id = task.task_id
        self.attempt = task.attempt
        self.payload = task.payload
        self.type = task_type
        self.timeout_seconds = task_type.timeout_seconds if task.timeout_seconds is None else task.timeout_seconds
        self.context = TaskContext(task.task_id, task.attempt, task.max_attempts, sink)
        self.burst: Burst | None = None
        #: Monotonic time at which a slot took it; 0.0 while it waits.
        self.started_at = 0.0
        #: Monotonic time at which patience ends with a run that was asked to stop; 0.0 if it was not.
        self.stop_at = 0.0
        self.is_ended = False
        self.is_start_told = False
        #: Progress or log lines were written: the result travels in a report, together with them.
        self.has_notes = False

    def run_ms(self, now: float) -> float:
        """Milliseconds since a slot took it."""
        return (now - self.started_at) * 1000.0 if self.started_at else 0.0


class Runner(Protocol):
    """A way of running jobs; called from slot threads, several at once."""

    def run(self, job: Job) -> TaskResult:
        """Run to the end and say how it ended. Never raises."""

    def kill(self, job: Job) -> bool:
        """End a run by force, so that ``run`` returns at once. ``False``: this kind of run cannot be forced."""

    def close(self) -> None:
        """Free what the runner holds; runs that still go on are ended if they can be."""

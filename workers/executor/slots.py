"""The slots: a fixed number of threads that take accepted jobs in the order of their arrival.

Every job, whatever kind of runner executes it, is owned by one slot thread from start to end. A burst of jobs wakes a
single slot; the others are woken by ``ramp`` if the burst is not done a millisecond later, so that two hundred jobs of
a few microseconds cost one change of thread, not two hundred.

A thread cannot be killed. A job in a thread that outstays its timeout (or its grace after a cancellation) is reported
as ended at once and its thread given up: a new thread takes over the slot, as long as no more than ``max_stuck``
threads are out there; beyond that the slot stays taken until its thread returns. A given-up thread ends as soon as its
handler returns, and what it returns is dropped.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from workers.context import StopReason
from workers.executor.job import Job, Runner
from workers.invoke import describe_error, stopped
from workers.protocol import STARTED_AFTER_MS, TaskResult

logger = logging.getLogger(__name__)

#: How long a run that was asked to stop may take before it is killed or given up, in seconds.
CANCEL_GRACE_SECONDS: Final = 5.0


class _Slot:
    __slots__ = ("is_given_up", "job")

    def __init__(self) -> None:
        self.job: Job | None = None
        #: Its thread was replaced by another; it ends when its handler returns.
        self.is_given_up = False


class SlotPool:
    """Thread-safe. ``on_end`` is called once for every submitted job, from whichever thread ended it."""

    def __init__(
        self,
        *,
        slots: int,
        runner_of: Callable[[Job], Runner],
        on_end: Callable[[Job, TaskResult], None],
        on_started: Callable[[Job], None],
        max_stuck: int | None = None,
        cancel_grace_seconds: float = CANCEL_GRACE_SECONDS,
        after_job: Callable[[], None] | None = None,
    ) -> None:
        self.size = slots
        self._runner_of = runner_of
        self._on_end = on_end
        self._on_started = on_started
        self._after_job = after_job
        self._max_stuck = slots if max_stuck is None else max_stuck
        self._grace = cancel_grace_seconds
        self._queue: deque[Job] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        #: No job is started from this monotonic time on.
        self._start_until = math.inf
        self._slots: list[_Slot] = []
        self._num_stuck = 0
        self._is_closed = False
        self._named = 0

    def start(self) -> None:
        """Start the slot threads."""
        with self._ready:
            while len(self._slots) < self.size:
                self._add_slot()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue jobs and wake one slot; follow with ``ramp`` a moment later."""
        if jobs:
            with self._ready:
                self._queue.extend(jobs)
                if self._idle:
                    self._ready.notify()

    def ramp(self) -> None:
        """Wake as many idle slots as there are jobs waiting."""
        with self._ready:
            if self._idle and self._queue and time.monotonic() < self._start_until:
                self._ready.notify(min(self._idle, len(self._queue)))

    def start_until(self, moment: float) -> None:
        """Start jobs up to this monotonic time and none after it: they may be somebody else's by then."""
        with self._ready:
            self._start_until = moment
        self.ramp()

    @property
    def num_waiting(self) -> int:
        """Jobs that wait for a slot."""
        return len(self._queue)

    @property
    def num_free(self) -> int:
        """Slots with nothing to do and nothing waiting for them."""
        with self._ready:
            busy = sum(1 for slot in self._slots if slot.job is not None)
            return max(0, self.size - busy - len(self._queue))

    @property
    def num_stuck(self) -> int:
        """Threads that were given up and have not returned yet."""
        return self._num_stuck

    def stop(self, job: Job, reason: StopReason, *, now: float) -> None:
        """Ask one job to stop. One that still waits ends at once; a running one has its grace."""
        with self._ready:
            if job.is_ended:
                return
            is_waiting = job.started_at == 0.0
            if is_waiting:
                job.is_ended = True
                job.context.request_stop(reason)
            elif not job.stop_at:
                job.stop_at = now + self._grace
        if is_waiting:
            # It is left in the queue, where the slot that reaches it skips it.
            self._on_end(job, stopped(job.task_id, job.attempt, reason))
        else:
            job.context.request_stop(reason)

    def release_waiting(self, *, now: float) -> None:
        """Hand back every job that has not started."""
        for job in list(self._queue):
            if job.started_at == 0.0:
                self.stop(job, "released", now=now)

    def running(self) -> list[Job]:
        """The jobs in slots."""
        return [job for slot in list(self._slots) if (job := slot.job) is not None and not job.is_ended]

    def patrol(self, now: float) -> bool:
        """Tell of started jobs, and end those that are out of time. Returns whether any job is on the node."""
        for slot in list(self._slots):
            job = slot.job
            if job is None or job.is_ended or job.started_at == 0.0:
                continue
            if not job.is_start_told and now - job.started_at >= STARTED_AFTER_MS / 1000.0:
                job.is_start_told = True
                self._on_started(job)
            deadline = job.context.deadline
            if deadline is not None and now >= deadline:
                self._force(slot, job, "timed_out", now)
            elif job.stop_at and now >= job.stop_at:
                self._force(slot, job, job.context.stop_reason or "cancelled", now)
        self.ramp()
        return bool(self._queue) or any(slot.job is not None for slot in self._slots)

    def force_all(self, reason: StopReason, *, now: float) -> None:
        """End every running job by force, now."""
        for slot in list(self._slots):
            job = slot.job
            if job is not None and not job.is_ended and job.started_at:
                self._force(slot, job, reason, now)

    def close(self) -> None:
        """Let idle slots end; what still runs is left to its daemon thread."""
        with self._ready:
            self._is_closed = True
            self._ready.notify_all()

    def _force(self, slot: _Slot, job: Job, reason: StopReason, now: float) -> None:
        job.context.request_stop(reason)
        if self._runner_of(job).kill(job):
            return
        with self._ready:
            if job.is_ended or slot.job is not job:
                return
            job.is_ended = True
            if self._num_stuck < self._max_stuck and not self._is_closed:
                slot.is_given_up = True
                self._slots.remove(slot)
                self._num_stuck += 1
                self._add_slot()
        logger.warning(
            "task %s attempt %d (%s) did not stop: given up as %s, its thread left to itself (%d such threads)",
            job.task_id, job.attempt, job.type.name, reason, self._num_stuck,
        )  # fmt: skip
        self._on_end(job, stopped(job.task_id, job.attempt, reason, run_ms=job.run_ms(now)))

    def _add_slot(self) -> None:
        slot = _Slot()
        self._slots.append(slot)
        self._named += 1
        threading.Thread(target=self._work, args=(slot,), name=f"slot-{self._named}", daemon=True).start()

    def _work(self, slot: _Slot) -> None:
        while (job := self._next(slot)) is not None:
            result = self._execute(job)
            if self._after_job is not None:
                self._after_job()
            with self._ready:
                slot.job = None
                is_first = not job.is_ended
                job.is_ended = True
                if slot.is_given_up:
                    self._num_stuck -= 1
            if is_first:
                self._on_end(job, result)
            if slot.is_given_up:
                return

    def _execute(self, job: Job) -> TaskResult:
        try:
            return self._runner_of(job).run(job)
        except Exception as error:
            # A mistake in a runner must not cost the slot, nor leave the task without an end.
            logger.exception("task %s attempt %d: its runner failed", job.task_id, job.attempt)
            return TaskResult(
                task_id=job.task_id, attempt=job.attempt, outcome="failed", error=describe_error(error)[0]
            )

    def _next(self, slot: _Slot) -> Job | None:
        with self._ready:
            while True:
                while self._queue and (now := time.monotonic()) < self._start_until:
                    job = self._queue.popleft()
                    if not job.is_ended:
                        job.started_at = now
                        if job.timeout_seconds is not None:
                            job.context.deadline = now + job.timeout_seconds
                        slot.job = job
                        return job
                if self._is_closed:
                    return None
                self._idle += 1
                self._ready.wait()
                self._idle -= 1

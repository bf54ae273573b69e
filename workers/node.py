"""The node itself: what it holds, what it makes of pushes and orders, and what it says of itself.

Everything here is called from HTTP threads, slot threads, the reporter and the heartbeat; the ledger is under one lock.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from workers.completions import Burst, Completions, fitting
from workers.context import Level, TaskContext
from workers.drain_deadline import DrainDeadline
from workers.executor.job import Job, Runner
from workers.executor.patrol import Patrol
from workers.executor.slots import SlotPool
from workers.ledger import Ledger
from workers.notes import Notes
from workers.outbox import Outbox
from workers.protocol import (
    INLINE_RESULT_MS,
    AttemptRef,
    Control,
    ControlReply,
    DesiredStatus,
    Heartbeat,
    Held,
    NodeStatus,
    PushItem,
    PushTask,
    PushWord,
    Registered,
    Resolved,
    TaskResult,
)
from workers.push_keys import PushKeys
from workers.registry import ExecutorName, TaskType

logger = logging.getLogger(__name__)

#: Results carried in one answer, to a push or to the poller, in bytes of JSON.
MAX_ANSWER_RESULT_BYTES: Final = 256 * 1024
#: Results that the poller is given in one answer.
MAX_STATUS_RESULTS: Final = 500
#: A result that has waited this long for its acknowledgement is offered to the poller, in seconds.
STATUS_RESULT_AGE_SECONDS: Final = 2.0
#: A burst that is not done after this time gets all idle slots, in seconds.
_RAMP_SECONDS: Final = 0.001
_MIN_MEMORY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a node takes on. ``max_queue``: accepted tasks that wait for a slot."""

    slots: int
    max_queue: int
    executor: ExecutorName = "thread"


@dataclass(slots=True)
class Admission:
    """What became of one push so far: an item per task, in order; ``None`` for the jobs that were taken in."""

    items: list[PushItem | None]
    jobs: list[Job]
    burst: Burst


class _Sink:
    """Marks jobs that say something, then hands it to the notes."""

    def __init__(self, notes: Notes, jobs: Callable[[TaskContext], Job | None]) -> None:
        self._notes = notes
        self._job_of = jobs

    def progress(self, context: TaskContext, fraction: float | None, message: str) -> None:
        if self._mark(context):
            self._notes.progress(context, fraction, message)

    def line(self, context: TaskContext, level: Level, text: str) -> None:
        if self._mark(context):
            self._notes.line(context, level, text)

    def _mark(self, context: TaskContext) -> bool:
        job = self._job_of(context)
        if job is None or job.is_ended:
            return False
        job.has_notes = True
        return True


class Node:
    """One node program's state. ``boot_id`` is new at every start."""

    def __init__(
        self,
        *,
        name: str,
        limits: Limits,
        types: Mapping[str, TaskType],
        outbox: Outbox,
        runners: Mapping[ExecutorName, Runner],
        after_job: Callable[[], None] | None = None,
        version: str = "",
    ) -> None:
        self.name = name
        self.version = version
        self.boot_id = uuid.uuid4().hex
        self.types = types
        self.limits = limits
        self.outbox = outbox
        self.notes = Notes()
        self.completions = Completions()
        self.push_keys = PushKeys()
        self.protocol = 1
        self.desired: DesiredStatus = "run"
        #: Answers for the next heartbeat.
        self._resolved: list[Resolved] = []
        self.is_stopping = False
        #: Called once when the dispatcher asks the node to stop.
        self.on_stop_order: Callable[[], None] | None = None
        self._runners = runners
        self._lock = threading.Lock()
        self._started_at = time.monotonic()
        self._ledger: Ledger[Job] = Ledger(memory_seconds=_MIN_MEMORY_SECONDS, now=self._started_at)
        self._sink = _Sink(self.notes, self._job_of)
        self.pool = SlotPool(
            slots=limits.slots,
            runner_of=self._runner_of,
            on_end=self.completions.end,
            on_started=self.notes.started,
            after_job=after_job,
        )
        self.patrol = Patrol(self.pool)
        self.drain_deadline = DrainDeadline(self.pool, self.patrol)

    def start(self) -> None:
        """Open the outbox and start the slots. Results of an earlier run count as seen."""
        for result in self.outbox.open(time.monotonic()):
            self._ledger.remember_ended(result.task_id, result.attempt)
        self.pool.start()
        self.patrol.start()

    def close(self) -> None:
        """End what still runs, by force, and close the outbox."""
        self.patrol.stop()
        self.pool.close()
        for runner in self._runners.values():
            runner.close()
        self.outbox.close()

    @property
    def is_draining(self) -> bool:
        """Whether no new tasks are taken."""
        return self.is_stopping or self.desired != "run"

    def registered(self, reply: Registered) -> None:
        """Take in what the dispatcher said at registration."""
        self.push_keys.replace(reply.push_key)
        self.protocol = reply.protocol
        self._ledger.memory_seconds = max(_MIN_MEMORY_SECONDS, 2.0 * reply.lease_seconds)
        self.set_desired(reply.status)

    def set_desired(self, desired: DesiredStatus) -> None:
        """What the dispatcher wants of this node from now on."""
        if desired == "run":
            self.drain_deadline.lift()
        if desired == self.desired:
            return
        logger.info("the dispatcher says %s (before: %s)", desired, self.desired)
        self.desired = desired
        if desired == "stop" and self.on_stop_order is not None:
            self.on_stop_order()

    # Pushes

    def admit(self, tasks: Iterable[PushTask], *, is_replay: bool = False) -> Admission:
        """Decide on each task of a push and start on those that are taken. Follow with ``wait`` and ``answer``.

        ``is_replay``: this very message came before; whatever is not known by now is not taken in again.
        """
        items: list[PushItem | None] = []
        jobs: list[Job] = []
        replaced: list[Job] = []
        burst = Burst(0)
        with self._lock:
            room = 0 if self.outbox.is_full else self.limits.slots + self.limits.max_queue - len(self._ledger)
            for task in tasks:
                word: PushWord
                judgement = self._ledger.judge(task.task_id, task.attempt)
                if judgement == "new":
                    reason = self._refusal(task, room, is_replay)
                    if not reason:
                        job = Job(task, self.types[task.type], self._sink)
                        job.burst = burst
                        older = self._ledger.hold(job)
                        if older is not None:
                            replaced.append(older)
                        jobs.append(job)
                        items.append(None)
                        room -= 1
                        continue
                    word = "rejected"
                else:
                    word, reason = judgement, ""
                items.append(PushItem(task_id=task.task_id, attempt=task.attempt, status=word, reason=reason))
            burst.remaining = len(jobs)
        for older in replaced:
            self.pool.stop(older, "superseded", now=time.monotonic())
        if jobs:
            self.completions.expect(len(jobs))
            self.pool.submit(jobs)
        return Admission(items, jobs, burst)

    def _refusal(self, task: PushTask, room: int, is_replay: bool) -> str:
        if self.is_draining:
            return "draining"
        if task.type not in self.types:
            return "unknown_type"
        if is_replay:
            return "replayed"
        return "full" if room <= 0 else ""

    def wait(self, admission: Admission, *, until: float) -> None:
        """Wait until the jobs of a push have ended, at most until the monotonic time ``until``."""
        if not admission.jobs:
            return
        ended = admission.burst.all_ended
        try:
            if ended.wait(_RAMP_SECONDS):
                return
            self.pool.ramp()
            ended.wait(max(0.0, until - time.monotonic()))
        finally:
            if not ended.is_set():
                self.patrol.wake()

    def answer(self, admission: Admission) -> list[PushItem]:
        """The answer to a push: results of what is done, ``accepted`` for what is not."""
        carried: dict[tuple[str, int], TaskResult] = {}
        if admission.jobs:
            inline, rest = fitting(self.completions.close(admission.burst), MAX_ANSWER_RESULT_BYTES)
            self.completions.hand_over(rest)
            carried = {(r.task_id, r.attempt): r for r in self.settle(inline, inline=True)}
        jobs = iter(admission.jobs)
        items: list[PushItem] = []
        for decided in admission.items:
            if decided is not None:
                items.append(decided)
                continue
            job = next(jobs)
            result = carried.get((job.task_id, job.attempt))
            word: PushWord = "accepted" if result is None else "done"
            items.append(PushItem(task_id=job.task_id, attempt=job.attempt, status=word, result=result))
        return items

    def settle(self, ended: list[tuple[Job, TaskResult]], *, inline: bool = False) -> list[TaskResult]:
        """Put the results of ended jobs into the outbox and off the ledger; returns those that somebody wants."""
        if not ended:
            return []
        with self._lock:
            wanted = [pair for pair in ended if self._ledger.get(pair[0].task_id, pair[0].attempt) is pair[0]]
        results = [result for _, result in wanted]
        # First kept, then no longer held: whoever asks in between finds the attempt in one of the two.
        self.outbox.add(results, now=time.monotonic(), inline=inline)
        with self._lock:
            for job, _ in wanted:
                self._ledger.end(job)
        return results

    # Orders

    def ack(self, refs: Iterable[AttemptRef]) -> None:
        """The dispatcher has these results."""
        self.outbox.ack(refs)

    def cancel(self, refs: Iterable[AttemptRef]) -> None:
        """Stop these runs and report them as cancelled."""
        now = time.monotonic()
        for ref in refs:
            with self._lock:
                job = self._ledger.get(ref.task_id, ref.attempt)
            if job is not None:
                self.pool.stop(job, "cancelled", now=now)
                self.patrol.wake()

    def supersede(self, refs: Iterable[AttemptRef]) -> None:
        """These are no longer ours: stop the runs, report nothing, refuse them if they are pushed again."""
        now = time.monotonic()
        for ref in refs:
            with self._lock:
                job = self._ledger.let_go(ref.task_id, ref.attempt)
            if job is not None:
                self.pool.stop(job, "superseded", now=now)
                self.patrol.wake()

    def control(self, order: Control, *, is_replay: bool = False) -> ControlReply:
        """Carry out an order. Of one that is replayed the status is left out: it may be outdated."""
        self.ack(order.ack)
        self.cancel(order.cancel)
        self.supersede(order.superseded)
        resolved = [self._resolve(ref) for ref in order.resolve]
        if order.status is not None and not is_replay:
            self.set_desired(order.status)
        return ControlReply(resolved=resolved)

    def _resolve(self, ref: AttemptRef) -> Resolved:
        answer = Resolved(task_id=ref.task_id, attempt=ref.attempt, state="tombstoned")
        with self._lock:
            where = self._ledger.resolve(ref.task_id, ref.attempt)
            if where == "held":
                job = self._ledger.get(ref.task_id, ref.attempt)
                answer.state = "running" if job is not None and job.started_at else "held"
        if where == "seen":
            answer.state = "finished"
            answer.result = self.outbox.find(ref.task_id, ref.attempt)
        return answer

    def resolve(self, refs: Iterable[AttemptRef]) -> bool:
        """Find out where these are, for the next heartbeat; whether others wait to hear of it."""
        self._resolved = [self._resolve(ref) for ref in refs]
        for answer in self._resolved:
            # The reporter brings it: it goes the same way as the heartbeat.
            answer.result = None
        return any(answer.state == "tombstoned" for answer in self._resolved)

    # What it says of itself

    def heartbeat(self) -> Heartbeat:
        """The next heartbeat."""
        return Heartbeat(
            resolved=self._resolved,
            boot_id=self.boot_id,
            held=self._held(),
            free_slots=0 if self.is_draining else self.pool.num_free,
            draining=self.is_stopping,
        )

    def status(self) -> NodeStatus:
        """The answer to the poller, with results that are not acknowledged for too long."""
        now = time.monotonic()
        return NodeStatus(
            name=self.name,
            boot_id=self.boot_id,
            slots=self.limits.slots,
            held=self._held(),
            finished=self.outbox.waiting(
                now=now,
                older_than=STATUS_RESULT_AGE_SECONDS,
                max_results=MAX_STATUS_RESULTS,
                max_bytes=MAX_ANSWER_RESULT_BYTES,
            ),
            draining=self.is_draining,
            version=self.version,
            uptime_seconds=round(now - self._started_at, 3),
        )

    def tend(self, now: float) -> None:
        """Housekeeping, about every second."""
        self.outbox.tend(now)
        self.drain_deadline.tend(now)
        with self._lock:
            self._ledger.turn(now)

    def _held(self) -> list[Held]:
        with self._lock:
            return [
                Held(task_id=job.task_id, attempt=job.attempt, running=job.started_at > 0.0)
                for job in self._ledger.held()
            ]

    def _job_of(self, context: TaskContext) -> Job | None:
        with self._lock:
            return self._ledger.get(context.task_id, context.attempt)

    def _runner_of(self, job: Job) -> Runner:
        return self._runners[job.type.executor or self.limits.executor]


def inline_deadline(received_at: float) -> float:
    """When the answer to a push that came at ``received_at`` has to go out."""
    return received_at + INLINE_RESULT_MS / 1000.0

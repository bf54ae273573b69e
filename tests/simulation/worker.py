"""A worker node: the real ``workers.node.Node``, ledger and outbox; slots, reporter and heartbeats are simulated."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulation.network import Failure
from tests.simulation.timeline import Process
from workers import protocol
from workers.executor.job import Job
from workers.invoke import stopped
from workers.node import Limits, Node
from workers.outbox import Outbox
from workers.registry import TaskType
from workers.signature import bind

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Seconds between a job's end and its report; between a report that failed and the next; an answer's patience.
GATHER, RETRY, ANSWER_WITHIN = 0.005, 0.5, 0.01
REQUEST_TIMEOUT = 2.0
DRAIN_SECONDS = 2.0

encode = msgspec.json.Encoder().encode
_push, _control = msgspec.json.Decoder(protocol.Push).decode, msgspec.json.Decoder(protocol.Control).decode


def handler(payload: Any) -> None:
    """Never called: what a run takes and how it ends is drawn by ``Slots``."""


TYPES = {name: TaskType(name=name, handler=handler, binding=bind(handler)) for name in ("echo", "long")}


class Worker(Process):
    """One node. ``boot`` differs from start to start."""

    def __init__(self, world: World, name: str, slots: int, directory: Path) -> None:
        super().__init__(world.timeline, name)
        self.world = world
        self.slots = slots
        self.directory = directory
        self.node_id = 0
        self.node: Node | None = None
        self._slots: Slots | None = None
        self._seen_ids: set[str] = set()
        self._is_reporting = False

    def started(self) -> None:
        """Open the outbox, register."""
        node = self.node = Node(
            name=self.name,
            limits=Limits(slots=self.slots, max_queue=4),
            types=TYPES,
            outbox=Outbox(self.directory),
            runners={},
        )
        self._slots = node.pool = Slots(self, node)
        node.patrol = self._slots
        node.start()
        self._seen_ids.clear()
        self._is_reporting = False
        self._register()
        self._beat()
        self._report()

    def kill(self) -> None:
        """SIGKILL: runs end with it, the outbox stays on disk."""
        if self.node is not None and self._slots is not None:
            self._slots.die()
            self.node.outbox.close()
        self.node = None
        super().kill()

    def terminate(self) -> None:
        """SIGTERM: drain with a deadline, hand back what is left, report, exit."""
        if self.is_up and self.node is not None and not self.node.is_stopping:
            self.node.is_stopping = True
            self.later(0.0, self._beat_once)
            self.later(DRAIN_SECONDS, self._hand_back)

    def _hand_back(self) -> None:
        assert self._slots is not None
        self._slots.release_all()
        self.later(GATHER, self._report)
        self.later(1.0, self.kill)

    def forget(self) -> None:
        """Remove what is on disk."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What the dispatcher sends

    def push(self, body: bytes, message_id: str) -> Any:
        """POST /tasks: (status, body), after a moment in which short tasks may end."""
        assert self.node is not None
        push = _push(body)
        self.world.oracle.pushed(self, push)
        if push.boot_id != self.node.boot_id:
            return 409, b"{}"
        self.node.ack(push.ack)
        admission = self.node.admit(push.tasks, is_replay=self._is_replay(message_id))
        return 202, encode(protocol.PushReply(items=self.node.answer(admission)))

    def control(self, body: bytes, message_id: str) -> Any:
        """POST /control: (status, body)."""
        assert self.node is not None
        order = _control(body)
        if order.boot_id != self.node.boot_id:
            return 409, b"{}"
        return 200, encode(self.node.control(order, is_replay=self._is_replay(message_id)))

    def status(self, _message_id: str) -> bytes:
        """GET /status."""
        assert self.node is not None
        return encode(self.node.status())

    def _is_replay(self, message_id: str) -> bool:
        known = message_id in self._seen_ids
        self._seen_ids.add(message_id)
        return known

    # What it sends

    def _ask(self, handle: Any, done: Any, failed: Any) -> None:
        self.world.network.request(self, self.world.web, handle, done=done, failed=failed, timeout=REQUEST_TIMEOUT)

    def _register(self) -> None:
        assert self.node is not None
        message = protocol.Register(
            name=self.name, url=f"http://{self.name}:9", boot_id=self.node.boot_id, slots=self.slots
        )
        web = self.world.web
        self._ask(lambda _id: web.register(self, message), self._registered, self._register_later)

    def _registered(self, reply: protocol.Registered | None) -> None:
        assert self.node is not None
        if reply is None:
            self._register_later("refused")
        else:
            self.node.registered(reply)

    def _register_later(self, _why: Failure) -> None:
        self.later(self.world.rng.uniform(0.2, 0.6), self._register)

    def _beat(self) -> None:
        self._beat_once()
        self.later(self.world.settings["heartbeat_seconds"] * self.world.rng.uniform(0.8, 1.0), self._beat)

    def _beat_once(self) -> None:
        assert self.node is not None
        message = self.node.heartbeat()
        web = self.world.web
        self._ask(lambda _id: web.heartbeat(self, message), self._told, lambda _why: None)

    def _told(self, reply: protocol.HeartbeatReply | str) -> None:
        assert self.node is not None
        if reply == "register":
            self._register()
        elif isinstance(reply, protocol.HeartbeatReply):
            self.node.set_desired(reply.status)
            self.node.cancel(reply.cancel)
            self.node.supersede(reply.superseded)

    def report_soon(self) -> None:
        """Something has ended or started."""
        self.later(GATHER, self._report)

    def _report(self) -> None:
        node = self.node
        assert node is not None
        now = self.timeline.t
        node.settle(node.completions.take(patience=0.0))
        node.tend(now)
        if self._is_reporting:
            return
        results = node.outbox.take(now=now, max_results=1000, max_bytes=1_000_000)
        started, progress, logs = node.notes.take(now)
        if not (results or started):
            due = node.outbox.next_due(now)
            if due is not None:
                self.later(due + 0.001, self._report)
            return
        self._is_reporting = True
        report = protocol.Report(boot_id=node.boot_id, results=results, started=started, progress=progress, logs=logs)
        web = self.world.web

        def failed(_why: Failure) -> None:
            self._is_reporting = False
            node.outbox.put_back(results)
            self.later(self.world.rng.uniform(0.1, RETRY), self._report)

        def done(reply: protocol.ReportReply | None) -> None:
            if reply is None:
                failed("refused")
                return
            self._is_reporting = False
            node.ack(protocol.AttemptRef(task_id=v.task_id, attempt=v.attempt) for v in reply.verdicts)
            node.cancel(reply.cancel)
            node.supersede(reply.superseded)
            self._report()

        self._ask(lambda _id: web.report(self, report), done, failed)


class Slots:
    """In the place of the node's slot pool and its patrol: jobs take as long and end as the world draws."""

    def __init__(self, worker: Worker, node: Node) -> None:
        self._worker = worker
        self._world = worker.world
        self._node = node
        self._waiting: deque[Job] = deque()
        self._running: dict[Job, Any] = {}

    def start(self) -> None: ...

    def stop_thread(self) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...

    @property
    def num_free(self) -> int:
        return max(0, self._worker.slots - len(self._running) - len(self._waiting))

    def submit(self, jobs: Sequence[Job]) -> None:
        self._waiting.extend(jobs)
        self._fill()

    def stop(self, job: Job, reason: Any, *, now: float) -> None:
        """Waiting jobs end at once; running ones within a moment, unless they end by themselves before."""
        if job.is_ended:
            return
        if job in self._running:
            job.context.request_stop(reason)
            self._worker.later(self._world.rng.uniform(0.0, 0.5), self._end, job, reason)
        else:
            job.is_ended = True
            self._node.completions.end(job, stopped(job.task_id, job.attempt, reason))
            self._worker.report_soon()

    def release_all(self) -> None:
        """The drain's deadline: what is left is handed back."""
        for job in [*self._waiting, *self._running]:
            if job in self._running:
                self._end(job, "released")
            else:
                self.stop(job, "released", now=0.0)

    def die(self) -> None:
        """The process is gone, and its runs with it."""
        for execution in self._running.values():
            self._world.oracle.ended(execution, "killed")
        self._running.clear()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._worker.slots:
            job = self._waiting.popleft()
            if not job.is_ended:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        job.started_at = self._world.timeline.t or 1e-9
        seconds, outcome = self._world.draw_run(job.task_id)
        self._running[job] = self._world.oracle.began(self._worker, job.task_id, job.attempt)
        timeout = job.timeout_seconds
        if timeout is not None and seconds > timeout:
            seconds, outcome = timeout, "timed_out"
        if seconds == 0.0 and outcome != "poison":
            self._end(job, outcome)
            return
        self._worker.later(0.05, self._tell_start, job)
        self._worker.later(seconds, self._end, job, outcome)

    def _tell_start(self, job: Job) -> None:
        if not job.is_ended:
            self._node.notes.started(job)
            self._worker.report_soon()

    def _end(self, job: Job, outcome: str) -> None:
        if job.is_ended:
            return
        if outcome == "poison":
            self._world.misfortunes.crash_worker(self._worker)
            return
        job.is_ended = True
        execution = self._running.pop(job)
        self._world.oracle.ended(execution, outcome)
        run_ms = job.run_ms(self._world.timeline.t)
        if outcome in ("succeeded", "failed", "failed for good"):
            result = protocol.TaskResult(
                task_id=job.task_id,
                attempt=job.attempt,
                outcome="succeeded" if outcome == "succeeded" else "failed",
                result=msgspec.Raw(encode(execution.digest)) if outcome == "succeeded" else protocol.EMPTY_JSON,
                error=None if outcome == "succeeded" else protocol.TaskError(type="E", message="drawn"),
                retryable=outcome != "failed for good",
                run_ms=run_ms,
            )
        elif outcome == "crashed":
            result = protocol.TaskResult(task_id=job.task_id, attempt=job.attempt, outcome="crashed", run_ms=run_ms)
        else:
            result = stopped(job.task_id, job.attempt, outcome, run_ms=run_ms)
        self._node.completions.end(job, result)
        self._worker.report_soon()
        self._fill()

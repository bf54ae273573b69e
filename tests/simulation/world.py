"""One history: a small installation, its users and its misfortunes, all drawn from one seed."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import msgspec
from django.db import transaction
from django.test import override_settings

from dispatcher import lifecycle, node_registry, queues
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Node, lanes
from tests.factories import NOW
from tests.simulation.dispatcher import Engine, Web
from tests.simulation.invariants import Oracle
from tests.simulation.network import Network
from tests.simulation.timeline import Process, Timeline
from tests.simulation.worker import Worker
from workers import protocol

SETTINGS = {
    "heartbeat_seconds": 1.0,
    "suspect_after_seconds": 2.0,
    "lease_seconds": 3.0,
    "sweep_seconds": 1.0,
    "poll_seconds": 2.0,
    "assign_seconds": 1.0,
    "stage_seconds": 0.5,
    "default_timeout_seconds": 4.0,
    "attempt_grace_seconds": 2.0,
}
#: Faults happen until then; all is to be at rest this long after, in simulated seconds.
TROUBLE_SECONDS, REST_SECONDS = 8.0, 120.0
#: A clock that was set back is set right this long after the other faults; what depends on no time has ended by then.
CLOCK_WRONG_SECONDS = 20.0

#: How runs end: (weight, seconds to choose from, ends to choose from).
KINDS: dict[str, tuple[int, tuple[float, ...], tuple[str, ...]]] = {
    "quick": (6, (0.0, 0.0, 0.02, 0.2), ("succeeded",)),
    "long": (6, (0.3, 1.0, 2.5), ("succeeded",)),
    "flaky": (3, (0.0, 0.1), ("succeeded", "failed")),
    "bad": (1, (0.05,), ("failed",)),
    "hopeless": (1, (0.05,), ("failed for good",)),
    "crashing": (1, (0.1,), ("crashed",)),
    "poison": (1, (0.1,), ("poison",)),
    "hanging": (1, (9.0,), ("succeeded",)),
}


class World:
    """Everything of one history. ``run`` raises ``invariants.Broken`` if a rule does not hold."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.seed = seed
        self.settings = SETTINGS
        self.outage_seconds = 2 * SETTINGS["sweep_seconds"]
        self.rng = random.Random(seed)
        self.timeline = Timeline()
        self.network = Network(self.timeline, self.rng)
        self.has_database = True
        self.oracle = Oracle(self)
        self.web = Web(self)
        self.engine = Engine(self)
        self.client = Process(self.timeline, "client")
        self.workers = [
            Worker(self, f"w{n}", self.rng.choice((1, 1, 2)), directory / f"w{n}")
            for n in range(self.rng.choice((2, 2, 3)))
        ]
        #: Incarnation of the node by attempt; filled by the oracle.
        self.incarnation_of: dict[tuple[int, int], int] = {}
        self._kinds: dict[int, str] = {}
        self._keys = itertools.count(1)
        self._boots = itertools.count(1)
        self._sent: list[tuple[int, protocol.TaskResult]] = []
        self._is_over = False

    def run(self) -> None:
        """The whole history, checked after every step."""
        for process in (self.client, self.web, self.engine):
            process.start()
        for worker in self.workers:
            worker.node_id = Node.objects.create(name=worker.name, created_at=NOW).pk
            worker.start()
        for _ in range(self.rng.randint(2, 5)):
            self.timeline.at(self.rng.uniform(0.0, TROUBLE_SECONDS * 0.8), self._submit)
        for _ in range(self.rng.randint(1, 7)):
            self.timeline.at(self.rng.uniform(0.1, TROUBLE_SECONDS), self._trouble)
        self.timeline.at(TROUBLE_SECONDS, self._heal)
        while not self._is_at_rest():
            self.timeline.step()
            self.oracle.check()
        self.oracle.check_quiet()

    def _is_at_rest(self) -> bool:
        if not self._is_over:
            return False
        if self.timeline.t > TROUBLE_SECONDS + REST_SECONDS:
            return True
        return (
            not self.oracle.waiting()
            and len(self.oracle.acked) >= len(self.oracle.invoked)
            and all(w.node is not None and len(w.node.outbox) == 0 for w in self.workers)
        )

    def worker(self, node_id: int) -> Worker:
        return next(worker for worker in self.workers if worker.node_id == node_id)

    def is_past(self, moment: datetime) -> bool:
        return moment <= self.timeline.now()

    def is_long(self, task_id: int) -> bool:
        return self._kinds.get(task_id) == "long"

    def new_boot(self) -> str:
        return f"boot-{next(self._boots)}"

    def draw_run(self, task_id: str) -> tuple[float, str]:
        """How long a run takes and how it ends."""
        _, seconds, ends = KINDS[self._kinds[int(task_id)]]
        return self.rng.choice(seconds), self.rng.choice(ends)

    # People and programs

    def _submit(self) -> None:
        rng, key = self.rng, f"k{next(self._keys)}"
        kind = rng.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
        spec = TaskSpec(
            type="echo" if kind != "long" else "long",
            payload=f'"{key}"',
            max_attempts=6 if kind in ("crashing", "poison") else rng.randint(1, 4),
            backoff_seconds=0.3,
            backoff_cap_seconds=1.0,
            timeout_seconds=rng.choice((None, 3.0)),
            priority=rng.choice((0, 0, 5)),
            idempotency_key=key,
        )
        now = self.timeline.now
        if rng.random() < 0.1:
            spec = msgspec.structs.replace(spec, run_at=now() + timedelta(seconds=rng.uniform(0.5, 3.0)))
        if rng.random() < 0.1:
            spec = msgspec.structs.replace(spec, expires_at=now() + timedelta(seconds=rng.uniform(1.0, 4.0)))
        self.oracle.invoked.add(key)
        self._send(spec, kind)

    def _send(self, spec: TaskSpec, kind: str) -> None:
        def take(_message_id: str) -> int | None:
            if not self.has_database:
                return None
            (made,) = lifecycle.submit([spec], submitted_by="client", now=self.timeline.now())
            self._kinds[made.task_id] = kind
            self.engine.look_soon()
            return made.task_id

        def done(task_id: int | None) -> None:
            if task_id is None:
                self.client.later(0.3, self._send, spec, kind)
            else:
                self.oracle.acked.add(task_id)

        self.network.request(
            self.client, self.web, take, done=done,
            failed=lambda _why: self.client.later(0.3, self._send, spec, kind), timeout=1.0,
        )  # fmt: skip

    def _cancel(self) -> None:
        if known := sorted(self.oracle.states):
            answer = lifecycle.cancel([self.rng.choice(known)], actor="op", now=self.timeline.now())
            self.oracle.cancelled.update(answer.cancelled)
            self.engine.look_soon()

    def _retry(self) -> None:
        if known := sorted(self.oracle.states):
            made = lifecycle.retry([self.rng.choice(known)], actor="op", now=self.timeline.now())
            for old, new in made.created.items():
                self._kinds[new] = self._kinds[old]
                self.oracle.retries += 1

    def _steer_node(self) -> None:
        node = Node.objects.get(pk=self.rng.choice(self.workers).node_id)
        act = self.rng.choice((node_registry.drain, node_registry.resume, node_registry.disable))
        act([node], reason="op", actor="op", now=self.timeline.now())

    def _steer_queue(self) -> None:
        queues.ensure(["default"], now=self.timeline.now())
        if self.rng.random() < 0.5:
            queues.pause("default", reason="op", actor="op", now=self.timeline.now())
        else:
            queues.resume("default", actor="op", now=self.timeline.now())

    def _forge(self) -> None:
        """A node reports the end of an attempt that is not its own, or of one that is not there."""
        if not self.oracle.claims:
            return
        (task_id, attempt), claim = self.rng.choice(list(self.oracle.claims.items()))
        others = [worker.node_id for worker in self.workers if worker.node_id != claim.node_id]
        item = protocol.TaskResult(
            task_id=str(task_id),
            attempt=attempt + self.rng.choice((0, 0, 1)),
            outcome=self.rng.choice(("succeeded", "failed", "released")),
            result=msgspec.Raw(b'"forged"'),
        )
        lifecycle.record_results([item], node_id=self.rng.choice(others), now=self.timeline.now())

    def _fence(self) -> None:
        """A node reports a made-up end of one of its earlier attempts, after another has taken over."""
        old = [
            (number, attempt, claim)
            for (number, attempt), claim in self.oracle.claims.items()
            if self.oracle.states[number][1] > attempt
        ]
        if not old and self.timeline.t < TROUBLE_SECONDS:
            # Not yet: as soon as there is one.
            self.timeline.at(0.5, self._as_operator, self._fence)
        elif old:
            number, attempt, claim = self.rng.choice(old)
            outcome = self.rng.choice(("succeeded", "failed"))
            item = protocol.TaskResult(
                task_id=str(number), attempt=attempt, outcome=outcome, result=msgspec.Raw(b'"late"')
            )
            lifecycle.record_results([item], node_id=claim.node_id, now=self.timeline.now())

    # Misfortunes

    def crash_worker(self, worker: Worker) -> None:
        worker.kill()
        self.timeline.at(self.rng.choice((0.05, 0.5, 5.0)), worker.start)

    def _trouble(self) -> None:
        rng = self.rng
        worker = rng.choice(self.workers)
        seconds = rng.choice((0.3, 1.0, 2.5, 4.0, 7.0))
        match rng.randrange(26):
            case 0 | 1 | 2:
                self.crash_worker(worker)
            case 3 | 4:
                worker.pause()
                self.timeline.at(seconds, worker.resume)
            case 5:
                worker.terminate()
                self.timeline.at(seconds + 4.0, worker.start)
            case 6:
                self._cut(worker, seconds, rng.choice((("engine", "to"), ("web", "from"))))
            case 7:
                self._cut(worker, seconds, ("engine", "to"), ("engine", "from"), ("web", "to"), ("web", "from"))
            case 8:
                for each in self.workers:
                    self._cut(each, seconds, ("engine", "to"), ("engine", "from"), ("web", "to"), ("web", "from"))
            case 9 | 10:
                self.engine.kill()
                self.timeline.at(seconds, self.engine.start)
            case 11:
                self.engine.pause()
                self.timeline.at(seconds, self.engine.resume)
            case 12:
                self.engine.kill()
                self.web.kill()
                self.timeline.at(seconds, self.engine.start)
                self.timeline.at(seconds, self.web.start)
            case 13:
                self.timeline.offset += rng.choice((-3600.0, -20.0, 20.0, 3600.0))
            case 14:
                self.has_database = False
                self.timeline.at(min(seconds, 2.5), self._bring_database)
            case 15 | 16:
                self.network.loss = rng.choice((0.1, 0.3))
                self.network.repeats, self.network.slowness = rng.choice((0.0, 0.3)), rng.choice((0.0, 0.3))
            case 17:
                self._as_operator(self._steer_node, self._steer_queue)
            case 18:
                self._as_operator(self._cancel)
            case 19:
                self._as_operator(self._retry)
            case 20 | 21:
                self._as_operator(self._forge)
            case _:
                self._as_operator(self._fence)

    def _as_operator(self, *acts: Any) -> None:
        if self.has_database and self.web.is_up:
            self.rng.choice(acts)()

    def _cut(self, worker: Worker, seconds: float, *ways: tuple[str, str]) -> None:
        how = self.rng.choice(("refuse", "swallow"))
        for other, way in ways:
            pair = (other, worker.name) if way == "to" else (worker.name, other)
            self.network.cut[pair] = how
            self.timeline.at(seconds, self.network.cut.pop, pair, None)

    def _bring_database(self) -> None:
        self.has_database = True

    def _set_clock(self) -> None:
        self.oracle.check_only_scheduled_left()
        self.timeline.offset = max(0.0, self.timeline.offset)

    def _heal(self) -> None:
        self._bring_database()
        self.network.heal()
        # Times that people and retries chose are on the wall clock: once it is right again they come.
        self.timeline.at(CLOCK_WRONG_SECONDS, self._set_clock)
        for process in (self.web, self.engine, *self.workers):
            process.resume()
            process.start()
        nodes = list(Node.objects.order_by("id"))
        node_registry.resume(nodes, actor="op", now=self.timeline.now())
        queues.resume("default", actor="op", now=self.timeline.now())
        self._is_over = True


def simulate(seed: int) -> None:
    """One history in a transaction that is rolled back. Raises what went wrong."""
    with tempfile.TemporaryDirectory(prefix="taskdist-sim-") as directory, transaction.atomic():
        world = World(seed, Path(directory))
        try:
            with _in_simulated_time(world):
                world.run()
        finally:
            for worker in world.workers:
                worker.kill()
            transaction.set_rollback(True)
            lanes.forget()


@contextlib.contextmanager
def _in_simulated_time(world: World) -> Iterator[None]:
    """The clocks, ids and dice of the real code are the world's own."""
    clock = SimpleNamespace(monotonic=lambda: world.timeline.t)
    boots = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=world.new_boot()))
    with (
        mock.patch("workers.node.time", clock),
        mock.patch("workers.notes.time", clock),
        mock.patch("workers.node.uuid", boots),
        mock.patch("dispatcher.engine.poller.timezone", SimpleNamespace(now=world.timeline.now)),
        mock.patch("dispatcher.engine.pusher.timezone", SimpleNamespace(now=world.timeline.now)),
        mock.patch("dispatcher.lifecycle.endings.random", SimpleNamespace(Random=lambda: world.rng)),
    ):
        yield


@contextlib.contextmanager
def installation() -> Iterator[None]:
    """The settings of simulated installations, for any number of histories."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with override_settings(TASKDIST=SETTINGS):
            yield
    finally:
        logging.disable(level)

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

from dispatcher import lifecycle
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Node, lanes
from tests.factories import NOW
from tests.simulation.dispatcher import Engine, Web
from tests.simulation.invariants import Oracle
from tests.simulation.misfortunes import Misfortunes
from tests.simulation.network import Network
from tests.simulation.timeline import Process, Timeline
from tests.simulation.worker import Worker

SETTINGS = {
    "heartbeat_seconds": 1.0,
    "suspect_after_seconds": 2.0,
    "lease_seconds": 3.0,
    "sweep_seconds": 1.4,
    "poll_seconds": 2.5,
    "assign_seconds": 2.0,
    "stage_seconds": 1.0,
    "default_timeout_seconds": 4.0,
    "attempt_grace_seconds": 2.0,
}
#: So long after the faults all is to be at rest, in simulated seconds.
REST_SECONDS = 120.0

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

#: Of kinds that would be no use with fewer, or take long with more.
_MAX_ATTEMPTS = {"crashing": 6, "poison": 6, "hanging": 1}


class World:
    """Everything of one history. ``run`` raises ``invariants.Broken`` if a rule does not hold."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.seed = seed
        self.settings = SETTINGS
        self.outage_seconds = 2 * SETTINGS["sweep_seconds"]
        self.rng = random.Random(seed)
        #: Faults happen until then, in simulated seconds. Long enough, now and then, for a mass silence to be believed.
        self.trouble_seconds = self.rng.choice((2.5, 3.0, 3.0, 8.0))
        self.timeline = Timeline()
        self.network = Network(self.timeline, self.rng)
        self.has_database = True
        self.oracle = Oracle(self)
        self.web = Web(self)
        self.engine = Engine(self)
        self.misfortunes = Misfortunes(self)
        self.client = Process(self.timeline, "client")
        self.workers = [
            Worker(self, f"w{n}", self.rng.choice((1, 1, 2)), directory / f"w{n}")
            for n in range(self.rng.choice((2, 2, 2, 3)))
        ]
        #: Incarnation of the node by attempt; filled by the oracle.
        self.incarnation_of: dict[tuple[int, int], int] = {}
        self.kinds: dict[int, str] = {}
        self._keys = itertools.count(1)
        self._boots = itertools.count(1)
        self._is_over = False

    def run(self) -> None:
        """The whole history, checked after every step."""
        for process in (self.client, self.web, self.engine):
            process.start()
        for worker in self.workers:
            worker.node_id = Node.objects.create(name=worker.name, created_at=NOW).pk
            worker.start()
        for _ in range(self.rng.randint(2, 4)):
            self.timeline.at(self.rng.uniform(0.0, self.trouble_seconds * 0.8), self._submit)
        for _ in range(self.rng.randint(1, 7)):
            self.timeline.at(self.rng.uniform(0.1, self.trouble_seconds), self.misfortunes.strike)
        self.timeline.at(self.trouble_seconds, self._heal)
        while not self._is_at_rest():
            self.timeline.step()
            self.oracle.check()
        self.oracle.check_quiet()

    def _is_at_rest(self) -> bool:
        if not self._is_over:
            return False
        if self.timeline.t > self.trouble_seconds + REST_SECONDS:
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
        return self.kinds.get(task_id) == "long"

    def new_boot(self) -> str:
        return f"boot-{next(self._boots)}"

    def draw_run(self, task_id: str) -> tuple[float, str]:
        """How long a run takes and how it ends."""
        _, seconds, ends = KINDS[self.kinds[int(task_id)]]
        return self.rng.choice(seconds), self.rng.choice(ends)

    def _heal(self) -> None:
        self.misfortunes.heal()
        self._is_over = True

    def _submit(self) -> None:
        rng, key = self.rng, f"k{next(self._keys)}"
        kind = rng.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
        spec = TaskSpec(
            type="echo" if kind != "long" else "long",
            payload=f'"{key}"',
            max_attempts=_MAX_ATTEMPTS.get(kind) or rng.randint(1, 4),
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
            self.kinds[made.task_id] = kind
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


def simulate(seed: int) -> list[tuple[Any, ...]]:
    """One history in a transaction that is rolled back: what became of its tasks. Raises what went wrong."""
    with tempfile.TemporaryDirectory(prefix="taskdist-sim-") as directory, transaction.atomic():
        world = World(seed, Path(directory))
        try:
            with _in_simulated_time(world):
                world.run()
                return world.oracle.history()
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
        mock.patch("dispatcher.engine.assigner.random", world.rng),
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

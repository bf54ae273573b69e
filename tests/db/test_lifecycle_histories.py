"""Random histories of the lifecycle: whatever people, nodes and the clock do, in whatever order, the rules hold."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher import events, lifecycle, node_registry
from dispatcher.lifecycle import TRANSITIONS, TaskSpec
from dispatcher.models import Change, Node, Task
from dispatcher.models import lanes as lane_cache
from dispatcher.models.statements import Claim, Start, statements
from dispatcher.states import ACTIVE, TERMINAL, TaskState
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db

STEPS = (
    "submit", "submit_later", "submit_expiring", "claim", "start", "report", "report_old", "repeat", "lose", "restart",
    "cancel", "stage", "sweep", "retry", "wait",
)  # fmt: skip
OUTCOMES = ("succeeded", "succeeded", "failed", "timed_out", "crashed", "released", "cancelled")
ALLOWED = {(source, target) for sources, targets in TRANSITIONS.values() for source in sources for target in targets}


class World:
    """One history. Every choice comes from ``rng``, so that a failing example replays."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = NOW
        self.nodes = [make_node(slots=3) for _ in range(2)]
        #: (task id, attempt, node id) of every claim that was ever made.
        self.claims: list[tuple[int, int, int]] = []
        self.reports: list[tuple[int, protocol.TaskResult]] = []
        self.seen_feed = 0
        self.states: dict[int, int] = {}
        self.results: dict[int, tuple[str | None, int]] = {}

    def step(self, name: str) -> None:
        getattr(self, name)()
        self.check()

    def submit(self, **fields: object) -> None:
        spec = TaskSpec(type="echo", max_attempts=self.rng.randint(1, 3), backoff_seconds=1.0, **fields)
        lifecycle.submit([spec] * self.rng.randint(1, 3), submitted_by="a", now=self.now)

    def submit_later(self) -> None:
        self.submit(run_at=self.now + timedelta(seconds=self.rng.randint(1, 20)))

    def submit_expiring(self) -> None:
        self.submit(expires_at=self.now + timedelta(seconds=self.rng.randint(1, 20)))

    def claim(self) -> None:
        node = Node.objects.get(pk=self.rng.choice(self.nodes).pk)
        heads = statements().lock_heads([(lane, 3) for lane in statements().ready_lanes()])
        rows = [Claim(head.id, head.attempt, node.pk, node.incarnation) for head in heads]
        self.claims += [(task.id, task.attempt, task.node_id) for task in lifecycle.claim(rows, now=self.now)]

    def start(self) -> None:
        if self.claims:
            task_id, attempt, node_id = self.rng.choice(self.claims)
            lifecycle.start([Start(task_id, attempt, self.now, self.now)], node_id=node_id, now=self.now)

    def report(self, recent: bool = True) -> None:
        for task_id, attempt, node_id in self.claims[-3:] if recent else self.claims[:3]:
            item = protocol.TaskResult(
                task_id=str(task_id),
                attempt=attempt,
                outcome=self.rng.choice(OUTCOMES),
                result=protocol.msgspec.Raw(str(self.rng.random()).encode()),
            )
            self.reports.append((node_id, item))
            lifecycle.record_results([item], node_id=node_id, now=self.now)

    def report_old(self) -> None:
        self.report(recent=False)

    def repeat(self) -> None:
        if self.reports:
            node_id, item = self.rng.choice(self.reports)
            before = self.snapshot()
            (verdict,) = lifecycle.record_results([item], node_id=node_id, now=self.now)
            assert verdict.verdict in ("duplicate", "superseded")
            assert self.snapshot() == before

    def lose(self) -> None:
        lifecycle.lose_held_by([self.rng.choice(self.nodes).pk], reason="silent", now=self.now)

    def restart(self) -> None:
        node = Node.objects.get(pk=self.rng.choice(self.nodes).pk)
        boot = str(self.rng.random())
        message = protocol.Register(name=node.name, url=node.url, boot_id=boot, slots=3)
        node_registry.register(message, node=node, now=self.now)

    def cancel(self) -> None:
        ids = list(Task.objects.values_list("pk", flat=True))
        if ids:
            lifecycle.cancel([self.rng.choice(ids)], actor="op", now=self.now)

    def stage(self) -> None:
        lifecycle.stage(now=self.now)

    def sweep(self) -> None:
        lifecycle.lose_stale(now=self.now)
        lifecycle.lose_overdue(now=self.now)
        lifecycle.expire(now=self.now)

    def retry(self) -> None:
        ids = list(Task.objects.filter(state__in=TERMINAL).values_list("pk", flat=True))
        if ids:
            lifecycle.retry([self.rng.choice(ids)], actor="op", now=self.now)

    def wait(self) -> None:
        self.now += timedelta(seconds=self.rng.randint(1, 10))

    def snapshot(self) -> list[tuple[object, ...]]:
        return list(Task.objects.order_by("id").values_list("id", "state", "attempt", "result", "released", "crashes"))

    def check(self) -> None:
        """The feed tells every move and only allowed ones; ended tasks never change; attempts stay in bounds."""
        for change in Change.objects.filter(id__gt=self.seen_feed, kind="tasks.changed").order_by("id"):
            self.seen_feed = change.pk
            event = events.decode(change.kind, change.body)
            for row in event.rows:
                self.follow(row)
        tasks = list(Task.objects.all())
        assert {task.pk: task.state for task in tasks} == self.states
        for task in tasks:
            assert task.counted_attempts <= task.max_attempts
            assert task.attempt >= task.released
            if task.state in TERMINAL:
                assert self.results.setdefault(task.pk, (task.result, task.attempt)) == (task.result, task.attempt)
        assert max(Counter((task_id, attempt) for task_id, attempt, _ in self.claims).values(), default=1) == 1

    def follow(self, row: events.TaskChange) -> None:
        target = TaskState(row.to_state)
        known = self.states.get(row.task_id)
        if row.from_state is None:
            assert known is None
        else:
            source = TaskState(row.from_state)
            assert source == known or (source in ACTIVE and TaskState(known) in ACTIVE)
            assert (TaskState(known), target) in ALLOWED, (TaskState(known), target)
        self.states[row.task_id] = row.to_state


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(STEPS), min_size=10, max_size=60))
def test_no_history_breaks_the_rules(seed: int, steps: list[str]) -> None:
    with transaction.atomic():
        world = World(random.Random(seed))
        try:
            for step in steps:
                world.step(step)
        finally:
            transaction.set_rollback(True)
            lane_cache.forget()

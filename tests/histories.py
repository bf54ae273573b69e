"""Random histories made by the real lifecycle: for tests that compare what is folded and shown with the tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from dispatcher import lifecycle, node_registry, queues
from dispatcher.lifecycle import FailedAttempt, TaskSpec
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claim
from dispatcher.models.task import TaskQuerySet
from dispatcher.states import ACTIVE, AttemptOutcome, TaskState
from workers import protocol

QUEUES = ("default", "gpu")
TYPES = ("echo", "render")
TAGS = ("nightly", "big")

Step = Callable[[random.Random, Sequence[Node], datetime], None]


def random_step(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    """Something happens: one call of the lifecycle, the registry or the queues."""
    step = rng.choices([step for step, _ in STEPS], [weight for _, weight in STEPS])[0]
    step(rng, nodes, now)


def submit(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    lifecycle.submit(
        [
            TaskSpec(
                type=rng.choice(TYPES),
                queue=rng.choice(QUEUES),
                priority=rng.choice([0, 0, 5]),
                run_at=now + timedelta(seconds=3) if rng.random() < 0.2 else None,
                expires_at=now + timedelta(seconds=2) if rng.random() < 0.1 else None,
                tags=rng.sample(TAGS, rng.randrange(3)),
            )
            for _ in range(rng.randrange(1, 5))
        ],
        submitted_by="alice",
        now=now,
    )


def claim(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    ready = some(rng, Task.objects.filter(state=TaskState.QUEUED), 4)
    lifecycle.claim([_claim_of(task, rng.choice(nodes)) for task in ready], now=now)


def some(rng: random.Random, tasks: TaskQuerySet, most: int) -> list[Task]:
    """At most so many of the tasks, the same ones for the same history."""
    found = list(tasks.order_by("id"))
    return rng.sample(found, min(most, len(found)))


def _claim_of(task: Task, node: Node) -> Claim:
    node.refresh_from_db()
    return Claim(task.pk, task.attempt, node.pk, node.incarnation)


def report(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    """A node reports: some of its tasks started, ended, moved on or said something."""
    node = rng.choice(nodes)
    message = protocol.Report(boot_id="any")
    for task in Task.objects.filter(state__in=ACTIVE, node=node).order_by("id")[:6]:
        ref = {"task_id": str(task.pk), "attempt": task.attempt}
        match rng.randrange(6):
            case 0:
                message.started.append(protocol.Started(**ref, running_ms=20))
            case 1:
                message.progress.append(protocol.Progress(**ref, fraction=rng.random(), message="on its way"))
            case 2:
                n = rng.randrange(1, 20)
                message.logs.append(protocol.LogLine(**ref, n=n, text=f"line {n}"))
            case 3:
                message.results.append(_bad_end(rng, ref))
            case _:
                message.results.append(
                    protocol.TaskResult(**ref, outcome="succeeded", result=msgspec.Raw(b'{"ok":1}'), run_ms=12.5)
                )
    lifecycle.record_report(message, node_id=node.pk, now=now)


def _bad_end(rng: random.Random, ref: dict[str, object]) -> protocol.TaskResult:
    outcome = rng.choice(["failed", "failed", "timed_out", "crashed", "released", "cancelled"])
    error = protocol.TaskError(type="ValueError", message=f"bad value {rng.randrange(3)}\nsecond line")
    return protocol.TaskResult(
        **ref, outcome=outcome, error=error, run_ms=rng.random() * 1000, retryable=rng.random() < 0.6
    )


def lose(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    held = some(rng, Task.objects.active(), 2)
    failed = [FailedAttempt(task_id=task.pk, attempt=task.attempt, outcome=AttemptOutcome.LOST) for task in held]
    lifecycle.end(failed, node_id=None, now=now, rng=rng)


def cancel(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    lifecycle.cancel([task.pk for task in some(rng, Task.objects.all(), 2)], actor="alice", now=now)


def retry(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    failed = some(rng, Task.objects.filter(state=TaskState.FAILED), 1)
    lifecycle.retry([task.pk for task in failed], actor="alice", now=now)


def move_clock(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    lifecycle.stage(now=now)
    lifecycle.expire(now=now)


def prune(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    lifecycle.prune(finished_before=now - timedelta(seconds=8), now=now)


def operate(rng: random.Random, nodes: Sequence[Node], now: datetime) -> None:
    node, queue = rng.choice(nodes), rng.choice(QUEUES)
    queues.ensure([queue], now=now)
    match rng.randrange(5):
        case 0:
            node_registry.drain([node], reason="kernel update", actor="alice", now=now)
        case 1:
            node_registry.resume([node], actor="alice", now=now)
        case 2:
            queues.pause(queue, reason="moving", actor="alice", now=now)
        case 3:
            queues.resume(queue, actor="alice", now=now)
        case _:
            node_registry.heartbeat(protocol.Heartbeat(boot_id=node.boot_id), node=node, now=now)


STEPS: list[tuple[Step, int]] = [
    (submit, 5), (claim, 6), (report, 8), (lose, 1), (cancel, 1), (retry, 1), (move_clock, 3), (prune, 1), (operate, 2),
]  # fmt: skip

"""Small steps for tests of the lifecycle."""

from __future__ import annotations

from datetime import datetime

from dispatcher import lifecycle
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claim, Claimed, statements
from dispatcher.states import TaskState
from tests.factories import NOW
from workers import protocol


def submit(count: int = 1, **fields: object) -> list[int]:
    spec = TaskSpec(**{"type": "echo", "payload": '{"a": 1}', **fields})
    return [made.task_id for made in lifecycle.submit([spec] * count, submitted_by="alice", now=NOW)]


def claim(node: Node, *, now: datetime = NOW, limit: int = 100) -> list[Claimed]:
    heads = statements().lock_heads([(lane, limit) for lane in statements().ready_lanes()])
    return lifecycle.claim([Claim(head.id, head.attempt, node.pk, node.incarnation) for head in heads], now=now)


def result(task_id: int, attempt: int = 1, outcome: str = "succeeded", **fields: object) -> protocol.TaskResult:
    return protocol.TaskResult(task_id=str(task_id), attempt=attempt, outcome=outcome, **fields)


def report(node: Node, *results: protocol.TaskResult, now: datetime = NOW) -> list[str]:
    verdicts = lifecycle.record_results(results, node_id=node.pk, now=now)
    return [verdict.verdict for verdict in verdicts]


def state_of(task_id: int) -> TaskState:
    return TaskState(Task.objects.get(pk=task_id).state)

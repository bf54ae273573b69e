"""queued → dispatched → running, and back where a node did not take a task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from dispatcher.conf import conf
from dispatcher.events import TaskChange, TasksChanged
from dispatcher.models import Change
from dispatcher.models.statements import Claim, Claimed, Start, statements
from dispatcher.states import TaskState


def claim(claims: Sequence[Claim], *, now: datetime) -> list[Claimed]:
    """queued → dispatched: bind each task to its node and raise its attempt number.

    Conditional on: still queued, still at that attempt, not past its deadline, and the node still the same incarnation
    and wanted. What is missing from the answer was taken by someone else. The claim sets the lease of the attempt, its
    absolute deadline. Call in the transaction that locked the heads; push only after that has committed.
    """
    if not claims:
        return []
    settings = conf()
    with transaction.atomic(savepoint=False):
        taken = statements().claim(
            claims, now=now, timeout=settings.default_timeout_seconds, grace=settings.attempt_grace_seconds
        )
        _append(
            [
                TaskChange(
                    task.id,
                    TaskState.QUEUED.value,
                    TaskState.DISPATCHED.value,
                    task.attempt,
                    task.lane_id,
                    task.node_id,
                )
                for task in taken
            ],
            now,
        )
    return taken


def start(starts: Sequence[Start], *, node_id: int, now: datetime) -> list[int]:
    """dispatched → running: the node says that these attempts run. Returns the ids that moved.

    A task that ends within milliseconds never passes here: its result alone takes it from dispatched to its end.
    """
    if not starts:
        return []
    attempts = {row.task_id: row.attempt for row in starts}
    with transaction.atomic(savepoint=False):
        # In the order of ``endings.lock_in_order``.
        moved = statements().start(sorted(starts), node_id=node_id)
        _append(
            [
                TaskChange(
                    task_id, TaskState.DISPATCHED.value, TaskState.RUNNING.value, attempts[task_id], lane_id, node_id
                )
                for task_id, lane_id in moved
            ],
            now,
        )
    return [task_id for task_id, _ in moved]


def _append(changes: list[TaskChange], now: datetime) -> None:
    if changes:
        Change.objects.append(TasksChanged(rows=changes), now=now)

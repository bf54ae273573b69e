"""What people and the clock do to tasks: cancel, stage, expire, prune."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
from django.db import connection, transaction
from django.db.models import F

from dispatcher.events import TaskChange, TasksCancelRequested, TasksChanged, TasksPruned
from dispatcher.models import Attempt, Change, LogChunk, Task, TaskOrigin, TaskProgress, TaskTag
from dispatcher.models.task import TaskQuerySet
from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState


class CancelResult(msgspec.Struct, frozen=True):
    """``cancelled``: ended now. ``requested``: a node has it and was asked. ``too_late``: it had ended before."""

    cancelled: list[int]
    requested: list[int]
    too_late: list[int]
    unknown: list[int]


def cancel(task_ids: Sequence[int], *, actor: str, now: datetime, bulk: int | None = None) -> CancelResult:
    """scheduled | queued → cancelled at once; for a task that a node has, the node is asked, and may be too late.

    ``bulk``: the bulk action that does it. It stands in the feed in place of the actor, who is on record as having
    started it: ten thousand batches would bury what else is in the audit trail.
    """
    actor = actor if bulk is None else ""
    with transaction.atomic():
        # In the order of ``endings.lock_in_order``: nodes report ends of the same tasks meanwhile.
        tasks = list(_locked(Task.objects.filter(id__in=task_ids).order_by("id")))
        waiting = [task for task in tasks if task.state in WAITING]
        active = [task for task in tasks if task.state in ACTIVE]
        Task.objects.filter(id__in=[task.pk for task in waiting], state__in=WAITING).update(
            state=TaskState.CANCELLED, finished_at=now, cancel_requested_at=now
        )
        Task.objects.filter(id__in=[task.pk for task in active], state__in=ACTIVE).update(cancel_requested_at=now)
        _append_moves(waiting, TaskState.CANCELLED, now=now, actor=actor, bulk=bulk)
        rows = [(task.pk, task.attempt, task.node_id) for task in active if task.node_id is not None]
        if rows:
            Change.objects.append(TasksCancelRequested(rows=rows, bulk=bulk), now=now, actor=actor)
    found = {task.pk for task in tasks}
    return CancelResult(
        cancelled=[task.pk for task in waiting],
        requested=[task.pk for task in active],
        too_late=[task.pk for task in tasks if task.state in TERMINAL],
        unknown=[pk for pk in task_ids if pk not in found],
    )


def stage(*, now: datetime, limit: int = 1000) -> int:
    """scheduled → queued, for tasks that are due. Returns how many; call again at once if it was ``limit``."""
    with transaction.atomic():
        due = Task.objects.filter(state=TaskState.SCHEDULED, run_at__lte=now).order_by("run_at")
        tasks = list(_locked(due, skip=True)[:limit])
        Task.objects.filter(id__in=[task.pk for task in tasks], state=TaskState.SCHEDULED).update(
            state=TaskState.QUEUED, queued_at=F("run_at"), run_at=None
        )
        _append_moves(tasks, TaskState.QUEUED, now=now)
    return len(tasks)


def expire(*, now: datetime, limit: int = 1000) -> int:
    """scheduled | queued → expired, for tasks of which no attempt was started by their deadline."""
    late = Task.objects.waiting().filter(expires_at__lte=now, attempt__lte=F("released")).order_by("expires_at")
    # Most of the time there is none, and to look takes no lock.
    if not late.exists():
        return 0
    with transaction.atomic():
        tasks = list(_locked(late, skip=True)[:limit])
        Task.objects.filter(id__in=[task.pk for task in tasks], state__in=WAITING).update(
            state=TaskState.EXPIRED, finished_at=now
        )
        _append_moves(tasks, TaskState.EXPIRED, now=now)
    return len(tasks)


class Pruned(msgspec.Struct, frozen=True):
    """What one window of pruning did."""

    deleted: int
    #: Where to go on, or None when everything old enough has been looked at.
    next_after_id: int | None


def prune(*, finished_before: datetime, now: datetime, after_id: int = 0, window: int = 5000) -> Pruned:
    """Delete tasks that ended before then, with all that is theirs, among the ``window`` oldest above ``after_id``.

    Ids rise with the time of creation and nothing ends before it is created, so the walk stops at the first window
    that begins too late: nothing here ever scans the table.
    """
    with transaction.atomic():
        oldest = Task.objects.filter(id__gt=after_id).order_by("id").values_list("id", "created_at")[:window]
        rows = [(pk, created) for pk, created in oldest if created < finished_before]
        if not rows:
            return Pruned(deleted=0, next_after_id=None)
        old = Task.objects.filter(id__gt=after_id, id__lte=rows[-1][0], finished_at__lt=finished_before)
        tasks = list(_locked(old.order_by("id"), skip=True))
        ids = [task.pk for task in tasks]
        for companion in (Attempt, LogChunk, TaskOrigin, TaskProgress, TaskTag):
            companion.objects.filter(task_id__in=ids).delete()
        Task.objects.filter(id__in=ids, state__in=TERMINAL).delete()
        if tasks:
            counts = Counter((task.lane_id, task.state) for task in tasks)
            event = TasksPruned(counts=[(lane, state, count) for (lane, state), count in sorted(counts.items())])
            Change.objects.append(event, now=now)
    return Pruned(deleted=len(tasks), next_after_id=rows[-1][0] if len(rows) == window else None)


def _locked(tasks: TaskQuerySet, *, skip: bool = False) -> TaskQuerySet:
    """Lock the rows for this transaction, and read only what transitions need."""
    light = tasks.only("id", "lane_id", "state", "attempt", "node_id")
    if connection.features.has_select_for_update:
        return light.select_for_update(skip_locked=skip)
    return light


def _append_moves(
    tasks: Sequence[Task], to_state: TaskState, *, now: datetime, actor: str = "", bulk: int | None = None
) -> None:
    if tasks:
        rows = [
            TaskChange(task.pk, task.state, to_state.value, task.attempt, task.lane_id, task.node_id) for task in tasks
        ]
        Change.objects.append(TasksChanged(rows=rows, bulk=bulk), now=now, actor=actor)

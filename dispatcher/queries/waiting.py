"""Why a task waits: what the scheduling core says of it, as things stand now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dispatcher import snapshots
from dispatcher.models import Task
from dispatcher.models.statements import Head
from dispatcher.queries.shapes import Cause, NodeObstacles, Obstacle, Waiting
from dispatcher.scheduling.explain import explain
from dispatcher.scheduling.reasons import Reason, ReasonClass, counted
from dispatcher.states import TaskState

#: Nodes that are named one by one.
MAX_NODES = 50
#: How far a node is from taking the task; the nearest are named first.
_DISTANCE = {None: 0, ReasonClass.TRANSIENT: 1, ReasonClass.OPERATOR: 2, ReasonClass.IMPOSSIBLE: 3}


def waiting(task_id: int, now: datetime) -> Waiting | None:
    """Why a ready task has not been given to a node; None for a task that is not ready, or does not wait any more."""
    tasks = Task.objects.filter(pk=task_id, state=TaskState.QUEUED).select_related("lane")
    task = tasks.only("lane", "priority", "affinity_key", "node_id", "attempt", "crashes").first()
    if task is None:
        return None
    head = Head(task.pk, task.lane_id, task.priority, task.affinity_key, task.node_id, task.attempt, task.crashes)
    found = explain(snapshots.snapshot_for_people(now), snapshots.lane_view(task.lane), snapshots.task_head(head))
    names = {row.node_id: row.name for row in found.rows}
    rows = sorted(found.rows, key=lambda row: (_DISTANCE[row.reason_class], row.name))
    return Waiting(
        kind="turn" if found.reason_class is None else found.reason_class.value,
        text=found.sentence,
        node=None if found.node_id is None else names[found.node_id],
        reasons=[_obstacle(reason) for reason in found.reasons],
        nodes=[
            NodeObstacles(
                name=row.name,
                reasons=[_obstacle(reason) for reason in row.reasons],
                avoided=row.is_avoided,
            )
            for row in rows[:MAX_NODES]
        ],
        nodes_omitted=max(0, len(rows) - MAX_NODES),
        because=_causes(found.because),
        besides=_causes(found.besides),
    )


def _obstacle(reason: Reason) -> Obstacle:
    return Obstacle(code=reason.code.value, text=reason.text, facts=reason.named_facts)


def _causes(reasons: Iterable[Reason]) -> list[Cause]:
    return [
        Cause(**_obstacle(reason), nodes=0 if reason.node_id is None else count) for reason, count in counted(reasons)
    ]

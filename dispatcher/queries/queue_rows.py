"""Queues: how deep, how old, how fast."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from django.db import connection

from dispatcher.models import Queue, Task
from dispatcher.models.lanes import lanes_by_id
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.minutes import Minute, last_minutes, per_minute
from dispatcher.queries.shapes import OldestWait, Pause, QueueRow, QueuesDocument
from dispatcher.states import TaskState

HISTORY_MINUTES = 30
#: Lanes whose longest wait is looked for, fullest first.
MAX_LANES = 200

#: Per lane, one priority after the other, each found by one step into the index of ready tasks; of each priority its
#: first task, which is the one that waits longest but for retries.
_HEADS = """
    WITH RECURSIVE level(lane_id, priority) AS (
        SELECT l.id, (SELECT t.priority FROM dispatcher_task t WHERE t.lane_id = l.id AND t.state = 1
                      ORDER BY t.priority DESC LIMIT 1)
        FROM dispatcher_lane l WHERE l.id IN ({lanes})
        UNION ALL
        SELECT v.lane_id, (SELECT t.priority FROM dispatcher_task t
                           WHERE t.lane_id = v.lane_id AND t.state = 1 AND t.priority < v.priority
                           ORDER BY t.priority DESC LIMIT 1)
        FROM level v WHERE v.priority IS NOT NULL
    )
    SELECT v.lane_id, (SELECT t.id FROM dispatcher_task t
                       WHERE t.lane_id = v.lane_id AND t.state = 1 AND t.priority = v.priority ORDER BY t.id LIMIT 1)
    FROM level v WHERE v.priority IS NOT NULL
"""


def queues(now: datetime, counts: LiveCounts | None = None, minutes: Sequence[Minute] | None = None) -> list[QueueRow]:
    """All queues, by name. ``counts`` and ``minutes`` (at least 30) spare reading them again."""
    counts = counts or live_counts()
    minutes = minutes or last_minutes(now)
    depth, scheduled, active = (
        counts.per_queue(state) for state in (TaskState.QUEUED, TaskState.SCHEDULED, TaskState.RUNNING)
    )
    oldest = oldest_waits(counts)
    past = minutes[-HISTORY_MINUTES:-1]
    return [
        QueueRow(
            name=queue.name,
            description=queue.description,
            policy=queue.policy,
            depth=max(0, depth[queue.name]),
            scheduled=max(0, scheduled[queue.name]),
            active=max(0, active[queue.name]),
            oldest_since=oldest.get(queue.name),
            in_per_minute=per_minute(minutes, now, partial(_submitted, queue=queue.name)),
            out_per_minute=per_minute(minutes, now, partial(_ended, queue=queue.name)),
            paused=_pause(queue),
            depth_history=[*(minute.depth.get(queue.name, 0) for minute in past), max(0, depth[queue.name])],
        )
        for queue in Queue.objects.order_by("name")
    ]


def queues_document(now: datetime, counts: LiveCounts | None = None) -> QueuesDocument:
    """The document of the live topic ``queues``."""
    return QueuesDocument(queues=queues(now, counts))


def oldest_waits(counts: LiveCounts) -> dict[str, datetime]:
    """Queue → since when its longest-waiting ready task waits. Looks at the head of each priority of each lane."""
    heads = _heads(counts.lanes_with(TaskState.QUEUED)[:MAX_LANES])
    since = dict(Task.objects.filter(id__in=[pk for _, pk in heads]).values_list("id", "queued_at")) if heads else {}
    lanes = lanes_by_id({lane_id for lane_id, _ in heads})
    found: dict[str, datetime] = {}
    for lane_id, pk in heads:
        queued_at = since.get(pk)
        if queued_at is not None:
            queue = lanes[lane_id].queue
            found[queue] = min(found.get(queue, queued_at), queued_at)
    return found


def oldest_of(rows: Sequence[QueueRow]) -> OldestWait | None:
    """The queue whose ready task waits longest."""
    waits = [(row["oldest_since"], row["name"]) for row in rows if row["oldest_since"] is not None]
    if not waits:
        return None
    since, queue = min(waits)
    return OldestWait(queue=queue, since=since)


def _submitted(minute: Minute, queue: str) -> int:
    return minute.submitted[queue]


def _ended(minute: Minute, queue: str) -> int:
    return minute.ended[queue]


def _heads(lane_ids: Collection[int]) -> list[tuple[int, int]]:
    if not lane_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_HEADS.format(lanes=", ".join(str(int(pk)) for pk in lane_ids)))
        return [(lane_id, pk) for lane_id, pk in cursor.fetchall() if pk is not None]


def _pause(queue: Queue) -> Pause | None:
    if queue.paused_at is None:
        return None
    return Pause(by=queue.paused_by, reason=queue.pause_reason, since=queue.paused_at)

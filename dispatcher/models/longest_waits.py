"""Since when the longest-waiting ready task of each queue waits: a look at the heads of lanes, never a scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.task import Task

#: Lanes that are looked at; who asks names the fullest first.
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


def waiting_since(lane_ids: Sequence[int]) -> dict[str, datetime]:
    """Queue → since when a ready task of one of these lanes waits, the longest. Two statements at most."""
    heads = _heads(lane_ids[:MAX_LANES])
    since = dict(Task.objects.filter(id__in=[pk for _, pk in heads]).values_list("id", "queued_at")) if heads else {}
    lanes = lanes_by_id({lane_id for lane_id, _ in heads})
    found: dict[str, datetime] = {}
    for lane_id, pk in heads:
        queued_at = since.get(pk)
        if queued_at is not None:
            queue = lanes[lane_id].queue
            found[queue] = min(found.get(queue, queued_at), queued_at)
    return found


def _heads(lane_ids: Sequence[int]) -> list[tuple[int, int]]:
    if not lane_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_HEADS.format(lanes=", ".join(str(int(pk)) for pk in lane_ids)))
        return [(lane_id, pk) for lane_id, pk in cursor.fetchall() if pk is not None]

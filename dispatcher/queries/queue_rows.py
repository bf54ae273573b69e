"""Queues: how deep, how old, how fast."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from dispatcher.models import Node, Queue
from dispatcher.models.longest_waits import waiting_since
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.minutes import Minute, last_minutes, per_minute
from dispatcher.queries.shapes import OldestWait, Pause, QueueRow, QueuesDocument
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState

HISTORY_MINUTES = 30
#: Nodes named in the row of a queue.
MAX_NODES_NAMED = 3


def queues(now: datetime, counts: LiveCounts | None = None, minutes: Sequence[Minute] | None = None) -> list[QueueRow]:
    """All queues, by name. ``counts`` and ``minutes`` (at least 30) spare reading them again."""
    counts = counts or live_counts()
    minutes = minutes or last_minutes(now)
    depth, scheduled, active = (
        counts.per_queue(state) for state in (TaskState.QUEUED, TaskState.SCHEDULED, TaskState.RUNNING)
    )
    oldest = oldest_waits(counts)
    found = list(Queue.objects.order_by("name"))
    serving = _serving([queue.name for queue in found])
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
            served_by=serving[queue.name][:MAX_NODES_NAMED],
            served_by_more=max(0, len(serving[queue.name]) - MAX_NODES_NAMED),
            depth_history=[*(minute.depth.get(queue.name, 0) for minute in past), max(0, depth[queue.name])],
        )
        for queue in found
    ]


def queues_document(now: datetime, counts: LiveCounts | None = None) -> QueuesDocument:
    """The document of the live topic ``queues``."""
    return QueuesDocument(queues=queues(now, counts))


def oldest_waits(counts: LiveCounts) -> dict[str, datetime]:
    """Queue → since when its longest-waiting ready task waits. Looks at the head of each priority of each lane."""
    return waiting_since(counts.lanes_with(TaskState.QUEUED))


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


def _serving(names: Sequence[str]) -> dict[str, list[str]]:
    """Queue → the nodes that would take its tasks. Those that name no queue serve all."""
    wanted = Node.objects.filter(state=NodeState.ONLINE, intent=NodeIntent.RUN, draining=False)
    nodes = list(wanted.exclude(breaker=BreakerState.OPEN).order_by("name").values_list("name", "queues"))
    return {queue: [node for node, queues in nodes if not queues or queue in queues] for queue in names}


def _pause(queue: Queue) -> Pause | None:
    if queue.paused_at is None:
        return None
    return Pause(by=queue.paused_by, reason=queue.pause_reason, since=queue.paused_at)

"""One node over time, and what it is in one word."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from dispatcher.models import Change, Node, NodeMinute
from dispatcher.queries.minutes import Minute
from dispatcher.queries.ranges import TimeRange
from dispatcher.queries.shapes import NodeEventRow, NodeMinutePoint, NodeRow, Series
from dispatcher.redaction import redactor
from dispatcher.rollups.aggregate import DEAD, SUCCEEDED
from dispatcher.states import BreakerState, NodeIntent, NodeState

MAX_EVENTS = 50
MINUTES = 60
_MINUTE = timedelta(minutes=1)


class _Reason(msgspec.Struct):
    reason: str = ""


_reason = msgspec.json.Decoder(_Reason)


def status_of(row: NodeRow) -> str:
    """The most pressing of what the node is; one of ``node_filter.STATUSES``."""
    if row["intent"] == NodeIntent.DISABLED:
        return "disabled"
    if row["state"] != NodeState.ONLINE:
        return row["state"]
    if row["breaker"] != BreakerState.CLOSED:
        return "breaker" if row["breaker"] == BreakerState.OPEN else "trial"
    if row["intent"] == NodeIntent.DRAIN or row["draining"]:
        return "draining" if row["held"] else "drained"
    return "refusing" if row["held_until"] is not None else "online"


def node_events(node_id: int) -> list[NodeEventRow]:
    """The last of what happened to the node, newest first."""
    rows = Change.objects.filter(node_id=node_id).order_by("-id").values_list("id", "at", "kind", "actor", "body")
    return [
        NodeEventRow(id=str(pk), at=at, kind=kind, actor=actor, reason=redactor().text(_reason.decode(body).reason))
        for pk, at, kind, actor, body in rows[:MAX_EVENTS]
    ]


def node_series(name: str, span: TimeRange) -> Series | None:
    """The charts of one node: attempts that ended on it, as far back as they are kept; None if there is no such one."""
    node = Node.objects.filter(name=name).first() if name.isprintable() else None
    if node is None:
        return None
    steps = {start: Minute(start) for start in span.starts}
    rows = NodeMinute.objects.filter(minute__gte=span.start, minute__lt=span.end, node_id=node.pk)
    for minute, succeeded, failed in rows.values_list("minute", "succeeded", "failed"):
        steps[span.step_of(minute)].words.update({SUCCEEDED: succeeded, DEAD: failed})
    points = [step.point for step in steps.values()]
    return Series(
        range=span.name,
        start=span.start,
        end=span.end,
        step_seconds=int(span.step.total_seconds()),
        points=points,
        queues=[],
        queues_omitted=0,
        failed=sum(point["failed"] for point in points),
        failed_before=None,
        failures=[],
    )


def node_minutes(node_id: int, now: datetime) -> list[NodeMinutePoint]:
    """How the attempts on the node ended, minute by minute, also where there were none."""
    current = now.replace(second=0, microsecond=0)
    start = current - (MINUTES - 1) * _MINUTE
    rows = NodeMinute.objects.filter(minute__gte=start, node_id=node_id).values_list("minute", "succeeded", "failed")
    ended = {minute: (succeeded, failed) for minute, succeeded, failed in rows}
    moments = [start + n * _MINUTE for n in range(MINUTES)]
    return [
        NodeMinutePoint(minute=moment, succeeded=ok, failed=bad)
        for moment in moments
        for ok, bad in (ended.get(moment, (0, 0)),)
    ]

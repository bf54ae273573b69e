"""One node over time, and what it is in one word."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from dispatcher.models import Change, NodeMinute
from dispatcher.queries.shapes import NodeEventRow, NodeMinutePoint, NodeRow
from dispatcher.redaction import redactor
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

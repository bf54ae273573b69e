"""Nodes with their load, by our own accounting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from dispatcher.models import Node, NodeMinute, Task
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.node_story import node_events, node_minutes, status_of
from dispatcher.queries.shapes import NodeDetail, NodeEventRow, NodeRow, Pool, TypeInfo
from dispatcher.queries.task_rows import task_rows
from dispatcher.queries.task_search import INDEX_WINDOW
from dispatcher.redaction import redactor
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState
from dispatcher.task_types import stored_schema

MAX_TASKS = 200
MAX_FAILURES = 20
#: Failed tasks among which those of a node are looked for.
FAILURE_WINDOW = min(1000, INDEX_WINDOW)
_HOUR = timedelta(hours=1)


def nodes(now: datetime, counts: LiveCounts | None = None) -> list[NodeRow]:
    """All nodes, by name. ``counts`` spares reading them again."""
    return rows_of(list(Node.objects.defer("types").order_by("name")), now, counts or live_counts())


def totals(rows: Sequence[NodeRow]) -> Pool:
    """Nodes and slots of the pool: disabled nodes are not part of it, and only nodes that are online have slots."""
    pool = [row for row in rows if row["intent"] != NodeIntent.DISABLED]
    online = [row for row in pool if row["state"] == NodeState.ONLINE]
    return Pool(
        nodes_online=len(online),
        nodes_total=len(pool),
        slots_busy=sum(row["busy"] for row in online),
        slots_total=sum(row["slots"] for row in online),
    )


def node_detail(name: str, now: datetime, counts: LiveCounts | None = None) -> NodeDetail | None:
    """The node with its tasks; None if there is none of that name."""
    # Names come out of addresses; PostgreSQL cannot even be asked for some of them.
    node = Node.objects.filter(name=name).first() if name.isprintable() else None
    if node is None:
        return None
    held = Task.objects.active().filter(node_id=node.pk).values_list("id", flat=True)
    # Newest first is sorted here: asked of the database, it would walk the primary key in place of the index.
    newest = sorted(held.order_by(), reverse=True)[:MAX_TASKS]
    row = rows_of([node], now, counts or live_counts())[0]
    told = node_events(node.pk)
    by = _who_wanted(told) if node.intent != NodeIntent.RUN else None
    return NodeDetail(
        node=row,
        status=status_of(row),
        intent_by=by["actor"] if by else "",
        intent_at=by["at"] if by else None,
        series=node_minutes(node.pk, now),
        events=told,
        url=redactor().text(node.url),
        boot_id=node.boot_id,
        incarnation=node.incarnation,
        protocol=node.protocol,
        queues=node.queues,
        types=type_infos(node.types),
        created_at=node.created_at,
        registered_at=node.registered_at,
        lease_expires_at=node.lease_expires_at,
        push_failures=node.push_failures,
        tasks=task_rows(newest),
        failures=task_rows(_failed_on(node.pk)),
    )


def type_infos(types: Mapping[str, Mapping[str, Any]] | None) -> list[TypeInfo] | None:
    """What a node advertises, by name; None if it takes any type."""
    if types is None:
        return None
    return [
        TypeInfo(
            name=name,
            version=info.get("version", ""),
            description=info.get("description", ""),
            timeout_seconds=info.get("timeout_seconds"),
            schema=stored_schema(info),
        )
        for name, info in sorted(types.items())
    ]


def _who_wanted(told: Sequence[NodeEventRow]) -> NodeEventRow | None:
    """The last time that somebody drained or disabled it."""
    return next((row for row in told if row["actor"] and row["kind"] in {"node.draining", "node.disabled"}), None)


def _failed_on(node_id: int) -> list[int]:
    newest = Task.objects.filter(state=TaskState.FAILED).order_by("-id").values_list("id", "node_id")[:FAILURE_WINDOW]
    return [pk for pk, node in newest if node == node_id][:MAX_FAILURES]


def rows_of(found: Sequence[Node], now: datetime, counts: LiveCounts) -> list[NodeRow]:
    """These nodes with their load."""
    ended = _ended_last_hour(now)
    return [_row(node, now, counts, *ended.get(node.pk, (0, 0))) for node in found]


def _row(node: Node, now: datetime, counts: LiveCounts, succeeded: int, failed: int) -> NodeRow:
    running = counts.active.get((node.pk, TaskState.RUNNING), 0)
    held = running + counts.active.get((node.pk, TaskState.DISPATCHED), 0)
    busy = min(held, node.slots)
    return NodeRow(
        name=node.name,
        state=node.state,
        intent=node.intent,
        reason=node.intent_reason or _trouble(node, now),
        draining=node.draining,
        drain_until=node.drain_until,
        hands_back=node.hands_back,
        slots=node.slots,
        held=held,
        busy=busy,
        waiting_on_node=held - busy,
        running=running,
        labels=redactor().value(node.labels),
        version=node.version,
        breaker=node.breaker,
        tutorial=node.is_tutorial,
        last_seen_at=node.last_seen_at,
        held_until=node.held_until if node.held_seconds(now) else None,
        succeeded_last_hour=succeeded,
        failed_last_hour=failed,
    )


def _trouble(node: Node, now: datetime) -> str:
    """Why a node that is wanted gets no work, or less; "" if it gets what it can take."""
    if node.breaker == BreakerState.OPEN:
        return "Set aside: several tasks in a row failed on it. It is tried with one task when the pause ends."
    if node.breaker == BreakerState.HALF_OPEN:
        return "On trial after a pause: one task at a time until one succeeds."
    if node.push_failures:
        return f"No work until a request gets through; {node.push_failures} in a row failed: {node.trouble}"
    return "It asked for a pause." if node.held_seconds(now) else ""


def _ended_last_hour(now: datetime) -> dict[int, tuple[int, int]]:
    since = now.replace(second=0, microsecond=0) - _HOUR
    sums = (
        NodeMinute.objects.filter(minute__gt=since)
        .order_by()
        .values_list("node_id")
        .annotate(ok=Sum("succeeded"), bad=Sum("failed"))
    )
    return {node_id: (ok, bad) for node_id, ok, bad in sums}

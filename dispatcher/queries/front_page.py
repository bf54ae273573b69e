"""The first page: is it healthy, what is stuck, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.models import EngineProcess, Node, Task
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.failures import recent_failures
from dispatcher.queries.installation import ENGINE_SILENCE
from dispatcher.queries.minutes import last_minutes, per_minute, series
from dispatcher.queries.node_pool import nodes_document
from dispatcher.queries.queue_rows import oldest_waits
from dispatcher.queries.ranges import DEFAULT, last
from dispatcher.queries.shapes import NodeRow, OldestWait, Overview, Stuck
from dispatcher.queries.time_series import failed_before
from dispatcher.rollups.aggregate import DEAD
from dispatcher.states import NodeIntent, NodeState, TaskState

#: Nodes that are listed; with more of them there is a map of all.
MAX_NODES = 8
#: Tasks that are looked at for having outlived their attempt.
MAX_OVERDUE = 1000
_MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Cache:
    #: Start of the last hour, and what failed in the hour before it: that changes no more, or only where an engine was
    #: away for an hour. Replaced as a whole: other threads read it.
    failed_before: tuple[datetime, int | None] | None = None


_cache = _Cache()


def overview(now: datetime, counts: LiveCounts | None = None) -> Overview:
    """Everything on the overview page, from counters and indexes: about a dozen small statements.

    ``counts`` spares reading them again.
    """
    counts = counts or live_counts()
    minutes = last_minutes(now)
    pool = nodes_document(now, counts, shown=None)
    node_rows = pool["nodes"]
    waits = oldest_waits(counts)
    ages = {queue: max(0, round((now - since) / _MS)) for queue, since in waits.items()}
    return Overview(
        counts=counts.totals(),
        failed=sum(minute.words[DEAD] for minute in minutes),
        failed_before=_failed_before(now),
        stuck=_stuck(now, node_rows),
        oldest_wait=_oldest(waits),
        nodes_online=pool["nodes_online"],
        nodes_total=pool["nodes_total"],
        slots_busy=pool["slots_busy"],
        slots_total=pool["slots_total"],
        finished_per_second=round(per_minute(minutes, now, lambda minute: minute.ended.total()) / 60, 1),
        engines_online=EngineProcess.objects.filter(last_seen_at__gt=now - ENGINE_SILENCE).count(),
        series=series(minutes, counts.per_queue(TaskState.QUEUED), ages),
        nodes=node_rows[:MAX_NODES],
        cells=pool["cells"] if len(node_rows) > MAX_NODES else [],
        failures=recent_failures(now),
    )


def forget() -> None:
    """Empty the cache (tests roll minutes back)."""
    _cache.failed_before = None


def _oldest(waits: dict[str, datetime]) -> OldestWait | None:
    if not waits:
        return None
    since, queue = min((since, queue) for queue, since in waits.items())
    return OldestWait(queue=queue, since=since)


def _failed_before(now: datetime) -> int | None:
    span = last(DEFAULT, now)
    known = _cache.failed_before
    if known is None or known[0] != span.start:
        known = _cache.failed_before = span.start, failed_before(span, now)
    return known[1]


def _stuck(now: datetime, rows: Sequence[NodeRow]) -> Stuck:
    silent = [row for row in rows if _is_silent(row) and row["held"]]
    overdue = Task.objects.active().filter(attempt_deadline__lt=now).order_by().values_list("node_id", flat=True)
    found = list(overdue[:MAX_OVERDUE])
    if found and silent:
        elsewhere = set(Node.objects.filter(name__in=[row["name"] for row in silent]).values_list("id", flat=True))
        found = [node_id for node_id in found if node_id not in elsewhere]
    return Stuck(
        on_silent_nodes=sum(row["held"] for row in silent),
        node=silent[0]["name"] if len(silent) == 1 else None,
        overdue=len(found),
    )


def _is_silent(row: NodeRow) -> bool:
    return row["state"] in (NodeState.SUSPECT, NodeState.OFFLINE) and row["intent"] != NodeIntent.DISABLED

"""The first page: is it healthy, what is stuck."""

from __future__ import annotations

from datetime import datetime

from dispatcher.models import EngineProcess
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.failures import recent_failures
from dispatcher.queries.installation import ENGINE_SILENCE
from dispatcher.queries.minutes import last_minutes, per_minute, series
from dispatcher.queries.node_rows import nodes, totals
from dispatcher.queries.queue_rows import oldest_of, queues
from dispatcher.queries.shapes import Overview
from dispatcher.rollups.aggregate import DEAD
from dispatcher.states import TaskState


def overview(now: datetime, counts: LiveCounts | None = None) -> Overview:
    """Everything on the overview page, from counters and indexes: about a dozen small statements.

    ``counts`` spares reading them again.
    """
    counts = counts or live_counts()
    minutes = last_minutes(now)
    node_rows = nodes(now, counts)
    queue_rows = queues(now, counts, minutes)
    return Overview(
        counts=counts.totals(),
        failed_last_hour=sum(minute.words[DEAD] for minute in minutes),
        oldest_wait=oldest_of(queue_rows),
        **totals(node_rows),
        finished_per_second=round(per_minute(minutes, now, lambda minute: minute.ended.total()) / 60, 1),
        engines_online=EngineProcess.objects.filter(last_seen_at__gt=now - ENGINE_SILENCE).count(),
        series=series(minutes, counts.per_queue(TaskState.QUEUED)),
        nodes=node_rows,
        queues=queue_rows,
        failures=recent_failures(now),
    )

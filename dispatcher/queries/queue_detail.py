"""One queue: how deep, how fast over the last hour, and who serves it."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher.models import Queue
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.minutes import last_minutes
from dispatcher.queries.node_filter import NodeFilter, Term
from dispatcher.queries.node_pool import nodes_document
from dispatcher.queries.queue_rows import queues
from dispatcher.queries.shapes import QueueDetail, QueueMinutePoint, QueueRow

#: Nodes named on the page of a queue.
MAX_CONSUMERS = 50


def queue_detail(name: str, now: datetime, counts: LiveCounts | None = None) -> QueueDetail | None:
    """The document of the live topic ``queue:<name>``; None if there is no such queue."""
    queue = Queue.objects.filter(name=name).first() if name.isprintable() else None
    if queue is None:
        return None
    counts, minutes = counts or live_counts(), last_minutes(now)
    row = next(row for row in queues(now, counts, minutes) if row["name"] == name)
    pool = nodes_document(now, counts, wanted=NodeFilter(terms=(Term("queue", (name,)),)), shown=MAX_CONSUMERS)
    serving = [cell for cell in pool["cells"] if cell["status"] in {"online", "trial", "refusing"}]
    return QueueDetail(
        queue=row,
        created_at=queue.created_at,
        series=[
            QueueMinutePoint(
                minute=minute.start,
                submitted=minute.submitted[name],
                ended=minute.ended[name],
                depth=row["depth"] if minute is minutes[-1] else minute.depth.get(name, 0),
                oldest=_age(row, now) if minute is minutes[-1] else minute.oldest.get(name, 0),
            )
            for minute in minutes
        ],
        nodes=pool["nodes"],
        nodes_matching=pool["matching"],
        slots_busy=sum(cell["busy"] for cell in serving),
        slots_total=sum(cell["slots"] for cell in serving),
    )


def _age(row: QueueRow, now: datetime) -> int:
    since = row["oldest_since"]
    return 0 if since is None else max(0, round((now - since) / timedelta(milliseconds=1)))

"""Failed tasks of a stretch of time, grouped by cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.models import Lane, Task
from dispatcher.models.by_time import first_id_since
from dispatcher.models.lanes import lanes_by_id
from dispatcher.queries import errors
from dispatcher.queries.ranges import TimeRange
from dispatcher.queries.shapes import FailureGroup
from dispatcher.states import TaskState

MAX_GROUPS = 10
#: The newest failed tasks that are looked at.
WINDOW = 200
#: The same, where only those of one queue or type are wanted.
WIDE_WINDOW = 2000
_HOUR = timedelta(hours=1)

#: Head and fingerprint of the error, by task and end.
_Heads = dict[tuple[int, datetime], tuple[str, str]]

_NO_ERROR = "no error given"


@dataclass(slots=True)
class _Cache:
    #: A failed task stays as it is, so each is read once per process.
    #: Replaced as a whole, never changed: other threads read the one or the other.
    heads: _Heads


_cache = _Cache({})


def recent_failures(
    now: datetime, span: TimeRange | None = None, queue: str = "", kind: str = ""
) -> list[FailureGroup]:
    """Groups of the same task type and the same error but for numbers, most frequent first. A few small statements.

    Of the last hour unless a ``span`` is given; out of the newest ``WINDOW`` failed tasks, of one queue or type out of
    ``WIDE_WINDOW``.
    """
    start, end = (now - _HOUR, None) if span is None else (span.start, span.end)
    recent = _failed(start, end if end is not None and end <= now else None, queue, kind)
    heads = _read_heads([(pk, finished_at) for pk, finished_at, _ in recent])
    lanes = lanes_by_id({lane_id for _, _, lane_id in recent})
    groups: dict[tuple[str, str], FailureGroup] = {}
    for pk, finished_at, lane_id in recent:
        (head, cause), task_type = heads[pk, finished_at], lanes[lane_id].type
        group = groups.setdefault(
            (task_type, cause),
            FailureGroup(type=task_type, error=head, count=0, last_task=str(pk), last_at=finished_at),
        )
        group["count"] += 1
        if finished_at > group["last_at"]:
            group["last_task"], group["last_at"] = str(pk), finished_at
    ranked = sorted(groups.values(), key=lambda group: (-group["count"], group["type"], group["error"]))
    return ranked[:MAX_GROUPS]


def failed_alike(kind: str, head: str | None, now: datetime, *, limit: int) -> list[int]:
    """The newest tasks of one type that failed in the last hour with an error of this head, but for numbers in it.

    Out of the newest ``WINDOW`` of its failures.
    """
    cause = errors.fingerprint(head or _NO_ERROR)
    recent = [(pk, finished_at) for pk, finished_at, _ in _failed(now - _HOUR, None, "", kind)]
    heads = _read_heads(recent)
    return [key[0] for key in recent if heads[key][1] == cause][:limit]


def _failed(start: datetime, end: datetime | None, queue: str, kind: str) -> list[tuple[int, datetime, int]]:
    """Id, end and lane of the failed tasks that are looked at."""
    newest = Task.objects.filter(state=TaskState.FAILED).order_by("-id")
    if end is not None:
        # What was made after the end has not failed before it.
        last = Task.objects.order_by("-id").values_list("id", flat=True).first() or 0
        newest = newest.filter(id__lt=first_id_since(Task.objects.all(), "created_at", end, newest=last))
    wanted = {name: value for name, value in (("queue", queue), ("type", kind)) if value}
    lanes = set(Lane.objects.filter(**wanted).values_list("id", flat=True)) if wanted else None
    rows = newest.values_list("id", "finished_at", "lane_id")[: WINDOW if lanes is None else WIDE_WINDOW]
    return [
        (pk, finished_at, lane_id)
        for pk, finished_at, lane_id in rows
        if finished_at is not None
        and start < finished_at
        and (end is None or finished_at < end)
        and (lanes is None or lane_id in lanes)
    ][:WINDOW]


def forget() -> None:
    """Empty the cache (tests roll tasks back, whose ids are given out again)."""
    _cache.heads = {}


def _read_heads(keys: list[tuple[int, datetime]]) -> _Heads:
    cached = _cache.heads
    known = {key: cached[key] for key in keys if key in cached}
    ends = dict(key for key in keys if key not in known)
    if ends:
        sources = Task.objects.filter(id__in=list(ends)).annotate(source=errors.HEAD_SOURCE)
        for pk, source in sources.values_list("id", "source"):
            head = errors.head(source) or _NO_ERROR
            known[pk, ends[pk]] = head, errors.fingerprint(head)
    for pk, finished_at in ends.items():
        # Deleted in between.
        known.setdefault((pk, finished_at), (_NO_ERROR, _NO_ERROR))
    _cache.heads = known
    return known

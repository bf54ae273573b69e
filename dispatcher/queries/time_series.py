"""The charts of any stretch of time: of everything, of one queue or of one type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Max, QuerySet, Sum

from dispatcher.conf import conf
from dispatcher.models import MinuteRollup, SpanRollup
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.failures import recent_failures
from dispatcher.queries.minutes import CHART_MINUTES, MAX_QUEUES, Minute, deepest, last_minutes, series
from dispatcher.queries.queue_rows import oldest_waits
from dispatcher.queries.ranges import MINUTE, TimeRange
from dispatcher.queries.shapes import Series, SeriesPoint
from dispatcher.rollups.aggregate import DEAD, DEPTH, GAUGES
from dispatcher.rollups.spans import LEVELS, summed_until
from dispatcher.states import TaskState

_FIELDS = ("queue", "outcome", "count", "wait_histogram", "run_histogram")


class Subject(NamedTuple):
    """What the figures are of: a queue or a type, "" for all."""

    queue: str = ""
    type: str = ""


EVERYTHING = Subject()


class _Part(NamedTuple):
    """A stretch read from spans of so many minutes; 0: from the minutes themselves."""

    level: int
    start: datetime
    end: datetime


def time_series(
    span: TimeRange, now: datetime, subject: Subject = EVERYTHING, counts: LiveCounts | None = None
) -> Series:
    """The charts of ``span``. About ten small statements, of which none reads more than a few thousand rows.

    ``counts`` spares reading them again.
    """
    steps = _recent(span, subject, now) or _read(span, subject)
    depth_now, oldest_now = _waiting_now(span, now, subject, counts)
    queues = deepest(steps, depth_now)
    points = series(steps, depth_now, oldest_now, replaces=span.step == MINUTE)
    ended = sum((step.words for step in steps), start=type(steps[0].words)())
    return Series(
        range=span.name,
        start=span.start,
        end=span.end,
        step_seconds=int(span.step.total_seconds()),
        points=points,
        queues=queues[:MAX_QUEUES],
        queues_omitted=max(0, len(queues) - MAX_QUEUES),
        failed=ended[DEAD],
        failed_before=failed_before(span, now, subject),
        failures=recent_failures(now, span, subject.queue, subject.type),
    )


def chart_points(span: TimeRange, now: datetime, subject: Subject) -> list[SeriesPoint]:
    """The points of ``time_series`` alone: what a page of one queue or type begins its charts with."""
    return series(
        _recent(span, subject, now) or _read(span, subject),
        *_waiting_now(span, now, subject, None),
        replaces=span.step == MINUTE,
    )


def _waiting_now(
    span: TimeRange, now: datetime, subject: Subject, counts: LiveCounts | None
) -> tuple[dict[str, int], dict[str, int]]:
    """How many wait in each queue, and for how long the first of them has; nothing for a range that is over."""
    if span.end <= now or subject.type:
        return {}, {}
    counts = counts or live_counts()
    oldest = _only(oldest_waits(counts), subject.queue)
    return (
        dict(_only(counts.per_queue(TaskState.QUEUED), subject.queue)),
        {queue: _age(since, now) for queue, since in oldest.items()},
    )


def failed_before(span: TimeRange, now: datetime, subject: Subject = EVERYTHING) -> int | None:
    """Tasks that failed for good in the range before; None if its figures are partly deleted for their age."""
    before = span.before
    if before.start < now - timedelta(days=conf().keep_rollup_days):
        return None
    found = 0
    for part in _parts(before):
        rows = _rows(part, subject).filter(outcome=DEAD)
        found += rows.aggregate(total=Sum("count"))["total"] or 0
    return found


def _recent(span: TimeRange, subject: Subject, now: datetime) -> list[Minute]:
    """The minutes of a short range that ends now: most are known from the call before. None of any other range."""
    count = span.length // MINUTE
    is_known = bool(span.name) and span.step == MINUTE and count <= CHART_MINUTES and subject == EVERYTHING
    return last_minutes(now, count) if is_known else []


def _read(span: TimeRange, subject: Subject) -> list[Minute]:
    steps = {start: Minute(start) for start in span.starts}
    for at, *values in _values(_parts(span), subject):
        steps[span.step_of(at)].add(*values)
    return list(steps.values())


def _values(parts: Sequence[_Part], subject: Subject) -> Iterator[Any]:
    """Time, queue, outcome, count and histograms of all rows."""
    for part in parts:
        rows = _rows(part, subject)
        yield from rows.values_list("start" if part.level else "minute", *_FIELDS)
    if subject == EVERYTHING and any(part.level for part in parts):
        yield from _gauges([part for part in parts if part.level])


def _rows(part: _Part, subject: Subject) -> QuerySet[Any]:
    """The rows of the subject; of everything, from spans, without the gauges of queues."""
    if not part.level:
        minutes = MinuteRollup.objects.filter(minute__gte=part.start, minute__lt=part.end)
        return minutes.filter(**{name: value for name, value in subject._asdict().items() if value})
    return _spans(part, subject.type).filter(queue=subject.queue)


def _spans(part: _Part, kind: str = "") -> QuerySet[SpanRollup]:
    return SpanRollup.objects.filter(minutes=part.level, type=kind, start__gte=part.start, start__lt=part.end)


def _gauges(parts: Sequence[_Part]) -> Iterator[Any]:
    """Those of the queues that were deepest in any part: nobody could tell hundreds of lines apart."""
    names: set[str] = set()
    for part in parts:
        depths = _spans(part).filter(outcome=DEPTH).order_by().values("queue")
        names |= {row["queue"] for row in depths.annotate(most=Max("count")).order_by("-most")[: MAX_QUEUES + 1]}
    for part in parts:
        rows = _spans(part).filter(outcome__in=sorted(GAUGES), queue__in=sorted(names))
        yield from rows.values_list("start", *_FIELDS)


def _parts(span: TimeRange) -> list[_Part]:
    """The range cut to what is summed already, the longest spans first, and the minutes after that."""
    until, at, parts = summed_until(), span.start, []
    for level in reversed(LEVELS):
        stop = min(span.end, until.get(level, at))
        if span.step % timedelta(minutes=level) == timedelta() and stop > at:
            parts.append(_Part(level, at, stop))
            at = stop
    if at < span.end:
        parts.append(_Part(0, at, span.end))
    return parts


def _only(found: Any, queue: str) -> Any:
    return {name: value for name, value in found.items() if not queue or name == queue}


def _age(since: datetime, now: datetime) -> int:
    return max(0, round((now - since) / timedelta(milliseconds=1)))

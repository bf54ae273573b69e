"""Minutes summed up over five minutes and over an hour, by the loop that folds the feed and in its transaction.

A level is summed as far as its cursor says: what the spans before it hold is exactly what the minutes before it hold. A
change that is folded late, into a minute before the cursor, is added to the span as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from dispatcher.models import FeedCursor, MinuteRollup, SpanRollup
from dispatcher.rollups import histogram
from dispatcher.rollups.aggregate import GAUGES, Tally

#: Lengths of spans in minutes; each is made of the one before it, the first of the minutes themselves.
LEVELS = (5, 60)
#: How long a span rests before it is summed: what was committed in its last moments is folded by then, mostly.
_GRACE = timedelta(seconds=10)
#: Spans summed in one fold: the first time there may be months of minutes.
_MOST = 4
#: Up to which minute since 1970 each level is summed.
CURSORS = {level: f"rollups.span.{level}" for level in LEVELS}
_FIELDS = ("queue", "type", "outcome", "count", "wait_ms_sum", "run_ms_sum", "wait_histogram", "run_histogram")
_VALUES = ("count", "wait_ms_sum", "run_ms_sum", "wait_histogram", "run_histogram")

#: minute, queue, type, outcome
Key = tuple[datetime, str, str, str]


def summed_until() -> dict[int, datetime]:
    """Level → up to when its spans are summed; levels that have not begun are left out."""
    return {level: _time(number) for level, number in _positions().items()}


def is_behind(now: datetime, cursors: Mapping[str, FeedCursor]) -> bool:
    """Whether a span waits to be summed. ``cursors`` by name, with those of ``CURSORS``."""
    ready = _number(now - _GRACE)
    return any(name not in cursors or _floor(ready, level) > cursors[name].position for level, name in CURSORS.items())


def follow(added: Mapping[Key, Tally], until: datetime) -> bool:
    """Take in what was just added to minutes, and sum what is over at ``until``. True if more is left to sum."""
    positions = _positions()
    for level, position in positions.items():
        late = {key: tally for key, tally in added.items() if _number(key[0]) < position}
        if late:
            _add_late(level, late)
    behind = False
    ready = _number(until - _GRACE)
    for place, level in enumerate(LEVELS):
        source = LEVELS[place - 1] if place else None
        end = _floor(ready, level)
        position = _closed(level, source, positions.get(level), end)
        behind = behind or position < end
        # A longer span is made of shorter ones that are there.
        ready = min(ready, position)
        if position != positions.get(level):
            FeedCursor.objects.update_or_create(name=CURSORS[level], defaults={"position": position})
    return behind


def _closed(level: int, source: int | None, position: int | None, end: int) -> int:
    """Sum the next spans before ``end``; how far that came, in minutes since 1970."""
    if position is None:
        first = _next_number(source, 0)
        position = end if first is None else min(_floor(first, level), end)
    for _ in range(_MOST):
        if position >= end:
            break
        sums = _sum(level, _rows(source, position, position + level))
        SpanRollup.objects.bulk_create(_row(level, key, tally) for key, tally in sorted(sums.items()))
        position += level
        if not sums:
            following = _next_number(source, position)
            position = end if following is None else min(_floor(following, level), end)
    return position


def _sum(level: int, rows: Iterator[tuple[Key, Tally]]) -> defaultdict[Key, Tally]:
    sums: defaultdict[Key, Tally] = defaultdict(Tally)
    for (moment, queue, kind, word), tally in rows:
        _take(sums, (_time(_floor(_number(moment), level)), queue, kind, word), tally)
    return sums


def _take(sums: defaultdict[Key, Tally], key: Key, tally: Tally) -> None:
    if key[-1] in GAUGES:
        sums[key].count = max(sums[key].count, tally.count)
    else:
        sums[key].add(tally)


def _spread(key: Key) -> Iterator[Key]:
    """The sums that a row of a minute is part of."""
    moment, queue, kind, word = key
    yield moment, queue, "", word
    if word not in GAUGES:
        yield moment, "", kind, word
        yield moment, "", "", word


def _rows(source: int | None, first: int, end: int) -> Iterator[tuple[Key, Tally]]:
    """What the spans of ``source`` say of this stretch, or the minutes, spread over the sums that they are part of."""
    at = "minute" if source is None else "start"
    for moment, queue, kind, word, *values in _source(source, first, end).values_list(at, *_FIELDS):
        key, tally = (moment, queue, kind, word), _tally(*values)
        for each in _spread(key) if source is None else (key,):
            yield each, tally


def _source(source: int | None, first: int, end: int | None = None) -> QuerySet[MinuteRollup] | QuerySet[SpanRollup]:
    """The minutes, or the spans of level ``source``, from one minute to before another, or without an end."""
    at = "minute" if source is None else "start"
    bounds = {f"{at}__gte": _time(first)} | ({} if end is None else {f"{at}__lt": _time(end)})
    if source is None:
        return MinuteRollup.objects.filter(**bounds)
    return SpanRollup.objects.filter(minutes=source, **bounds)


def _next_number(source: int | None, position: int) -> int | None:
    """The first minute of the source from here on."""
    at = "minute" if source is None else "start"
    found = _source(source, position).order_by(at).values_list(at, flat=True).first()
    return None if found is None else _number(found)


def _add_late(level: int, late: Mapping[Key, Tally]) -> None:
    sums = _sum(level, ((each, tally) for key, tally in late.items() for each in _spread(key)))
    starts = {key[0] for key in sums}
    for start, *fields in SpanRollup.objects.filter(minutes=level, start__in=starts).values_list("start", *_FIELDS):
        key = (start, *fields[:3])
        if key in sums:
            _take(sums, key, _tally(*fields[3:]))
    SpanRollup.objects.bulk_create(
        (_row(level, key, tally) for key, tally in sorted(sums.items())),
        update_conflicts=True,
        unique_fields=["minutes", "type", "start", "queue", "outcome"],
        update_fields=_VALUES,
    )


def _tally(count: int, wait_ms: float, run_ms: float, wait: str, run: str) -> Tally:
    return Tally(count, wait_ms, run_ms, histogram.decode(wait), histogram.decode(run))


def _row(level: int, key: Key, tally: Tally) -> SpanRollup:
    start, queue, kind, word = key
    return SpanRollup(minutes=level, start=start, queue=queue, type=kind, outcome=word, **tally.columns)


def _positions() -> dict[int, int]:
    found = dict(FeedCursor.objects.filter(name__in=CURSORS.values()).values_list("name", "position"))
    return {level: found[name] for level, name in CURSORS.items() if name in found}


def _floor(number: int, level: int) -> int:
    return number - number % level


def _number(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _time(number: int) -> datetime:
    return datetime.fromtimestamp(number * 60, UTC)

"""The stored minutes, summed up for charts and rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from django.db.models import Count, Sum

from dispatcher.models import MinuteRollup
from dispatcher.queries.shapes import SeriesPoint
from dispatcher.rollups import histogram
from dispatcher.rollups.aggregate import CANCELLED, CREATED, DEAD, DEPTH, EXPIRED, OLDEST, RETRIED, SUCCEEDED, TIMED
from dispatcher.rollups.histogram import Histogram

MINUTE = timedelta(minutes=1)
CHART_MINUTES = 60
#: Queues whose depths a chart shows: the deepest.
MAX_QUEUES = 8
#: Minutes read anew at each call; what is older is read again only when something was folded into it.
_FRESH_MINUTES = 2
#: The histogram of nothing, as it is stored.
_NOTHING = "[]"
_ENDED = frozenset({SUCCEEDED, DEAD, CANCELLED, EXPIRED})


@dataclass
class Minute:
    """What happened in one minute, or in one longer step of a chart."""

    start: datetime
    words: Counter[str] = field(default_factory=Counter)
    #: Tasks submitted and tasks brought to an end, per queue.
    submitted: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    #: Ready tasks at the end of the minute, per queue.
    depth: dict[str, int] = field(default_factory=dict)
    #: How long the first of them has been waiting then, per queue, in ms.
    oldest: dict[str, int] = field(default_factory=dict)
    wait: Histogram = field(default_factory=histogram.empty)
    run: Histogram = field(default_factory=histogram.empty)

    def add(self, queue: str, word: str, count: int, wait: str, run: str) -> None:
        """Take in one stored row."""
        if word in (DEPTH, OLDEST):
            gauge = self.depth if word == DEPTH else self.oldest
            if count:
                gauge[queue] = max(gauge.get(queue, 0), count)
            return
        self.words[word] += count
        if word == CREATED:
            self.submitted[queue] += count
        elif word in _ENDED:
            self.ended[queue] += count
        if word in TIMED and (wait != _NOTHING or run != _NOTHING):
            histogram.add_stored(self.wait, wait)
            histogram.add_stored(self.run, run)

    @cached_property
    def point(self) -> SeriesPoint:
        """The minute in the charts; worked out once, when all its rows are in."""
        return SeriesPoint(
            minute=self.start,
            succeeded=self.words[SUCCEEDED],
            failed=self.words[DEAD],
            other=self.words[CANCELLED] + self.words[EXPIRED],
            retried=self.words[RETRIED],
            submitted=self.words[CREATED],
            wait_p50=histogram.percentile(self.wait, 0.5),
            wait_p95=histogram.percentile(self.wait, 0.95),
            wait_p99=histogram.percentile(self.wait, 0.99),
            run_p50=histogram.percentile(self.run, 0.5),
            run_p95=histogram.percentile(self.run, 0.95),
            run_p99=histogram.percentile(self.run, 0.99),
            depth=dict(sorted(self.depth.items())),
            oldest=dict(sorted(self.oldest.items())),
        )


class _Old(NamedTuple):
    """Minutes read before, and what the table said of them then."""

    start: datetime
    end: datetime
    version: tuple[int, int]
    minutes: list[Minute]


_old: list[_Old] = []


def last_minutes(now: datetime, count: int = CHART_MINUTES) -> list[Minute]:
    """The last ``count`` minutes (at most 60), oldest first; the last one is not over. Two statements."""
    current = now.replace(second=0, microsecond=0)
    start, fresh = current - (CHART_MINUTES - 1) * MINUTE, current - (_FRESH_MINUTES - 1) * MINUTE
    return [*_old_minutes(start, fresh), *_read(fresh, current + MINUTE)][-count:]


def forget() -> None:
    """Empty the cache (tests roll minutes back)."""
    _old.clear()


def deepest(minutes: Sequence[Minute], depth_now: Mapping[str, int]) -> list[str]:
    """The queues in which tasks waited, those first that were deepest."""
    highest = Counter({queue: depth for queue, depth in depth_now.items() if depth > 0})
    for minute in minutes:
        for queue, depth in minute.depth.items():
            highest[queue] = max(highest[queue], depth)
    return [queue for queue, _ in sorted(highest.items(), key=lambda found: (-found[1], found[0]))]


def series(
    minutes: Sequence[Minute],
    depth_now: Mapping[str, int],
    oldest_now: Mapping[str, int] | None = None,
    *,
    replaces: bool = True,
) -> list[SeriesPoint]:
    """The points of the charts, with the ``MAX_QUEUES`` deepest queues.

    The last one has the depths of this moment: in place of its own, or, unless it ``replaces`` them, where these are
    higher.
    """
    shown = set(deepest(minutes, depth_now)[:MAX_QUEUES])
    points = [_with_queues(minute.point, shown) for minute in minutes]
    last = points[-1]
    depth = {} if replaces else last["depth"]
    oldest = {} if replaces else last["oldest"]
    return [
        *points[:-1],
        last | {"depth": _highest(depth, depth_now, shown), "oldest": _highest(oldest, oldest_now or {}, shown)},
    ]


def _with_queues(point: SeriesPoint, shown: AbstractSet[str]) -> SeriesPoint:
    if point["depth"].keys() <= shown and point["oldest"].keys() <= shown:
        return point
    depth, oldest = (
        {queue: value for queue, value in gauge.items() if queue in shown}
        for gauge in (point["depth"], point["oldest"])
    )
    return point | {"depth": depth, "oldest": oldest}


def _highest(before: Mapping[str, int], now: Mapping[str, int], shown: AbstractSet[str]) -> dict[str, int]:
    found = {queue: max(before.get(queue, 0), now.get(queue, 0)) for queue in sorted(before.keys() | now.keys())}
    return {queue: value for queue, value in found.items() if value > 0 and queue in shown}


def per_minute(minutes: Sequence[Minute], now: datetime, count: Callable[[Minute], int]) -> float:
    """What ``count`` says of the last 60 seconds: the running minute, and its share of the one before."""
    before, running = minutes[-2:]
    elapsed = min(1.0, (now.replace(microsecond=0) - running.start) / MINUTE)
    return round(count(running) + count(before) * (1 - elapsed), 1)


def _old_minutes(start: datetime, end: datetime) -> list[Minute]:
    rows = MinuteRollup.objects.filter(minute__gte=start, minute__lt=end)
    found = rows.aggregate(rows=Count("id"), total=Sum("count"))
    version = (found["rows"], found["total"] or 0)
    for known in _old[-1:]:
        if (known.start, known.end, known.version) == (start, end, version):
            return known.minutes
    minutes = _read(start, end)
    _old[:] = [_Old(start, end, version, minutes)]
    return minutes


def _read(start: datetime, end: datetime) -> list[Minute]:
    """The minutes from ``start`` to before ``end``, also those without rows."""
    minutes = {start + n * MINUTE: Minute(start + n * MINUTE) for n in range((end - start) // MINUTE)}
    rows = MinuteRollup.objects.filter(minute__gte=start, minute__lt=end).values_list(
        "minute", "queue", "outcome", "count", "wait_histogram", "run_histogram"
    )
    for moment, queue, word, count, wait, run in rows:
        minutes[moment].add(queue, word, count, wait, run)
    return list(minutes.values())

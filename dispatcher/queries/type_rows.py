"""Task types as people look at them: who runs them, how fast, how well, by which schema."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Sum

from dispatcher import task_types
from dispatcher.models import Lane, MinuteRollup, Node
from dispatcher.queries.minutes import CHART_MINUTES, MINUTE, Minute, series
from dispatcher.queries.shapes import TypeDetail, TypeLine, TypeOffer, TypesDocument
from dispatcher.rollups import histogram
from dispatcher.rollups.aggregate import CANCELLED, DEAD, EXPIRED, SUCCEEDED, TIMED
from dispatcher.rollups.histogram import Histogram
from dispatcher.states import NodeIntent, NodeState
from dispatcher.task_types import TaskType

#: Nodes named for each version of a type.
MAX_NAMED_NODES = 50
#: Minutes read anew at each call, as for the charts of all types.
_FRESH_MINUTES = 2
_ENDED = frozenset({SUCCEEDED, DEAD, CANCELLED, EXPIRED})


@dataclass
class _Hour:
    """What the roll-ups say of one type: sums, and ended tasks by minute."""

    words: Counter[str] = field(default_factory=Counter)
    ended: Counter[datetime] = field(default_factory=Counter)
    wait: Histogram = field(default_factory=histogram.empty)
    run: Histogram = field(default_factory=histogram.empty)

    def add(self, other: _Hour) -> None:
        """Take in what was read of other minutes."""
        self.words.update(other.words)
        self.ended.update(other.ended)
        histogram.add(self.wait, other.wait)
        histogram.add(self.run, other.run)


class _Old(NamedTuple):
    """Minutes read before, and what the table said of them then."""

    span: tuple[datetime, datetime]
    version: tuple[int, int]
    hours: dict[str, _Hour]


_old: list[_Old] = []


def forget() -> None:
    """Empty the cache (tests roll minutes back)."""
    _old.clear()


def types_document(now: datetime) -> TypesDocument:
    """The document of the live topic ``types``: all known types, by name, with their last hour."""
    known, hours = task_types.known(), _last_hour(now)
    names = {*known, *Lane.objects.values_list("type", flat=True).distinct()}
    takers = _nodes_for_any()
    return TypesDocument(types=[_line(name, known.get(name), hours, now, takers) for name in sorted(names)])


def type_detail(name: str, now: datetime) -> TypeDetail | None:
    """The document of the live topic ``type:<name>``; None for a type that nobody has heard of."""
    known = task_types.known().get(name)
    queues = sorted(set(Lane.objects.filter(type=name).values_list("queue", flat=True)))
    if known is None and not queues:
        return None
    takers = _nodes_for_any()
    compiled = None if known is None else known.compiled
    return TypeDetail(
        type=_line(name, known, _last_hour(now), now, takers),
        timeout_seconds=None if known is None else known.newest.timeout_seconds,
        schema=None if known is None else known.chosen.schema,
        schema_errors=sorted({offer.word.schema_error for offer in known.offers} - {""}) if known else [],
        unchecked=sorted(compiled.unchecked) if compiled else [],
        offers=_offers(known) if known else [],
        queues=queues,
        series=series(_minutes_of(name, now), {}),
    )


def _line(name: str, known: TaskType | None, hours: Mapping[str, _Hour], now: datetime, takers: int) -> TypeLine:
    hour = hours.get(name) or _Hour()
    current = now.replace(second=0, microsecond=0)
    elapsed = min(1.0, (now.replace(microsecond=0) - current) / MINUTE)
    past = [current - n * MINUTE for n in reversed(range(CHART_MINUTES))]
    succeeded, failed = hour.words[SUCCEEDED], hour.words[DEAD]
    online = [offer for offer in known.offers if offer.is_online] if known else []
    return TypeLine(
        name=name,
        description=known.newest.description if known else "",
        versions=sorted({offer.word.version for offer in online} - {""}),
        has_schema=known is not None and known.chosen.schema is not None,
        schemas_differ=known is not None and len(known.digests) > 1,
        nodes_online=len(online) + takers,
        nodes_total=takers + (len(known.offers) if known else 0),
        per_minute=round(hour.ended[current] + hour.ended[current - MINUTE] * (1 - elapsed), 1),
        succeeded_last_hour=succeeded,
        failed_last_hour=failed,
        failed_share=failed / (succeeded + failed) if succeeded + failed else None,
        wait_p95=histogram.percentile(hour.wait, 0.95),
        run_p95=histogram.percentile(hour.run, 0.95),
        history=[hour.ended[minute] for minute in past],
    )


def _offers(known: TaskType) -> list[TypeOffer]:
    """The nodes by version and schema; those that are offline count, but are not named."""
    groups: defaultdict[tuple[str, str], list[task_types.Offer]] = defaultdict(list)
    for offer in known.offers:
        groups[offer.word.version, offer.word.digest].append(offer)
    made = []
    for (version, digest), offers in sorted(groups.items()):
        online = sorted(offer.node for offer in offers if offer.is_online)
        made.append(
            TypeOffer(
                key=f"{version} {digest}",
                version=version,
                schema=digest,
                is_used=digest == known.chosen.digest,
                nodes=online[:MAX_NAMED_NODES],
                nodes_online=len(online),
                nodes_total=len(offers),
            )
        )
    return made


def _nodes_for_any() -> int:
    """How many nodes that are online take tasks of any type."""
    alive = Node.objects.exclude(state=NodeState.OFFLINE).exclude(intent=NodeIntent.DISABLED)
    return alive.filter(types__isnull=True).count()


def _minutes_of(name: str, now: datetime) -> list[Minute]:
    """The last hour of one type, minute by minute."""
    current = now.replace(second=0, microsecond=0)
    start = current - (CHART_MINUTES - 1) * MINUTE
    minutes = {start + n * MINUTE: Minute(start + n * MINUTE) for n in range(CHART_MINUTES)}
    rows = MinuteRollup.objects.filter(minute__gte=start, minute__lte=current, type=name)
    fields = rows.values_list("minute", "queue", "outcome", "count", "wait_histogram", "run_histogram")
    for moment, queue, word, count, wait, run in fields:
        minutes[moment].add(queue, word, count, wait, run)
    return list(minutes.values())


def _last_hour(now: datetime) -> dict[str, _Hour]:
    """All types over the last 60 minutes; the last one is not over. Two statements, the first of them small."""
    current = now.replace(second=0, microsecond=0)
    start, fresh = current - (CHART_MINUTES - 1) * MINUTE, current - (_FRESH_MINUTES - 1) * MINUTE
    sums: dict[str, _Hour] = {}
    for hours in (_old_hours(start, fresh), _read(start=fresh, end=current + MINUTE)):
        for name, hour in hours.items():
            sums.setdefault(name, _Hour()).add(hour)
    return sums


def _old_hours(start: datetime, end: datetime) -> dict[str, _Hour]:
    found = MinuteRollup.objects.filter(minute__gte=start, minute__lt=end).aggregate(rows=Count("id"), n=Sum("count"))
    version = (found["rows"], found["n"] or 0)
    for known in _old[-1:]:
        if (known.span, known.version) == ((start, end), version):
            return known.hours
    hours = _read(start, end)
    _old[:] = [_Old((start, end), version, hours)]
    return hours


def _read(start: datetime, end: datetime, words: Collection[str] = _ENDED | TIMED) -> dict[str, _Hour]:
    hours: defaultdict[str, _Hour] = defaultdict(_Hour)
    rows = MinuteRollup.objects.filter(minute__gte=start, minute__lt=end, outcome__in=words)
    fields = rows.values_list("minute", "type", "outcome", "count", "wait_histogram", "run_histogram")
    for moment, name, word, count, wait, run in fields:
        hour = hours[name]
        hour.words[word] += count
        if word in _ENDED:
            hour.ended[moment] += count
        if word in TIMED:
            histogram.add(hour.wait, histogram.decode(wait))
            histogram.add(hour.run, histogram.decode(run))
    return dict(hours)

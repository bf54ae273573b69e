from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from django.db import connection

from dispatcher.models import FeedCursor, MinuteRollup, SpanRollup
from dispatcher.rollups import fold, histogram
from dispatcher.rollups.aggregate import GAUGES
from dispatcher.rollups.spans import LEVELS, summed_until
from dispatcher.states import TaskState
from tests.factories import NOW, make_node, make_task
from tests.histories import random_step

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def fold_all(now: datetime) -> None:
    while fold(now).more:
        pass


def true_sums(level: int) -> dict[tuple[datetime, str, str, str], tuple[int, list[int], list[int]]]:
    """What the spans that are summed should hold, from the minutes themselves."""
    counts: Counter[tuple[datetime, str, str, str]] = Counter()
    waits: defaultdict[tuple[datetime, str, str, str], list[int]] = defaultdict(histogram.empty)
    runs: defaultdict[tuple[datetime, str, str, str], list[int]] = defaultdict(histogram.empty)
    for row in MinuteRollup.objects.filter(minute__lt=summed_until()[level]):
        start = row.minute - timedelta(minutes=row.minute.hour * 60 + row.minute.minute) % timedelta(minutes=level)
        for queue, kind in subjects(row):
            key = (start, queue, kind, row.outcome)
            counts[key] = max(counts[key], row.count) if row.outcome in GAUGES else counts[key] + row.count
            histogram.add(waits[key], histogram.decode(row.wait_histogram))
            histogram.add(runs[key], histogram.decode(row.run_histogram))
    return {key: (counts[key], waits[key], runs[key]) for key in counts}


def subjects(row: MinuteRollup) -> Iterable[tuple[str, str]]:
    return {(row.queue, "")} if row.outcome in GAUGES else {(row.queue, ""), ("", row.type), ("", "")}


def stored(level: int) -> dict[tuple[datetime, str, str, str], tuple[int, list[int], list[int]]]:
    return {
        (row.start, row.queue, row.type, row.outcome): (
            row.count,
            histogram.decode(row.wait_histogram),
            histogram.decode(row.run_histogram),
        )
        for row in SpanRollup.objects.filter(minutes=level)
    }


@pytest.mark.parametrize("seed", range(3))
def test_spans_are_the_sums_of_their_minutes_whatever_happened_and_whenever_it_was_folded(seed: int) -> None:
    rng = random.Random(seed)
    nodes = [make_node(), make_node()]
    now = NOW
    for _ in range(60):
        now += timedelta(seconds=rng.choice([1, 20, 90, 400]))
        random_step(rng, nodes, now)
        if rng.random() < 0.4:
            fold(now, limit=rng.choice([1, 3, 500]))
    fold_all(now + 2 * HOUR)
    for level in LEVELS:
        assert summed_until()[level] > now
        assert stored(level) == true_sums(level) != {}


def test_a_change_that_is_folded_after_its_span_is_added_to_it() -> None:
    start = NOW - 3 * HOUR
    make_task(state=TaskState.SUCCEEDED, now=start)
    fold_all(NOW)
    before = {level: stored(level) for level in LEVELS}
    make_task(state=TaskState.SUCCEEDED, now=start, queue="gpu")
    fold_all(NOW)
    for level in LEVELS:
        assert stored(level) == true_sums(level)
        assert sum(count for count, *_ in stored(level).values()) > sum(count for count, *_ in before[level].values())


def test_months_of_minutes_are_summed_a_few_at_a_time_and_empty_stretches_are_skipped() -> None:
    for days in (40, 39.9, 2):
        minute = (NOW - timedelta(days=days)).replace(second=0, microsecond=0)
        MinuteRollup.objects.create(minute=minute, queue="gpu", type="x", outcome="succeeded", count=5)
    steps = 0
    while fold(NOW).more:
        steps += 1
    assert 0 < steps < 10
    for level in LEVELS:
        assert stored(level) == true_sums(level)
        assert sum(count for (_, queue, kind, _), (count, *_) in stored(level).items() if not queue + kind) == 15


def test_a_fold_that_fails_leaves_spans_and_their_cursors_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    make_task(state=TaskState.SUCCEEDED, now=NOW - HOUR)
    fold_all(NOW - HOUR)
    positions = dict(FeedCursor.objects.values_list("name", "position"))

    def failing(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("dispatcher.rollups.folding._store_nodes", failing)
    with pytest.raises(RuntimeError):
        fold(NOW)
    assert dict(FeedCursor.objects.values_list("name", "position")) == positions
    assert stored(5) == {}
    monkeypatch.undo()
    fold_all(NOW)
    assert stored(5) == true_sums(5) != {}


def test_how_long_the_first_has_waited_is_noted_once_a_minute_for_each_queue() -> None:
    make_task(queue="gpu", queued_at=NOW - timedelta(minutes=7))
    make_task(queue="cpu", queued_at=NOW - timedelta(minutes=2))
    fold_all(NOW)
    over = NOW.replace(second=0, microsecond=0) + timedelta(minutes=1)
    fold_all(over)
    fold_all(over + timedelta(seconds=30))
    ages = MinuteRollup.objects.filter(outcome="oldest", minute=over - timedelta(minutes=1))
    assert dict(ages.values_list("queue", "count")) == {
        "gpu": (over - NOW + timedelta(minutes=7)) // timedelta(milliseconds=1),
        "cpu": (over - NOW + timedelta(minutes=2)) // timedelta(milliseconds=1),
    }


def test_a_chart_of_a_week_reads_a_stretch_of_the_index() -> None:
    for number in range(2000):
        SpanRollup.objects.create(
            minutes=60, start=NOW + timedelta(hours=number % 500), queue=f"q{number}", outcome="succeeded"
        )
    rows = SpanRollup.objects.filter(minutes=60, type="", start__gte=NOW, start__lt=NOW + timedelta(hours=9), queue="")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert "span_rollup_unique" in rows.explain() or "sqlite_autoindex" in rows.explain()

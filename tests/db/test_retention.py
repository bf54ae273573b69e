"""Retention of what is not a task."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatcher import retention
from dispatcher.models import Change, EngineProcess, FeedCursor, IdempotencyKey, MinuteRollup
from dispatcher.models.by_time import first_id_since
from dispatcher.rollups import CURSOR
from tests.factories import NOW

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def change(age: timedelta, actor: str = "") -> int:
    return Change.objects.create(at=NOW - age, kind="tasks.changed", actor=actor, body="{}").pk


def passed(position: int) -> None:
    FeedCursor.objects.update_or_create(name=CURSOR, defaults={"position": position})


def left() -> set[int]:
    return set(Change.objects.values_list("id", flat=True))


def test_the_feed_goes_after_its_days_and_what_people_did_stays_longer() -> None:
    change(400 * DAY, "op")
    change(10 * DAY)
    audit = [change(9 * DAY, "op"), change(4 * DAY, "op")]
    change(4 * DAY)
    kept = [change(2 * DAY), change(DAY, "op")]
    passed(kept[-1] + 1)
    assert not retention.prune_companions(now=NOW)
    assert left() == {*audit, *kept}


def test_what_the_counters_have_not_passed_stays_however_old() -> None:
    rows = [change(10 * DAY) for _ in range(4)]
    retention.prune_companions(now=NOW)
    assert left() == set(rows)
    passed(rows[2])
    retention.prune_companions(now=NOW)
    assert left() == set(rows[2:])


def test_a_full_batch_asks_for_another_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    rows = [change(10 * DAY) for _ in range(5)]
    passed(rows[-1] + 1)
    assert retention.prune_companions(now=NOW)
    assert not retention.prune_companions(now=NOW)
    assert left() == set()


def test_looking_for_old_rows_does_not_read_the_young_ones() -> None:
    rows = [change(timedelta(seconds=3000 - n)) for n in range(3000)]
    passed(rows[-1] + 1)
    with CaptureQueriesContext(connection) as queries:
        retention.prune_companions(now=NOW)
    bounds = [
        int(bound)
        for query in queries.captured_queries
        for bound in re.findall(r'"dispatcher_change"."id" < (\d+)', query["sql"])
    ]
    assert bounds
    assert max(bounds) <= rows[0]


@pytest.mark.parametrize("gap", [0, 7])
def test_a_moment_is_found_among_ids_with_gaps(gap: int) -> None:
    rows: list[int] = []
    for age in range(40, 0, -1):
        rows.append(change(age * DAY))
        if gap and age % gap == 0:
            Change.objects.filter(pk=rows.pop()).delete()

    def found(moment: datetime) -> int:
        return first_id_since(Change.objects.all(), "at", moment, newest=rows[-1])

    for moment in (NOW - 50 * DAY, NOW - 21 * DAY, NOW - 20.5 * DAY, NOW - DAY):
        later = Change.objects.filter(at__gte=moment).order_by("id").values_list("id", flat=True)
        before = Change.objects.filter(at__lt=moment).order_by("-id").values_list("id", flat=True).first() or 0
        assert before < found(moment) <= later[0]
    assert found(NOW) == rows[-1] + 1


def test_minutes_keys_and_engines_go_after_their_time() -> None:
    for age in (91 * DAY, DAY):
        MinuteRollup.objects.create(minute=NOW - age, queue="q", type="t", outcome="succeeded")
    for key, age in (("old", 8 * DAY), ("young", DAY)):
        IdempotencyKey.objects.create(key=key, digest="", task_id=1, created_at=NOW - age)
    for key, age in (("gone", timedelta(hours=2)), ("here", timedelta(seconds=5))):
        EngineProcess.objects.create(id=key, host="h", pid=1, started_at=NOW - DAY, last_seen_at=NOW - age)
    retention.prune_companions(now=NOW)
    assert list(MinuteRollup.objects.values_list("minute", flat=True)) == [NOW - DAY]
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["young"]
    assert list(EngineProcess.objects.values_list("id", flat=True)) == ["here"]

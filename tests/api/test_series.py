from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from dispatcher.models import MinuteRollup, NodeMinute
from dispatcher.rollups import fold
from dispatcher.rollups.aggregate import CREATED
from dispatcher.states import TaskState
from tests.api.conftest import Caller
from tests.factories import make_node, make_task

pytestmark = pytest.mark.django_db


def ask(caller: Caller, **params: str) -> dict:
    answer = caller.read(f"/api/v1/series?{urlencode(params)}")
    assert answer.status == 200, answer.json
    return answer.json


@pytest.mark.parametrize(
    ("name", "points", "step"), [("15m", 15, 60), ("1h", 60, 60), ("6h", 72, 300), ("24h", 96, 900), ("7d", 84, 7200)]
)
def test_a_range_has_its_steps(viewer: Caller, name: str, points: int, step: int) -> None:
    found = ask(viewer, range=name)
    assert (found["range"], len(found["points"]), found["step_seconds"]) == (name, points, step)
    assert found["points"][0]["minute"] == found["start"]


def test_figures_are_the_same_before_and_after_their_minutes_are_summed(viewer: Caller) -> None:
    now = timezone.now()
    for ago in (200, 100, 3):
        make_task(state=TaskState.SUCCEEDED, queue="gpu", task_type="a", now=now - timedelta(minutes=ago))
        make_task(state=TaskState.FAILED, queue="cpu", task_type="b", now=now - timedelta(minutes=ago))
    while fold(now - timedelta(hours=4)).more:
        pass
    while fold(now).more:
        pass
    for name in ("6h", "24h", "7d"):
        found = ask(viewer, range=name)
        assert sum(point["succeeded"] for point in found["points"]) == 3
        assert (found["failed"], found["failed_before"]) == (3, 0)
        assert [group["count"] for group in found["failures"]] == [3]
        gpu, b = ask(viewer, range=name, queue="gpu"), ask(viewer, range=name, type="b")
        assert (sum(point["succeeded"] for point in gpu["points"]), gpu["failed"], gpu["failures"]) == (3, 0, [])
        assert (sum(point["succeeded"] for point in b["points"]), b["failed"]) == (0, 3)
    assert (ask(viewer, range="1h")["failed"], ask(viewer, range="1h")["failed_before"]) == (1, 1)


def test_a_stretch_that_stays_is_widened_to_whole_steps(viewer: Caller) -> None:
    found = ask(viewer, **{"from": "2026-03-29T00:07:00+01:00", "to": "2026-03-29T12:00:00+02:00"})
    assert (found["range"], found["step_seconds"]) == ("", 900)
    assert datetime.fromisoformat(found["start"]) == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert datetime.fromisoformat(found["end"]) == datetime(2026, 3, 29, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"range": "2h"}, "range"),
        ({"range": "1h", "from": "2026-01-01T00:00:00Z"}, "range"),
        ({"to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "soon"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
        ({"from": "2020-01-01T00:00:00Z", "to": "2022-01-01T00:00:00Z"}, "from"),
        ({"from": "2198-01-01T00:00:00Z"}, "from"),
        ({"queue": "a", "type": "b"}, "type"),
        ({"type": "b", "node": "w-1"}, "node"),
        ({"queue": "a\nb"}, "queue"),
        ({"que": "a"}, "que"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(viewer: Caller, params: dict[str, str], field: str) -> None:
    answer = viewer.read(f"/api/v1/series?{urlencode(params)}")
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)


def test_a_node_has_the_attempts_that_ended_on_it(viewer: Caller) -> None:
    now = timezone.now()
    one, other = make_node("w-1", now=now), make_node("w-2", now=now)
    minute = (now - timedelta(minutes=70)).replace(second=0, microsecond=0)
    NodeMinute.objects.create(minute=minute, node_id=one.pk, succeeded=3, failed=1)
    NodeMinute.objects.create(minute=minute, node_id=other.pk, succeeded=40)
    found = ask(viewer, node="w-1", range="6h")
    assert (sum(point["succeeded"] for point in found["points"]), found["failed"]) == (3, 1)
    assert ask(viewer, node="w-1")["failed"] == 0
    assert viewer.read("/api/v1/series?node=nobody").status == 404


def test_a_queue_has_what_came_in_and_what_ended(viewer: Caller) -> None:
    now = timezone.now()
    for queue in ("gpu", "gpu", "cpu"):
        make_task(state=TaskState.SUCCEEDED, queue=queue, now=now - timedelta(minutes=3))
    while fold(now).more:
        pass
    for name in ("1h", "6h"):
        points = ask(viewer, queue="gpu", range=name)["points"]
        assert sum(point["succeeded"] for point in points) == 2
        assert sum(point["submitted"] for point in points) == sum(
            row.count for row in MinuteRollup.objects.filter(queue="gpu", outcome=CREATED)
        )

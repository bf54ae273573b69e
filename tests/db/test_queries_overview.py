from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatcher import events
from dispatcher.models import MinuteRollup, Task
from dispatcher.queries import live_counts, overview, queues
from dispatcher.queries.minutes import last_minutes, per_minute
from dispatcher.rollups import fold
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState
from tests.factories import (
    NOW,
    make_change,
    make_engine,
    make_error,
    make_lane,
    make_node,
    make_queue,
    make_task,
    tell,
)
from tests.histories import random_step

pytestmark = pytest.mark.django_db

MINUTE = NOW.replace(second=0)


def true_counts() -> dict[str, int]:
    found = Counter(Task.objects.values_list("state", flat=True))
    return {state.word: found[state.value] for state in TaskState}


def test_an_empty_installation_has_an_overview() -> None:
    found = overview(NOW)
    assert found["counts"] == true_counts()
    assert found["oldest_wait"] is None
    assert len(found["series"]) == 60
    assert found["series"][-1]["minute"] == MINUTE
    assert (found["nodes"], found["failures"], found["stuck"]["overdue"]) == ([], [], 0)
    assert (found["engines_online"], found["finished_per_second"], found["failed"]) == (0, 0.0, 0)


@pytest.mark.parametrize("folded", [True, False])
def test_counts_are_right_before_and_after_folding(folded: bool) -> None:
    for state in TaskState:
        make_task(state=state)
    if folded:
        fold(NOW)
    assert overview(NOW)["counts"] == true_counts()


def test_counts_follow_a_random_history_at_every_step() -> None:
    rng = random.Random(11)
    nodes = [make_node(), make_node()]
    for step in range(40):
        now = NOW + timedelta(seconds=step)
        random_step(rng, nodes, now)
        if rng.random() < 0.3:
            fold(now, limit=rng.choice([1, 500]))
        assert overview(now)["counts"] == true_counts()


def test_counts_of_lanes() -> None:
    gpu = make_task(queue="gpu").lane
    make_task(queue="cpu")
    fold(NOW)
    make_task(queue="gpu", state=TaskState.RUNNING)
    assert live_counts().totals({gpu.pk})["queued"] == 1
    assert live_counts().totals({gpu.pk})["running"] == 1
    assert live_counts().totals()["queued"] == 2


def test_the_longest_wait_is_found_whatever_its_priority() -> None:
    make_task(queue="gpu", queued_at=NOW - timedelta(minutes=14), priority=-5)
    make_task(queue="gpu", queued_at=NOW - timedelta(minutes=2), priority=9)
    make_task(queue="cpu", queued_at=NOW - timedelta(minutes=3))
    make_task(queue="cpu", state=TaskState.SUCCEEDED, queued_at=NOW - timedelta(hours=1))
    found = overview(NOW)
    assert found["oldest_wait"] == {"queue": "gpu", "since": NOW - timedelta(minutes=14)}
    assert {row["name"]: row["oldest_since"] for row in queues(NOW)} == {
        "gpu": NOW - timedelta(minutes=14),
        "cpu": NOW - timedelta(minutes=3),
    }


def test_the_series_shows_each_minute_by_what_came_of_tasks() -> None:
    earlier = NOW - timedelta(minutes=3)
    for state in (TaskState.SUCCEEDED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED):
        make_task(state=state, now=earlier)
    again = make_task(state=TaskState.SCHEDULED, now=earlier)
    tell(again, TaskState.RUNNING, at=earlier, outcome="failed")
    fold(NOW)
    point = overview(NOW)["series"][-4]
    assert point["minute"] == MINUTE - timedelta(minutes=3)
    assert (point["succeeded"], point["failed"], point["other"], point["retried"]) == (2, 1, 2, 1)
    assert (point["wait_p50"], point["run_p50"]) == (6.0, 24.0)
    assert overview(NOW)["failed"] == 1
    assert overview(NOW + timedelta(hours=2))["failed"] == 0


def test_a_minute_folded_late_is_read_again() -> None:
    overview(NOW)
    make_task(state=TaskState.SUCCEEDED, now=NOW - timedelta(minutes=30))
    fold(NOW)
    assert overview(NOW)["series"][-31]["succeeded"] == 1


def test_the_last_point_has_the_depths_of_this_moment() -> None:
    make_task(queue="gpu", now=NOW - timedelta(minutes=1))
    fold(NOW - timedelta(minutes=1))
    make_task(queue="gpu")
    series = overview(NOW)["series"]
    assert (series[-2]["depth"], series[-1]["depth"]) == ({"gpu": 1}, {"gpu": 2})


def test_rates_are_of_the_last_sixty_seconds() -> None:
    for minute, count in ((MINUTE - timedelta(minutes=1), 60), (MINUTE, 10)):
        MinuteRollup.objects.create(minute=minute, queue="gpu", type="x", outcome="succeeded", count=count)
    minutes = last_minutes(NOW)
    assert per_minute(minutes, NOW, lambda minute: minute.ended["gpu"]) == 10 + 60 * 0.5
    assert overview(NOW)["finished_per_second"] == round(40 / 60, 1)
    make_queue("gpu")
    assert queues(NOW)[0]["out_per_minute"] == 40.0


def test_nodes_show_load_by_our_own_accounting() -> None:
    node = make_node("w-1", slots=2, labels={"gpu": "yes"}, breaker=BreakerState.OPEN, version="1.2")
    for state in (TaskState.RUNNING, TaskState.RUNNING, TaskState.DISPATCHED, TaskState.SUCCEEDED, TaskState.FAILED):
        make_task(state=state, node=node)
    fold(NOW)
    row = overview(NOW)["nodes"][0]
    assert (row["held"], row["busy"], row["waiting_on_node"], row["running"]) == (3, 2, 1, 2)
    assert (row["succeeded_last_hour"], row["failed_last_hour"]) == (1, 1)
    assert (row["labels"], row["breaker"], row["version"]) == ({"gpu": "yes"}, "open", "1.2")
    assert overview(NOW + timedelta(hours=1))["nodes"][0]["failed_last_hour"] == 0


def test_the_pool_is_without_disabled_nodes_and_only_online_ones_have_slots() -> None:
    make_node(slots=4)
    make_node(slots=4, state=NodeState.OFFLINE)
    make_node(slots=4, intent=NodeIntent.DISABLED)
    found = overview(NOW)
    assert (found["nodes_online"], found["nodes_total"], found["slots_total"]) == (1, 2, 4)
    assert len(found["nodes"]) == 3


def test_a_hold_that_is_over_is_not_shown() -> None:
    make_node("w-1", held_until=NOW + timedelta(seconds=5))
    assert overview(NOW)["nodes"][0]["held_until"] == NOW + timedelta(seconds=5)
    assert overview(NOW + timedelta(seconds=5))["nodes"][0]["held_until"] is None


def test_queues_show_depth_pause_and_history() -> None:
    make_queue("gpu", policy="spread", paused_at=NOW, paused_by="bob", pause_reason="move")
    make_task(queue="gpu")
    make_task(queue="gpu", state=TaskState.SCHEDULED)
    make_task(queue="gpu", state=TaskState.RUNNING)
    fold(NOW)
    row = queues(NOW)[0]
    assert (row["name"], row["policy"], row["depth"], row["scheduled"], row["active"]) == ("gpu", "spread", 1, 1, 1)
    assert row["paused"] == {"by": "bob", "reason": "move", "since": NOW}
    assert row["depth_history"] == [0] * 29 + [1]
    assert row["in_per_minute"] == 3.0


def test_failures_are_grouped_by_what_they_have_in_common() -> None:
    for n in range(3):
        make_task(state=TaskState.FAILED, task_type="fetch", error=make_error("Timeout", f"no answer in {n} s"))
    last = make_task(state=TaskState.FAILED, task_type="fetch", error=make_error("HTTPError", "503"))
    make_task(state=TaskState.FAILED, task_type="old", now=NOW - timedelta(hours=2))
    groups = overview(NOW)["failures"]
    assert [(group["type"], group["error"], group["count"]) for group in groups] == [
        ("fetch", "Timeout: no answer in 2 s", 3),
        ("fetch", "HTTPError: 503", 1),
    ]
    assert groups[1]["last_task"] == str(last.pk)


def test_engines_count_while_they_are_heard_from() -> None:
    make_engine("one")
    make_engine("two", now=NOW - timedelta(minutes=1))
    assert overview(NOW)["engines_online"] == 1


def test_an_overview_costs_about_a_dozen_small_statements() -> None:
    for state in TaskState:
        make_task(state=state)
    fold(NOW)
    overview(NOW)
    make_task()
    with CaptureQueriesContext(connection) as queries:
        overview(NOW)
    assert len(queries) <= 15
    counted = [
        query["sql"] for query in queries if "count(" in query["sql"].lower() and '"dispatcher_task"' in query["sql"]
    ]
    # Only what nodes hold, which its own index bounds.
    assert len(counted) == 1
    assert "IN ((2), (3))" in counted[0]


def test_a_flood_that_no_engine_folds_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.queries.counts.MAX_UNFOLDED", 3)
    lane = make_lane().pk
    for n in range(5):
        make_change(events.TasksChanged(rows=[events.TaskChange(n, None, 1, 0, lane)]))
    assert live_counts().totals()["queued"] == 3

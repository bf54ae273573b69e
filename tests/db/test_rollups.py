from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatcher import events
from dispatcher.models import Change, FeedCursor, MinuteRollup, NodeMinute, StateCount, Task
from dispatcher.rollups import CURSOR, fold
from dispatcher.states import TaskState
from tests.factories import NOW, make_change, make_lane, make_node, make_task, tell
from tests.histories import random_step

pytestmark = pytest.mark.django_db

MINUTE = NOW.replace(second=0)


def fold_all(now=NOW, limit=500) -> int:
    folded = 0
    while True:
        result = fold(now, limit)
        folded += result.rows
        if not result.more:
            return folded


def start_at_the_end() -> None:
    """Not at 0: on PostgreSQL the ids that earlier tests took are holes, which stay open as long as the test's
    transaction."""
    FeedCursor.objects.create(name=CURSOR, position=Change.objects.create(at=NOW, kind="none", body="{}").pk)


def counts() -> dict[tuple[int, int], int]:
    return {(row.lane_id, row.state): row.count for row in StateCount.objects.all() if row.count}


def true_counts() -> dict[tuple[int, int], int]:
    rows = Task.objects.values_list("lane_id", "state")
    return dict(Counter((lane, 3 if state == 2 else state) for lane, state in rows))


def minutes() -> dict[tuple[str, str, str], int]:
    return {(row.queue, row.type, row.outcome): row.count for row in MinuteRollup.objects.all()}


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_counts_are_those_of_the_table(limit: int) -> None:
    for state in TaskState:
        make_task(state=state)
        make_task(state=state, queue="other", task_type="render")
    folded = fold_all(limit=limit)
    assert folded == Change.objects.count()
    assert counts() == true_counts()


def test_folding_again_changes_nothing() -> None:
    make_task(state=TaskState.SUCCEEDED)
    fold_all()
    before = counts(), minutes()
    assert fold(NOW) == (0, False)
    assert (counts(), minutes()) == before


def test_a_full_batch_says_that_there_is_more() -> None:
    for _ in range(3):
        make_task()
    assert fold(NOW, limit=2) == (2, True)
    assert fold(NOW, limit=2) == (1, False)


def test_minutes_say_what_happened_to_tasks_and_attempts() -> None:
    lane = make_lane("gpu", "render")
    make_task(state=TaskState.SUCCEEDED, lane=lane)
    make_task(state=TaskState.FAILED, lane=lane)
    make_task(state=TaskState.CANCELLED, lane=lane)
    make_task(state=TaskState.EXPIRED, lane=lane)
    again = make_task(state=TaskState.SCHEDULED, lane=lane, attempt=1)
    tell(again, TaskState.RUNNING, outcome="timed_out", wait_ms=1, run_ms=2000)
    fold_all()
    found = {word: count for (queue, kind, word), count in minutes().items() if (queue, kind) == ("gpu", "render")}
    assert found == {
        "created": 5,
        "succeeded": 1,
        "failed": 1,
        "dead": 1,
        "cancelled": 1,
        "expired": 1,
        "timed_out": 1,
        "retried": 1,
    }


def test_an_attempt_cancelled_on_its_node_counts_once() -> None:
    task = make_task(state=TaskState.CANCELLED, feed=False)
    tell(task, TaskState.RUNNING, outcome="cancelled", run_ms=5)
    fold_all()
    assert minutes()["default", "echo", "cancelled"] == 1


def test_attempts_that_do_not_count_are_not_called_retried() -> None:
    task = make_task(state=TaskState.SCHEDULED, feed=False)
    tell(task, TaskState.DISPATCHED, outcome="rejected")
    fold_all()
    assert minutes()["default", "echo", "rejected"] == 1
    assert ("default", "echo", "retried") not in minutes()


def test_durations_are_kept_in_histograms_that_add_up_over_batches() -> None:
    task = make_task(state=TaskState.SUCCEEDED, feed=False)
    for wait, run in [(0.5, 1.0), (3.0, 1000.0)]:
        tell(task, TaskState.RUNNING, outcome="succeeded", wait_ms=wait, run_ms=run)
        fold_all()
    row = MinuteRollup.objects.get(outcome="succeeded")
    assert (row.count, row.wait_ms_sum, row.run_ms_sum) == (2, 3.5, 1001.0)
    assert row.wait_histogram == "[1,0,1]"
    assert row.run_histogram == "[0,1,0,0,0,0,0,0,0,0,1]"


def test_lanes_of_one_queue_and_type_share_their_minute() -> None:
    make_task(lane=make_lane("gpu", "render"))
    make_task(lane=make_lane("gpu", "render", labels={"gpu": "yes"}))
    fold_all()
    assert minutes()["gpu", "render", "created"] == 2


def test_a_change_counts_in_the_minute_in_which_it_was_made() -> None:
    task = make_task(feed=False)
    tell(task, None, at=NOW - timedelta(minutes=7))
    fold_all(NOW)
    assert MinuteRollup.objects.get(outcome="created").minute == MINUTE - timedelta(minutes=7)


def test_nodes_get_what_ended_on_them() -> None:
    first, second = make_node(), make_node()
    make_task(state=TaskState.SUCCEEDED, node=first)
    make_task(state=TaskState.SUCCEEDED, node=first)
    fold_all()
    make_task(state=TaskState.FAILED, node=first)
    make_task(state=TaskState.FAILED, node=second)
    fold_all()
    found = {row.node_id: (row.succeeded, row.failed) for row in NodeMinute.objects.all()}
    assert found == {first.pk: (2, 1), second.pk: (0, 1)}


def test_old_minutes_of_nodes_leave() -> None:
    NodeMinute.objects.create(minute=NOW - timedelta(hours=4), node_id=1, succeeded=1)
    NodeMinute.objects.create(minute=NOW - timedelta(minutes=59), node_id=1, succeeded=1)
    fold(NOW)
    assert NodeMinute.objects.count() == 1


def test_deleted_tasks_leave_the_counts() -> None:
    lane = make_task(state=TaskState.SUCCEEDED).lane
    make_task(state=TaskState.SUCCEEDED, lane=lane)
    make_change(events.TasksPruned(counts=[(lane.pk, TaskState.SUCCEEDED.value, 1)]))
    fold_all()
    assert counts() == {(lane.pk, TaskState.SUCCEEDED.value): 1}


def depths() -> dict[tuple[int, str], int]:
    """Depth rows, by how many minutes ago."""
    rows = MinuteRollup.objects.filter(outcome="depth")
    return {(int((MINUTE - row.minute).total_seconds()) // 60, row.queue): row.count for row in rows}


def test_depths_are_the_ready_tasks_at_the_end_of_each_minute() -> None:
    earlier = NOW - timedelta(minutes=2)
    make_task(queue="gpu", now=earlier)
    fold_all(earlier)
    make_task(queue="gpu", now=earlier)
    fold_all(earlier)
    assert depths() == {(2, "gpu"): 2}
    # Nothing happens for a minute, then one is taken.
    taken = make_task(queue="gpu", state=TaskState.RUNNING, feed=False)
    tell(taken, TaskState.QUEUED)
    fold_all(NOW)
    assert depths() == {(2, "gpu"): 2, (1, "gpu"): 2, (0, "gpu"): 1}


def test_a_queue_that_became_empty_says_so() -> None:
    make_task(queue="gpu")
    fold_all()
    taken = make_task(queue="gpu", state=TaskState.RUNNING, feed=False)
    tell(taken, TaskState.QUEUED)
    fold_all()
    assert depths() == {(0, "gpu"): 0}


def test_a_new_minute_needs_no_change_to_get_its_depths() -> None:
    make_task(queue="gpu", now=NOW - timedelta(minutes=1))
    fold_all(NOW - timedelta(minutes=1))
    assert fold(NOW) == (0, False)
    assert depths() == {(1, "gpu"): 1, (0, "gpu"): 1}


def test_without_news_nothing_is_written_and_nothing_locked() -> None:
    start_at_the_end()
    make_task()
    fold_all()
    with CaptureQueriesContext(connection) as queries:
        fold(NOW)
    assert len(queries) == 2
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size() -> None:
    lanes = [make_lane(f"queue-{n}") for n in range(5)]

    def cost(tasks: int) -> int:
        rows = [events.TaskChange(n, None, TaskState.QUEUED.value, 0, lanes[n % 5].pk) for n in range(tasks)]
        for _ in range(10):
            make_change(events.TasksChanged(rows=rows))
        with CaptureQueriesContext(connection) as queries:
            fold(NOW)
        return len(queries)

    start_at_the_end()
    cost(5)  # lanes are read once
    assert cost(5) == cost(1000) <= 15


def test_events_that_say_nothing_of_counts_only_move_the_cursor() -> None:
    make_change(events.NodeOnline(node_id=1, name="w-1"))
    assert fold(NOW).rows == 1
    assert FeedCursor.objects.get(name=CURSOR).position == Change.objects.latest("id").pk
    assert not StateCount.objects.exists()


def test_random_histories_of_the_lifecycle_add_up() -> None:
    rng = random.Random(7)
    nodes = [make_node() for _ in range(2)]
    for step in range(40):
        now = NOW + timedelta(seconds=step)
        random_step(rng, nodes, now)
        if rng.random() < 0.3:
            fold(now, limit=rng.choice([1, 2, 500]))
    fold_all(NOW + timedelta(seconds=41))
    assert counts() == true_counts()

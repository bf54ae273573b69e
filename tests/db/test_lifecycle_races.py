"""Two at once: whoever comes second finds the row moved, and nothing happens twice. Real threads, real transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connection, connections, transaction

from dispatcher import lifecycle
from dispatcher.models import Attempt, Change, Task
from dispatcher.models.lanes import LaneKey, lane_ids
from dispatcher.models.statements import Claim, statements
from dispatcher.states import TaskState
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")

SPEC = lifecycle.TaskSpec(type="echo", payload="1", backoff_seconds=0.0)


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(0)`` … ``work(count - 1)`` in threads that begin together."""
    gate = threading.Barrier(count)

    def run(number: int) -> T:
        try:
            gate.wait(60)
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def claim_all(node_id: int, incarnation: int, batch: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        with transaction.atomic():
            heads = statements().lock_heads([(lane, batch) for lane in statements().ready_lanes()])
            rows = [Claim(head.id, head.attempt, node_id, incarnation) for head in heads]
            claimed = lifecycle.claim(rows, now=NOW)
        found += [(task.id, task.attempt) for task in claimed]
        if not heads:
            return found


def test_two_claimers_never_take_the_same_task() -> None:
    nodes = [make_node(), make_node()]
    ids = [made.task_id for made in lifecycle.submit([SPEC] * 300, submitted_by="a", now=NOW)]
    taken = at_once(2, lambda n: claim_all(nodes[n].pk, nodes[n].incarnation, 7))
    assert sorted(taken[0] + taken[1]) == [(task_id, 1) for task_id in ids]


def test_one_result_reported_ten_times_at_once_is_recorded_once() -> None:
    node = make_node()
    lifecycle.submit([SPEC], submitted_by="a", now=NOW)
    ((task_id, _),) = claim_all(node.pk, node.incarnation, 1)
    item = protocol.TaskResult(task_id=str(task_id), attempt=1, outcome="succeeded")
    words = at_once(10, lambda _: lifecycle.record_results([item], node_id=node.pk, now=NOW)[0].verdict)
    assert sorted(words) == ["duplicate"] * 9 + ["recorded"]


def test_a_result_and_the_loss_of_its_node_at_once_leave_one_outcome() -> None:
    node = make_node()
    for _ in range(20):
        lifecycle.submit([SPEC], submitted_by="a", now=NOW)
        ((task_id, attempt),) = claim_all(node.pk, node.incarnation, 1)
        item = protocol.TaskResult(task_id=str(task_id), attempt=attempt, outcome="failed")

        def work(number: int, item: protocol.TaskResult = item) -> object:
            if number:
                return lifecycle.lose_held_by([node.pk], reason="silent", now=NOW)
            return lifecycle.record_results([item], node_id=node.pk, now=NOW)

        at_once(2, work)
        assert Attempt.objects.filter(task_id=task_id).count() == 1
        assert Task.objects.get(pk=task_id).state == TaskState.SCHEDULED
        lifecycle.cancel([task_id], actor="a", now=NOW)


def test_a_success_and_a_cancel_at_once_end_the_task_once() -> None:
    node = make_node()
    for _ in range(20):
        lifecycle.submit([SPEC], submitted_by="a", now=NOW)
        ((task_id, _),) = claim_all(node.pk, node.incarnation, 1)
        item = protocol.TaskResult(task_id=str(task_id), attempt=1, outcome="succeeded")

        def work(number: int, item: protocol.TaskResult = item, pk: int = task_id) -> object:
            if number:
                return lifecycle.cancel([pk], actor="a", now=NOW)
            return lifecycle.record_results([item], node_id=node.pk, now=NOW)

        at_once(2, work)
        assert Task.objects.get(pk=task_id).state == TaskState.SUCCEEDED


def test_the_same_idempotency_key_at_once_makes_one_task() -> None:
    spec = lifecycle.TaskSpec(type="echo", idempotency_key="k")
    made = at_once(6, lambda _: lifecycle.submit([spec], submitted_by="a", now=NOW)[0])
    assert len({row.task_id for row in made}) == 1
    assert sorted(row.existing for row in made) == [False] + [True] * 5
    assert Task.objects.count() == 1


def test_a_new_lane_and_queue_made_at_once_exist_once() -> None:
    key = LaneKey("fresh", "echo", "{}")
    ids = at_once(4, lambda _: lane_ids([key])[key])
    assert len(set(ids)) == 1
    at_once(4, lambda _: lifecycle.submit([lifecycle.TaskSpec(type="x", queue="other")], submitted_by="a", now=NOW))
    assert Change.objects.filter(kind="queue.created").count() == 1


def test_hot_statements_keep_their_plan_after_an_analyze_that_saw_no_such_state(on_postgres: bool) -> None:
    """On PostgreSQL the primary key must drive the join; the index on the state would be a hundred times slower."""
    if not on_postgres:
        # SQLite has no such plans: every row is one statement by primary key, whatever ANALYZE saw.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
            cursor.execute("EXPLAIN QUERY PLAN UPDATE dispatcher_task SET state = 4 WHERE id = 1 AND state IN (2, 3)")
            assert "PRIMARY KEY" in str(cursor.fetchall())
        return
    import psycopg

    from dispatcher.models.statements import postgres

    lifecycle.submit([SPEC] * 2000, submitted_by="a", now=NOW)
    lifecycle.cancel(list(Task.objects.values_list("pk", flat=True)), actor="a", now=NOW)
    ids, ones = list(range(1, 201)), [1] * 200
    hot = {
        postgres.CLAIM: (NOW, NOW, 1.0, 1.0, ids, ones, ones, ones, [None] * 200, NOW, 1.0),
        postgres.SUCCEED: (NOW, ids, ones, [NOW] * 200, [None] * 200, [False] * 200, 1, [2, 3]),
        postgres.START: (ids, ones, [NOW] * 200, [NOW] * 200, 1),
    }
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE dispatcher_task")
    for sql, params in hot.items():
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "task_active" not in plan, plan
        assert "task_ready" not in plan, plan

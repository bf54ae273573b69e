"""What each answer to a push means: taken, refused, or a question to the node."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from dispatcher import lifecycle, node_registry
from dispatcher.clients.node_client import Answer
from dispatcher.engine.deliveries import Delivery, retry_after, take_in, take_in_tutorial
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Attempt, Node, Task
from dispatcher.models.statements import Claim, Claimed, statements
from dispatcher.states import TaskState
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


def claimed(node: Node, count: int = 1) -> list[Claimed]:
    """So many tasks, claimed for the node."""
    lifecycle.submit([TaskSpec(type="echo")] * count, submitted_by="a", now=NOW)
    heads = statements().lock_heads([(lane, count) for lane in statements().ready_lanes()])
    return lifecycle.claim([Claim(head.id, head.attempt, node.pk, node.incarnation) for head in heads], now=NOW)


def answer(status: int, *items: protocol.PushItem, **headers: str) -> Answer:
    body = msgspec.json.encode(protocol.PushReply(items=list(items)))
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def item(task: Claimed, status: str, **fields: object) -> protocol.PushItem:
    return protocol.PushItem(task_id=str(task.id), attempt=task.attempt, status=status, **fields)


def done(task: Claimed, **fields: object) -> protocol.PushItem:
    result = protocol.TaskResult(task_id=str(task.id), attempt=task.attempt, outcome="succeeded")
    return item(task, "done", **{"result": result, **fields})


def taken(given: Answer, tasks: list[Claimed], node: Node) -> Delivery:
    return take_in(given, tasks, node_id=node.pk, now=NOW)


def states(tasks: list[Claimed]) -> list[TaskState]:
    return [TaskState(Task.objects.get(pk=task.id).state) for task in tasks]


@pytest.mark.parametrize("status", [100, 200, 204, 302, 307, 408, 500, 502, 504, 599])
def test_an_answer_that_may_not_be_the_nodes_own_leaves_the_attempts_to_be_asked_for(status: int) -> None:
    node = make_node()
    tasks = claimed(node, 2)
    delivery = taken(Answer(status, {"Location": "http://elsewhere/"}, b"<html>"), tasks, node)
    assert (delivery.is_taken, delivery.is_unknown) == (False, True)
    assert str(status) in delivery.failure
    assert states(tasks) == [TaskState.DISPATCHED] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
def test_a_refusal_gives_the_tasks_back_without_costing_an_attempt(status: int) -> None:
    node = make_node()
    tasks = claimed(node)
    delivery = taken(Answer(status, {}, b"no"), tasks, node)
    assert (delivery.is_taken, delivery.is_unknown, bool(delivery.failure)) == (False, False, True)
    row = Task.objects.get()
    assert (row.state, row.counted_attempts) == (TaskState.SCHEDULED, 0)


def test_a_node_that_was_started_anew_is_not_blamed_for_it() -> None:
    node = make_node()
    tasks = claimed(node)
    assert taken(Answer(409, {}, b""), tasks, node) == Delivery()
    assert states(tasks) == [TaskState.SCHEDULED]


def test_back_pressure_in_the_nodes_own_words_costs_no_attempt() -> None:
    node = make_node()
    tasks = claimed(node)
    delivery = taken(answer(503, item(tasks[0], "rejected", reason="draining"), Retry_After="7"), tasks, node)
    assert delivery == Delivery(pause_seconds=7.0)
    row = Task.objects.get()
    assert (row.state, row.counted_attempts, row.released) == (TaskState.SCHEDULED, 0, 1)


def test_a_503_without_the_nodes_own_words_may_be_a_proxys_that_lost_its_answer() -> None:
    node = make_node()
    tasks = claimed(node)
    delivery = taken(Answer(503, {"Retry-After": "7"}, b"upstream went away"), tasks, node)
    assert (delivery.is_unknown, delivery.pause_seconds) == (True, 7.0)
    assert states(tasks) == [TaskState.DISPATCHED]


def test_a_429_says_by_itself_that_nothing_was_taken() -> None:
    node = make_node()
    tasks = claimed(node)
    assert taken(Answer(429, {"retry-after": "2"}, b""), tasks, node) == Delivery(pause_seconds=2.0)
    assert states(tasks) == [TaskState.SCHEDULED]


def test_results_in_an_answer_are_recorded_and_acknowledged() -> None:
    node = make_node()
    tasks = claimed(node)
    delivery = taken(answer(202, done(tasks[0])), tasks, node)
    assert delivery == Delivery(
        is_taken=True, safe=[protocol.AttemptRef(task_id=str(tasks[0].id), attempt=tasks[0].attempt)]
    )
    assert states(tasks) == [TaskState.SUCCEEDED]


def test_tasks_of_which_an_answer_says_nothing_are_asked_for() -> None:
    node = make_node()
    tasks = claimed(node, 5)
    other = protocol.TaskResult(task_id=str(tasks[3].id), attempt=9, outcome="succeeded")
    items = [
        item(tasks[0], "accepted"),
        item(tasks[1], "rejected", reason="unknown_type"),
        item(tasks[2], "done"),
        done(tasks[3], result=other),
    ]
    delivery = taken(answer(202, *items), tasks, node)
    assert (delivery.is_taken, delivery.is_unknown, list(delivery.safe)) == (True, True, [])
    assert states(tasks) == [TaskState.DISPATCHED, TaskState.SCHEDULED, *[TaskState.DISPATCHED] * 3]


def test_what_an_answer_says_of_tasks_that_were_not_pushed_is_ignored() -> None:
    node = make_node()
    first, second = claimed(node, 2)
    delivery = taken(answer(202, item(first, "accepted"), done(second)), [first], node)
    assert (delivery.is_taken, delivery.is_unknown, list(delivery.safe)) == (True, False, [])
    assert states([second]) == [TaskState.DISPATCHED]


@pytest.mark.parametrize("body", [b"", b"{}", b"ok", b'{"items": 3}', b"\xff", b"[" * 100_000])
def test_an_acceptance_that_cannot_be_read_is_no_proof_that_pushes_get_through(body: bytes) -> None:
    node = make_node(push_failures=3)
    tasks = claimed(node)
    delivery = taken(Answer(202, {}, body), tasks, node)
    assert (delivery.is_taken, delivery.is_unknown, bool(delivery.failure)) == (False, True, True)
    assert states(tasks) == [TaskState.DISPATCHED]
    assert Node.objects.get().push_failures == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("0", 0.1), ("-3", 0.1), ("99999", 60.0), ("nan", 1.0), ("Mon, 01 Jan 2026", 1.0), ("", 1.0)],
)
def test_a_pause_that_a_node_asks_for_is_kept_within_bounds(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_the_pause_of_a_node_whose_requests_fail_doubles_until_one_gets_through() -> None:
    node = make_node()
    pauses = []
    for _ in range(7):
        node_registry.hold_for_failure(node.pk, reason="no answer", now=NOW)
        node.refresh_from_db()
        pauses.append((node.held_until - NOW).total_seconds())
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert node.push_failures == 7
    node_registry.hold_for_failure(node.pk, reason="credential", at_least=60.0, now=NOW)
    node_registry.clear_push_failures(node.pk)
    node.refresh_from_db()
    assert (node.push_failures, node.held_until) == (0, None)


def test_a_pause_that_a_node_asked_for_is_no_failure() -> None:
    node = make_node()
    node_registry.hold(node.pk, seconds=7.0, reason="asked for a pause", now=NOW)
    node.refresh_from_db()
    assert (node.push_failures, node.held_until) == (0, NOW + timedelta(seconds=7))


@pytest.mark.parametrize(
    ("status", "outcome", "counted"),
    [(500, "lost", 1), (302, "lost", 1), (408, "lost", 1), (400, "rejected", 0), (404, "rejected", 0),
     (503, "released", 0), (429, "released", 0)],
)  # fmt: skip
def test_a_tutorial_node_that_cannot_be_asked_has_an_unknown_attempt_given_up_as_lost(
    status: int, outcome: str, counted: int
) -> None:
    node = make_node(is_tutorial=True)
    (task,) = claimed(node)
    delivery = take_in_tutorial(Answer(status, {}, b""), task, node_id=node.pk, now=NOW)
    assert not delivery.is_taken
    assert Attempt.objects.get().outcome == outcome
    row = Task.objects.get()
    assert (row.state, row.counted_attempts) == (TaskState.SCHEDULED, counted)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_of_a_tutorial_node_means_that_it_runs_the_task(status: int) -> None:
    node = make_node(is_tutorial=True)
    (task,) = claimed(node)
    assert take_in_tutorial(Answer(status, {}, b""), task, node_id=node.pk, now=NOW).is_taken
    assert states([task]) == [TaskState.RUNNING]

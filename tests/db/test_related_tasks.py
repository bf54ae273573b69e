"""What a task has to do with others: where it comes from, what came from it, what failed as it did."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import lifecycle
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Task, TaskOrigin
from dispatcher.queries import failures, task_document
from dispatcher.queries.shapes import TaskDocument
from dispatcher.states import TaskState
from tests.factories import NOW, make_attempt, make_error, make_node, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_cache() -> None:
    failures.forget()


def document(task: Task | int) -> TaskDocument:
    found = task_document(task if isinstance(task, int) else task.pk, NOW)
    assert found is not None
    return found


def test_clones_and_retries_know_each_other_and_their_states() -> None:
    first = make_task(state=TaskState.FAILED)
    [retried] = lifecycle.retry([first.pk], actor="ada", now=NOW).created.values()
    [clone] = lifecycle.submit([TaskSpec(type="t", clone_of=first.pk)], submitted_by="ada", now=NOW)
    shown = [(row["relation"], row["id"], row["state"]) for row in document(first)["related"]]
    assert shown == [("retry", str(retried), "queued"), ("clone", str(clone.task_id), "queued")]
    assert [(row["relation"], row["id"]) for row in document(retried)["related"]] == [("retry_of", str(first.pk))]
    back = document(clone.task_id)
    assert back["clone_of"] == str(first.pk)
    assert [(row["relation"], row["state"]) for row in back["related"]] == [("clone_of", "failed")]


def test_what_is_gone_is_not_among_the_related_and_leaves_no_origin_behind() -> None:
    first = make_task(state=TaskState.SUCCEEDED)
    [clone] = lifecycle.submit([TaskSpec(type="t", clone_of=first.pk)], submitted_by="ada", now=NOW)
    later = NOW + timedelta(days=40)
    lifecycle.prune(finished_before=later, now=later)
    assert document(clone.task_id)["related"] == []
    assert document(clone.task_id)["clone_of"] == str(first.pk)
    assert lifecycle.cancel([clone.task_id], actor="ada", now=NOW)
    lifecycle.prune(finished_before=later, now=later)
    assert not TaskOrigin.objects.exists()


def test_a_clone_may_be_repeated_with_its_key_and_differs_from_a_task_that_is_none() -> None:
    spec = TaskSpec(type="t", idempotency_key="k", clone_of=7)
    [first], [again] = (lifecycle.submit([spec], submitted_by="ada", now=NOW) for _ in range(2))
    assert again.task_id == first.task_id
    assert again.existing
    with pytest.raises(lifecycle.IdempotencyConflict):
        lifecycle.submit([TaskSpec(type="t", idempotency_key="k")], submitted_by="ada", now=NOW)


def test_failures_of_the_same_cause_are_named_exactly() -> None:
    def fail(message: str, *, kind: str = "render", minutes: int = 1) -> Task:
        error = make_error("TimeoutError", message)
        ended = NOW - timedelta(minutes=minutes)
        return make_task(state=TaskState.FAILED, task_type=kind, error=error, finished_at=ended)

    alike = [fail(f"no answer in {seconds} s") for seconds in (10, 20, 300)]
    fail("no answer in 10 s", kind="other")
    fail("another cause")
    fail("no answer in 10 s", minutes=61)
    found = document(alike[0])["same_cause"]
    assert found == {"count": 3, "is_more": False, "query": f"id:{','.join(str(one.pk) for one in reversed(alike))}"}
    lonely = fail("never seen before")
    assert document(lonely)["same_cause"] is None
    assert document(make_task(state=TaskState.SUCCEEDED))["same_cause"] is None
    for _ in range(50):
        fail("no answer in 1 s")
    many = document(alike[0])["same_cause"]
    assert many
    assert (many["count"], many["is_more"]) == (50, True)
    assert many["query"].count(",") == 49


@pytest.mark.parametrize(
    ("state", "fields", "due"),
    [
        (TaskState.SCHEDULED, {"attempt": 2, "run_at": NOW + timedelta(seconds=90)}, 90),
        (TaskState.QUEUED, {"attempt": 2, "queued_at": NOW + timedelta(seconds=80)}, 80),
        (TaskState.RUNNING, {"attempt": 3, "queued_at": NOW + timedelta(seconds=70)}, 70),
        (TaskState.FAILED, {"attempt": 2}, None),
        (TaskState.CANCELLED, {"attempt": 2}, None),
    ],
)
def test_an_attempt_says_when_the_next_one_is_due(state: TaskState, fields: dict[str, object], due: int | None) -> None:
    task = make_task(state=state, **fields)
    at = [NOW + timedelta(seconds=second) for second in range(60)]
    make_attempt(task, number=1, ended_at=at[1])
    make_attempt(task, number=2, queued_at=at[11], ended_at=at[20])
    make_attempt(task, number=1, outcome="superseded", queued_at=None, dispatched_at=None, ended_at=at[30])
    shown = {(row["number"], row["outcome"]): row["retry_at"] for row in document(task)["attempts"]}
    assert shown[1, "failed"] == at[11]
    assert shown[1, "superseded"] is None
    assert shown[2, "failed"] == (None if due is None else NOW + timedelta(seconds=due))


def test_a_task_on_a_node_says_how_the_node_is() -> None:
    node = make_node("w-1", slots=3)
    task = make_task(state=TaskState.RUNNING, node=node)
    make_task(state=TaskState.DISPATCHED, node=node)
    make_task(state=TaskState.RUNNING, node=make_node("w-2"))
    holder = {"last_seen_at": NOW, "lease_expires_at": NOW + timedelta(seconds=30), "slots": 3, "busy": 2}
    assert document(task)["holder"] == holder
    for _ in range(4):
        make_task(state=TaskState.DISPATCHED, node=node)
    assert document(task)["holder"] == holder | {"busy": 3}
    assert document(make_task(state=TaskState.SUCCEEDED, node=node))["holder"] is None
    assert document(make_task())["holder"] is None

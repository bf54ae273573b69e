"""The transitions one by one: what moves, what does not, what is kept."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher import lifecycle
from dispatcher.lifecycle import TRANSITIONS, TaskSpec
from dispatcher.models import Attempt, Change, IdempotencyKey, Node, Task, TaskTag
from dispatcher.models.statements import Claim, Start, statements
from dispatcher.states import NodeIntent, TaskState
from tests.db.lifecycle_steps import claim, report, result, state_of, submit
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


def test_the_drawing_shows_exactly_the_transitions() -> None:
    text = Path("docs/task_lifecycle.md").read_text()
    drawn = set(re.findall(r"^ +(\[\*\]|\w+) --> (\[\*\]|\w+): (\w+)$", text, re.MULTILINE))
    table = set()
    for name, (sources, targets) in TRANSITIONS.items():
        for source in [state.word for state in sources] or ["[*]"]:
            table |= {(source, target, name) for target in [state.word for state in targets] or ["[*]"]}
    assert drawn == table


def test_a_submitted_task_is_queued_and_told_to_the_feed_once_per_batch() -> None:
    ids = submit(3, priority=5, tags=["x", "y"], labels={"gpu": "yes"})
    tasks = list(Task.objects.order_by("id"))
    assert [task.pk for task in tasks] == ids
    assert {task.state for task in tasks} == {TaskState.QUEUED}
    assert tasks[0].lane.label_map == {"gpu": "yes"}
    assert tasks[0].payload == '{"a": 1}'
    assert TaskTag.objects.filter(tag="x").count() == 3
    assert Change.objects.filter(kind="tasks.changed").count() == 1


def test_a_task_for_later_waits_until_it_is_staged() -> None:
    (task_id,) = submit(run_at=NOW + timedelta(seconds=10))
    assert state_of(task_id) is TaskState.SCHEDULED
    assert lifecycle.stage(now=NOW + timedelta(seconds=9)) == 0
    assert lifecycle.stage(now=NOW + timedelta(seconds=10)) == 1
    task = Task.objects.get(pk=task_id)
    assert task.state == TaskState.QUEUED
    assert task.queued_at == NOW + timedelta(seconds=10)


def test_the_same_idempotency_key_gives_the_same_task_and_another_body_is_a_conflict() -> None:
    spec = TaskSpec(type="echo", payload="1", idempotency_key="k")
    (first,) = lifecycle.submit([spec], submitted_by="alice", now=NOW)
    (again,) = lifecycle.submit([spec], submitted_by="alice", now=NOW)
    assert (again.task_id, again.existing) == (first.task_id, True)
    (bobs,) = lifecycle.submit([spec], submitted_by="bob", now=NOW)
    assert not bobs.existing
    other = TaskSpec(type="echo", payload="2", idempotency_key="k")
    with pytest.raises(lifecycle.IdempotencyConflict) as conflict:
        lifecycle.submit([TaskSpec(type="echo"), other], submitted_by="alice", now=NOW)
    assert conflict.value.indexes == [1]
    assert Task.objects.count() == 2


def test_keys_of_submitters_whose_names_run_into_them_are_told_apart() -> None:
    first = lifecycle.submit([TaskSpec(type="echo", idempotency_key="b:c")], submitted_by="a", now=NOW)
    other = lifecycle.submit([TaskSpec(type="other", idempotency_key="c")], submitted_by="a:b", now=NOW)
    assert not other[0].existing
    assert other[0].task_id != first[0].task_id


def test_the_same_key_twice_in_one_batch_makes_one_task() -> None:
    spec = TaskSpec(type="echo", idempotency_key="k")
    first, second = lifecycle.submit([spec, spec], submitted_by="alice", now=NOW)
    assert second.existing
    assert first.task_id == second.task_id
    assert IdempotencyKey.objects.count() == 1


def test_the_same_key_twice_in_one_batch_for_two_tasks_is_a_conflict() -> None:
    specs = [TaskSpec(type="echo", payload=payload, idempotency_key="k") for payload in ("1", "2")]
    with pytest.raises(lifecycle.IdempotencyConflict) as conflict:
        lifecycle.submit(specs, submitted_by="alice", now=NOW)
    assert conflict.value.indexes == [1]
    assert not Task.objects.exists()


def test_a_claim_binds_node_attempt_and_deadline() -> None:
    node = make_node()
    (task_id,) = submit(timeout_seconds=10)
    (claimed,) = claim(node)
    task = Task.objects.get(pk=task_id)
    assert (claimed.id, claimed.attempt, task.attempt, task.node_id) == (task_id, 1, 1, node.pk)
    assert task.state == TaskState.DISPATCHED
    assert task.attempt_deadline == NOW + timedelta(seconds=10 + 60)


@pytest.mark.parametrize(("own", "declared", "allowed"), [(10, 20, 10), (None, 20, 20), (None, None, 3600)])
def test_an_attempt_may_run_as_long_as_its_task_or_the_node_or_the_default_says(own, declared, allowed) -> None:
    node = make_node()
    (task_id,) = submit(timeout_seconds=own)
    (claimed,) = lifecycle.claim([Claim(task_id, 0, node.pk, node.incarnation, declared)], now=NOW)
    assert claimed.timeout_seconds == allowed
    assert Task.objects.get(pk=task_id).attempt_deadline == NOW + timedelta(seconds=allowed + 60)
    later = NOW + timedelta(seconds=1.5)
    lifecycle.start([Start(task_id, 1, later, later)], node_id=node.pk, now=later)
    assert Task.objects.get(pk=task_id).attempt_deadline == later + timedelta(seconds=allowed + 60)


@pytest.mark.parametrize(
    ("types", "declared"),
    [
        (None, None),
        ({}, None),
        ({"echo": {}}, None),
        ({"echo": {"timeout_seconds": None}}, None),
        ({"echo": {"timeout_seconds": -1}}, None),
        ({"echo": {"timeout_seconds": 7}}, 7.0),
        ({"echo": {"timeout_seconds": 1e300}}, 7 * 86400.0),
    ],
)
def test_a_node_may_declare_the_run_time_of_a_type(types, declared) -> None:
    assert make_node(types=types).declared_timeout("echo") == declared


def test_a_claim_for_a_node_that_was_started_anew_takes_nothing() -> None:
    node = make_node()
    submit()
    Node.objects.filter(pk=node.pk).update(incarnation=node.incarnation + 1)
    assert claim(node) == []


def test_a_claim_for_a_node_that_is_no_longer_wanted_takes_nothing() -> None:
    node = make_node()
    submit()
    Node.objects.filter(pk=node.pk).update(intent=NodeIntent.DRAIN)
    assert claim(node) == []


def test_a_claim_of_a_task_that_was_cancelled_meanwhile_takes_nothing() -> None:
    node = make_node()
    (task_id,) = submit()
    lifecycle.cancel([task_id], actor="op", now=NOW)
    assert lifecycle.claim([Claim(task_id, 0, node.pk, node.incarnation)], now=NOW) == []
    assert state_of(task_id) is TaskState.CANCELLED


def test_a_claim_decided_before_another_attempt_ended_takes_nothing() -> None:
    node = make_node()
    (task_id,) = submit(backoff_seconds=0)
    claim(node)
    report(node, result(task_id, outcome="failed"))
    lifecycle.stage(now=NOW)
    assert state_of(task_id) is TaskState.QUEUED
    assert lifecycle.claim([Claim(task_id, 0, node.pk, node.incarnation)], now=NOW) == []
    assert state_of(task_id) is TaskState.QUEUED


def test_a_claim_of_an_expired_task_takes_nothing() -> None:
    node = make_node()
    (task_id,) = submit(expires_at=NOW + timedelta(seconds=5))
    assert claim(node, now=NOW + timedelta(seconds=6)) == []
    assert lifecycle.expire(now=NOW + timedelta(seconds=6)) == 1
    assert state_of(task_id) is TaskState.EXPIRED


def test_a_task_that_was_started_by_its_deadline_is_tried_again_after_it() -> None:
    node = make_node()
    (task_id,) = submit(expires_at=NOW + timedelta(seconds=5), backoff_seconds=0)
    claim(node)
    report(node, result(task_id, outcome="failed"), now=NOW + timedelta(seconds=6))
    assert lifecycle.expire(now=NOW + timedelta(seconds=7)) == 0
    lifecycle.stage(now=NOW + timedelta(seconds=7))
    assert [claimed.attempt for claimed in claim(node, now=NOW + timedelta(seconds=7))] == [2]


def test_a_task_that_was_only_handed_back_expires_at_its_deadline() -> None:
    node = make_node()
    (task_id,) = submit(expires_at=NOW + timedelta(seconds=5))
    claim(node)
    report(node, result(task_id, outcome="released"), now=NOW + timedelta(seconds=1))
    lifecycle.stage(now=NOW + timedelta(seconds=4))
    assert claim(node, now=NOW + timedelta(seconds=6)) == []
    assert lifecycle.expire(now=NOW + timedelta(seconds=6)) == 1
    assert state_of(task_id) is TaskState.EXPIRED


def test_heads_come_by_priority_then_age() -> None:
    low, high, other = submit(priority=-1), submit(priority=9), submit()
    (lane,) = statements().ready_lanes()
    assert [head.id for head in statements().lock_heads([(lane, 10)])] == [*high, *other, *low]


def test_a_success_is_recorded_once_with_result_and_times() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    later = NOW + timedelta(seconds=3)
    done = result(task_id, result=protocol.msgspec.Raw(b'{"n": 12345678901234567890}'), run_ms=1000)
    assert report(node, done, now=later) == ["recorded"]
    assert report(node, done, now=later) == ["duplicate"]
    task = Task.objects.get(pk=task_id)
    assert task.result == '{"n": 12345678901234567890}'
    assert task.started_at == NOW + timedelta(seconds=2)
    assert task.finished_at == later
    assert Attempt.objects.count() == 0


def test_a_started_task_is_running_and_its_deadline_counts_from_there() -> None:
    node = make_node()
    (task_id,) = submit(timeout_seconds=10)
    claim(node)
    later = NOW + timedelta(seconds=50)
    assert lifecycle.start([Start(task_id, 1, later, later)], node_id=node.pk, now=later) == [task_id]
    assert lifecycle.start([Start(task_id, 1, later, later)], node_id=node.pk, now=later) == []
    task = Task.objects.get(pk=task_id)
    assert (task.state, task.started_at) == (TaskState.RUNNING, later)
    assert task.attempt_deadline == later + timedelta(seconds=70)


def test_starts_of_another_node_or_attempt_change_nothing() -> None:
    node, other = make_node(), make_node()
    (task_id,) = submit()
    claim(node)
    assert lifecycle.start([Start(task_id, 1, NOW, NOW)], node_id=other.pk, now=NOW) == []
    for attempt in (0, 2):
        assert lifecycle.start([Start(task_id, attempt, NOW, NOW)], node_id=node.pk, now=NOW) == []
    assert state_of(task_id) is TaskState.DISPATCHED


def test_a_failure_of_another_node_or_attempt_ends_nothing() -> None:
    node, other = make_node(), make_node()
    (task_id,) = submit()
    claim(node)
    assert report(other, result(task_id, outcome="failed")) == ["superseded"]
    assert report(node, result(task_id, attempt=2, outcome="failed")) == ["superseded"]
    assert state_of(task_id) is TaskState.DISPATCHED


def test_the_success_of_one_node_is_no_duplicate_of_anothers() -> None:
    node, other = make_node(), make_node()
    (task_id,) = submit()
    claim(node)
    report(node, result(task_id))
    assert report(other, result(task_id)) == ["superseded"]


def test_what_a_node_holds_is_compared_with_what_it_was_given() -> None:
    node, other = make_node(), make_node()
    (held,) = submit()
    claim(node)
    assert lifecycle.compare({held: 1}, node_id=node.pk) == ([], [])
    ref = protocol.AttemptRef(task_id=str(held), attempt=1)
    assert lifecycle.compare({held: 1}, node_id=other.pk) == ([ref], [])
    report(node, result(held))
    assert lifecycle.compare({held: 1}, node_id=node.pk) == ([ref], [])


def test_results_of_another_node_or_attempt_are_refused_and_told_once() -> None:
    node, other = make_node(), make_node()
    (task_id,) = submit()
    claim(node)
    assert report(other, result(task_id)) == ["superseded"]
    assert report(node, result(task_id, attempt=2)) == ["superseded"]
    assert report(node, result(987654)) == ["unknown"]
    for no_id in ("x", "", "²", "9" * 40, "-1"):
        assert report(node, protocol.TaskResult(task_id=no_id, attempt=1, outcome="succeeded")) == ["unknown"]
    assert state_of(task_id) is TaskState.DISPATCHED
    assert not Attempt.objects.exists()
    told = Change.objects.filter(kind="node.made_up_results")
    assert [json.loads(body)["name"] for body in told.values_list("body", flat=True)] == [other.name, node.name]


def test_a_failure_is_retried_with_backoff_until_attempts_are_used_up() -> None:
    node = make_node()
    (task_id,) = submit(max_attempts=2, backoff_seconds=4.0)
    claim(node)
    failure = result(task_id, outcome="failed", error=protocol.TaskError(type="ValueError", message="no"))
    assert report(node, failure) == ["recorded"]
    task = Task.objects.get(pk=task_id)
    assert task.state == TaskState.SCHEDULED
    assert NOW <= task.run_at <= NOW + timedelta(seconds=4)
    assert report(node, failure) == ["duplicate"]
    lifecycle.stage(now=NOW + timedelta(seconds=5))
    claim(node)
    assert report(node, result(task_id, 2, "failed", error=protocol.TaskError(type="KeyError"), run_ms=40)) == [
        "recorded"
    ]
    task = Task.objects.get(pk=task_id)
    assert task.state == TaskState.FAILED
    assert task.error_map["type"] == "KeyError"
    assert task.started_at == NOW - timedelta(milliseconds=40)
    assert list(Attempt.objects.order_by("number").values_list("number", "outcome")) == [(1, "failed"), (2, "failed")]


def test_a_failure_that_says_so_is_not_retried() -> None:
    node = make_node()
    (task_id,) = submit(max_attempts=9)
    claim(node)
    report(node, result(task_id, outcome="failed", retryable=False))
    assert state_of(task_id) is TaskState.FAILED


def test_a_handler_may_name_the_delay() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    report(node, result(task_id, outcome="failed", retry_after_seconds=120))
    assert Task.objects.get(pk=task_id).run_at == NOW + timedelta(seconds=120)


def test_what_a_node_hands_back_does_not_count_as_an_attempt() -> None:
    node = make_node()
    (task_id,) = submit(max_attempts=1)
    for attempt in range(1, 4):
        (claimed,) = claim(node)
        assert claimed.attempt == attempt
        assert report(node, result(task_id, attempt, "released")) == ["recorded"]
        task = Task.objects.get(pk=task_id)
        assert (task.state, task.counted_attempts) == (TaskState.SCHEDULED, 0)
        lifecycle.stage(now=NOW + timedelta(seconds=5))


def test_a_task_that_every_node_hands_back_fails_after_all(settings: object) -> None:
    settings.TASKDIST = {"max_released": 2}
    node = make_node()
    (task_id,) = submit()
    for attempt in (1, 2):
        claim(node)
        report(node, result(task_id, attempt, "released"))
        lifecycle.stage(now=NOW + timedelta(seconds=5))
    task = Task.objects.get(pk=task_id)
    assert task.state == TaskState.FAILED
    assert task.error_map["type"] == "NoNodeTakesIt"


def test_a_task_that_crashes_three_times_is_poison_whatever_max_attempts_says() -> None:
    node = make_node()
    (task_id,) = submit(max_attempts=50, backoff_seconds=0)
    for attempt in (1, 2, 3):
        claim(node)
        report(node, result(task_id, attempt, "crashed"))
        lifecycle.stage(now=NOW + timedelta(seconds=1))
    task = Task.objects.get(pk=task_id)
    assert task.state == TaskState.FAILED
    assert task.error_map["type"] == "PoisonTask"

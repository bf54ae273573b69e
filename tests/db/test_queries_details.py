from __future__ import annotations

import json
from datetime import timedelta

import pytest

from dispatcher import node_registry
from dispatcher.queries import (
    AuditFilters,
    TaskFilters,
    audit_page,
    log_tail,
    node_detail,
    task_detail,
    task_document,
    task_logs,
    tasks_document,
    types,
)
from dispatcher.queries.tasks_document import Screen
from dispatcher.states import NodeState, TaskState
from tests.factories import NOW, make_attempt, make_error, make_lane, make_logs, make_node, make_task

pytestmark = pytest.mark.django_db


def test_an_unknown_task_has_no_detail() -> None:
    assert task_detail(12345) is None
    assert task_document(12345, NOW) is None


def test_a_task_shows_its_texts_as_they_are_stored() -> None:
    payload = '{"big": 12345678901234567890, "b":  1}'
    task = make_task(state=TaskState.SUCCEEDED, payload=payload, result="[1.50]", lane=make_lane(labels={"gpu": "yes"}))
    found = task_detail(task.pk)
    assert found is not None
    assert (found["payload"], found["result"], found["labels"]) == (payload, "[1.50]", {"gpu": "yes"})
    assert found["failure"] is None


def test_the_timeline_holds_ended_attempts_and_the_current_one() -> None:
    first, second = make_node("w-1"), make_node("w-2")
    task = make_task(state=TaskState.RUNNING, attempt=2, node=second)
    make_attempt(task, number=1, outcome="timed_out", node=first)
    found = task_detail(task.pk)
    assert found is not None
    assert [(row["number"], row["node"], row["outcome"], row["id"] == "current") for row in found["attempts"]] == [
        (1, "w-1", "timed_out", False),
        (2, "w-2", "running", True),
    ]


def test_a_failed_task_shows_its_last_attempt_once() -> None:
    task = make_task(state=TaskState.FAILED)
    make_attempt(task, number=1, outcome="failed")
    found = task_detail(task.pk)
    assert found is not None
    assert [row["outcome"] for row in found["attempts"]] == ["failed"]
    assert found["failure"] == {"type": "ValueError", "message": "bad value", "traceback": "Traceback …"}


def test_a_waiting_task_has_no_current_attempt() -> None:
    task = make_task(state=TaskState.SCHEDULED, attempt=1)
    make_attempt(task, number=1)
    found = task_detail(task.pk)
    assert found is not None
    assert [row["id"] == "current" for row in found["attempts"]] == [False]


def test_of_many_attempts_the_newest_are_shown_and_the_others_counted() -> None:
    task = make_task(state=TaskState.SCHEDULED, attempt=60, released=60)
    for number in range(1, 61):
        make_attempt(task, number=number, outcome="released", error=None)
    found = task_detail(task.pk)
    assert found is not None
    assert [row["number"] for row in found["attempts"]] == list(range(11, 61))
    assert found["attempts_omitted"] == 10


def test_retries_are_linked_both_ways() -> None:
    task = make_task(state=TaskState.FAILED)
    again = make_task(retry_of=task.pk)
    first, second = task_detail(task.pk), task_detail(again.pk)
    assert first is not None
    assert second is not None
    assert (first["retries"], second["retry_of"]) == ([str(again.pk)], str(task.pk))


def test_log_lines_come_in_order_and_in_pages() -> None:
    task = make_task(state=TaskState.RUNNING)
    make_logs(task, ["three", "four"], first_n=3)
    make_logs(task, ["one", "two"])
    make_logs(task, ["again"], attempt=2)
    page = task_logs(task.pk, attempt=1, limit=3)
    assert [line["text"] for line in page["lines"]] == ["one", "two", "three"]
    assert page["next"] == 3
    rest = task_logs(task.pk, attempt=1, after=3)
    assert ([line["text"] for line in rest["lines"]], rest["next"]) == (["four"], None)
    assert task_logs(task.pk)["attempt"] == 2
    assert task_logs(99999) == {"attempt": 0, "lines": [], "next": None}


def test_a_line_sent_twice_in_other_portions_is_shown_once() -> None:
    task = make_task(state=TaskState.RUNNING)
    make_logs(task, ["one", "two", "three"])
    make_logs(task, ["two", "three", "four"], first_n=2)
    assert [line["text"] for line in log_tail(task.pk)] == ["one", "two", "three", "four"]
    assert [line["id"] for line in log_tail(task.pk, limit=2)] == ["1.3", "1.4"]


def test_the_tail_runs_over_attempts() -> None:
    task = make_task(state=TaskState.RUNNING)
    make_logs(task, ["a", "b"], attempt=1)
    make_logs(task, ["c"], attempt=2)
    found = task_document(task.pk, NOW)
    assert found is not None
    assert [(line["attempt"], line["n"], line["text"]) for line in found["logs"]] == [
        (1, 1, "a"),
        (1, 2, "b"),
        (2, 1, "c"),
    ]


def test_a_node_shows_what_it_has_and_what_failed_on_it() -> None:
    node, other = make_node("w-1", types={"render": {"version": "2"}}), make_node("w-2")
    held = [make_task(state=TaskState.RUNNING, node=node) for _ in range(2)]
    make_task(state=TaskState.RUNNING, node=other)
    failed = make_task(state=TaskState.FAILED, node=node)
    make_task(state=TaskState.FAILED, node=other)
    found = node_detail("w-1", NOW)
    assert found is not None
    assert [row["id"] for row in found["tasks"]] == [str(task.pk) for task in reversed(held)]
    assert [row["id"] for row in found["failures"]] == [str(failed.pk)]
    assert found["types"] == [
        {"name": "render", "version": "2", "description": "", "timeout_seconds": None, "schema": None}
    ]
    assert node_detail("w-9", NOW) is None


def test_types_are_those_advertised_and_those_seen() -> None:
    schema = {"type": "object"}
    make_node("w-1", types={"render": {"version": "1", "description": "Old"}}, registered_at=NOW - timedelta(hours=1))
    make_node("w-2", types={"render": {"version": "2", "description": "Render", "schema": schema}})
    make_node("w-3", types={"gone": {}}, state=NodeState.OFFLINE)
    make_lane("gpu", "render")
    make_lane("cpu", "echo")
    assert types() == [
        {"name": "echo", "description": "", "timeout_seconds": None, "schema": None, "nodes": [], "versions": [],
         "queues": ["cpu"]},
        {"name": "render", "description": "Render", "timeout_seconds": None, "schema": schema,
         "nodes": ["w-1", "w-2"], "versions": ["1", "2"], "queues": ["gpu"]},
    ]  # fmt: skip


def test_the_audit_trail_is_what_someone_asked_for() -> None:
    nodes = [make_node() for _ in range(3)]
    for index, node in enumerate(nodes):
        node_registry.drain([node], reason="update", actor=f"user-{index % 2}", now=NOW)
    page = audit_page(limit=2)
    assert [row["actor"] for row in page["rows"]] == ["user-0", "user-1"]
    assert page["rows"][0]["facts"]["name"] == nodes[2].name
    assert page["next"] is not None
    rest = audit_page(after=int(page["next"]), limit=2)
    assert ([row["actor"] for row in rest["rows"]], rest["next"]) == (["user-0"], None)
    zero = AuditFilters(actor="user-0")
    own = audit_page(zero, limit=1)
    assert own["next"] is not None
    assert len(audit_page(zero, after=int(own["next"]))["rows"]) == 1
    assert audit_page(AuditFilters(about="queues"))["rows"] == []


def test_the_page_on_the_screen_is_kept_up_to_date_and_newcomers_are_counted() -> None:
    shown = [make_task(state=TaskState.FAILED) for _ in range(2)]
    filters = TaskFilters(states=frozenset({TaskState.FAILED}))
    screen = Screen(filters, frozenset(task.pk for task in shown), limit=2)
    assert tasks_document(screen)["new"] == 0
    make_task(state=TaskState.QUEUED)
    make_task(state=TaskState.FAILED)
    found = tasks_document(screen)
    assert found["new"] == 1
    assert [row["id"] for row in found["rows"]] == [str(task.pk) for task in reversed(shown)]
    assert found["counts"] is not None
    assert found["counts"]["failed"] == 3


def test_a_task_that_belongs_in_the_middle_of_the_page_is_new_as_well() -> None:
    low, middle, high = (make_task(state=state) for state in (TaskState.FAILED, TaskState.RUNNING, TaskState.FAILED))
    screen = Screen(TaskFilters(states=frozenset({TaskState.FAILED})), frozenset({low.pk, high.pk}), limit=2)
    type(middle).objects.filter(pk=middle.pk).update(state=TaskState.FAILED, finished_at=NOW, error=make_error())
    assert tasks_document(screen)["new"] == 1


def test_tasks_of_other_pages_are_not_new() -> None:
    made = [make_task() for _ in range(4)]
    first = Screen(TaskFilters(), frozenset(task.pk for task in made[2:]), limit=2)
    second = Screen(TaskFilters(), frozenset(task.pk for task in made[:2]), after=made[2].pk, limit=2)
    make_task()
    assert (tasks_document(first)["new"], tasks_document(second)["new"]) == (1, 0)


def test_filters_that_the_counters_do_not_know_have_no_counts() -> None:
    make_task(tags=["x"])
    assert tasks_document(Screen(TaskFilters(tag="x"), frozenset()))["counts"] is None
    assert json.dumps(tasks_document(Screen(TaskFilters(queues=frozenset({"none"})), frozenset()))["counts"])

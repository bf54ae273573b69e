from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.api import task_input
from dispatcher.api.problems import Problem
from dispatcher.models import IdempotencyKey, Lane, Queue, Task, TaskTag
from tests.api.conftest import Caller

TASKS = "/api/v1/tasks"
pytestmark = pytest.mark.django_db


def nothing_stored() -> bool:
    return not (Task.objects.exists() or Lane.objects.exists() or Queue.objects.exists() or TaskTag.objects.exists())


def test_one_task_with_everything(operator: Caller) -> None:
    answer = operator.post(
        TASKS,
        {
            "type": "demo.words",
            "payload": {"path": "a.txt", "n": [1, 2.50]},
            "queue": "night",
            "priority": -5,
            "delay_seconds": 60,
            "timeout_seconds": 30,
            "deadline": "2030-01-01T00:00:00+02:00",
            "max_attempts": 7,
            "backoff_seconds": 1.5,
            "backoff_cap_seconds": 90,
            "labels": {"gpu": "yes"},
            "affinity_key": "customer 7",
            "tags": ["blue", "två"],
            "idempotency_key": "k1",
        },
    )
    assert answer.status == 201
    assert answer.json["state"] == "scheduled"
    assert answer.headers["Location"] == f"{TASKS}/{answer.json['id']}"
    task = Task.objects.select_related("lane").get()
    assert str(task.pk) == answer.json["id"]
    assert (task.lane.queue, task.lane.type, task.lane.label_map) == ("night", "demo.words", {"gpu": "yes"})
    # The payload passes through as it came.
    assert task.payload == '{"path":"a.txt","n":[1,2.5]}'
    assert (task.priority, task.max_attempts, task.timeout_seconds) == (-5, 7, 30.0)
    assert (task.backoff_seconds, task.backoff_cap_seconds, task.affinity_key) == (1.5, 90.0, "customer 7")
    assert task.expires_at == datetime(2029, 12, 31, 22, tzinfo=UTC)
    assert task.run_at is not None
    assert timedelta(seconds=59) < task.run_at - task.created_at <= timedelta(seconds=61)
    assert task.submitted_by == "otto"
    assert sorted(TaskTag.objects.values_list("tag", flat=True)) == ["blue", "två"]


def test_payload_keeps_its_very_text(operator: Caller) -> None:
    operator.post(TASKS, b'{"type":"t","payload": {"b" : 1.50,\n "a":"\\u00e9\\\\"}}')
    assert Task.objects.get().payload == '{"b" : 1.50,\n "a":"\\u00e9\\\\"}'


def test_defaults(operator: Caller) -> None:
    answer = operator.post(TASKS, {"type": "t"})
    assert answer.status == 201
    assert answer.json == answer.json | {
        "state": "queued",
        "queue": "default",
        "priority": 0,
        "max_attempts": 3,
        "labels": {},
        "tags": [],
        "deadline": None,
        "retry_of": None,
    }
    assert Task.objects.get().payload == "null"


@pytest.mark.parametrize("wrap", [lambda tasks: tasks, lambda tasks: {"tasks": tasks}])
def test_many(operator: Caller, wrap: Any) -> None:
    answer = operator.post(TASKS, wrap([{"type": "t", "payload": n} for n in range(25)]))
    assert answer.status == 201
    assert answer.json["existing"] == []
    stored = dict(Task.objects.values_list("id", "payload"))
    assert [stored[int(task_id)] for task_id in answer.json["ids"]] == [str(n) for n in range(25)]


def test_run_at_in_the_past_is_now(operator: Caller) -> None:
    assert operator.post(TASKS, {"type": "t", "run_at": "2020-01-01T00:00:00Z"}).json["state"] == "queued"


def test_every_bad_item_is_named_and_nothing_is_stored(operator: Caller) -> None:
    answer = operator.post(
        TASKS,
        [
            {"type": "fine"},
            {"type": "t", "priority": 101, "queue": 5},
            {"payload": 1},
            {"type": "t", "state": "succeeded", "attempt": 9, "id": 1},
            {"type": "fine"},
            7,
        ],
    )
    assert answer.status == 400
    assert answer.is_problem
    assert answer.fields == [
        (1, "priority"),
        (1, "queue"),
        (2, "type"),
        (3, "state"),
        (3, "attempt"),
        (3, "id"),
        (5, ""),
    ]
    assert nothing_stored()


def test_values_that_types_do_not_tell_are_named_too(operator: Caller) -> None:
    answer = operator.post(
        TASKS,
        [
            {"type": "fine"},
            {"type": "two words"},
            {"type": "t", "queue": "a/b"},
            {"type": "t", "tags": ["ok", "line\nbreak"]},
            {"type": "t", "labels": {"a b": "c"}},
            {"type": "t", "run_at": "9999-12-31T23:59:59Z"},
            {"type": "t", "run_at": "2030-01-01T00:00:00Z", "delay_seconds": 1},
            {"type": "t", "deadline": "0001-01-01T00:00:00Z"},
            {"type": "t", "run_at": "2030-01-02T00:00:00Z", "deadline": "2030-01-01T00:00:00Z"},
            {"type": "t", "timeout_seconds": 1e18},
            {"type": "t", "payload": "x" * 300_000},
        ],
    )
    assert answer.status == 400
    assert answer.fields == [
        (1, "type"),
        (2, "queue"),
        (3, "tags[1]"),
        (4, "labels.a b"),
        (5, "run_at"),
        (6, "delay_seconds"),
        (7, "deadline"),
        (8, "deadline"),
        (9, "timeout_seconds"),
        (10, "payload"),
    ]
    assert nothing_stored()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", ""),
        ("type", "x" * 201),
        ("queue", "x" * 101),
        ("priority", -101),
        ("priority", 2**62),
        ("priority", 1.5),
        ("priority", "1"),
        ("priority", True),
        ("run_at", "2030-01-01T00:00:00"),
        ("run_at", 1),
        ("delay_seconds", -1),
        ("delay_seconds", 1e18),
        ("timeout_seconds", 0),
        ("timeout_seconds", -1),
        ("max_attempts", 0),
        ("max_attempts", 10**9),
        ("backoff_seconds", -1),
        ("backoff_cap_seconds", 1e9),
        ("labels", {"a": 1}),
        ("labels", {str(n): "" for n in range(33)}),
        ("affinity_key", "x" * 201),
        ("tags", ["x" * 101]),
        ("tags", [str(n) for n in range(33)]),
        ("idempotency_key", ""),
        ("idempotency_key", "x" * 129),
        ("retry_of", 1),
        ("submitted_by", "root"),
        ("node", 1),
    ],
)
def test_bounds_of_single_fields(operator: Caller, field: str, value: Any) -> None:
    answer = operator.post(TASKS, {"type": "t"} | {field: value})
    assert answer.status == 400
    assert answer.is_problem
    assert [(index, name.partition(".")[0].partition("[")[0]) for index, name in answer.fields] == [(None, field)]
    assert nothing_stored()


def test_every_bad_item_is_named_whatever_is_wrong_with_it(operator: Caller) -> None:
    items = [
        {"type": "t"},
        {"type": "t", "queue": "no queue", "payload": "x" * 300_000},
        {"type": "t", "priority": 101},
        {"queue": "no queue", "priority": 101, "deadline": "1999-01-01T00:00:00Z"},
    ]
    answer = operator.post(TASKS, items)
    assert answer.status == 400
    assert answer.fields == [
        (1, "queue"), (1, "payload"), (2, "priority"), (3, "type"), (3, "priority"), (3, "queue"), (3, "deadline"),
    ]  # fmt: skip
    assert nothing_stored()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "type: is required"),
        ([{"type": "t"}, {"type": "t", "priority": 101}], "item 1, priority: must be at most 100"),
        ([{"type": "t"}, 5], "item 1: must be an object, not a whole number"),
        (5, "must be an object, not a whole number"),
    ],
)
def test_the_detail_alone_says_what_is_wrong(operator: Caller, body: Any, detail: str) -> None:
    assert operator.post(TASKS, body).json["detail"] == detail


def test_at_most_a_hundred_errors_are_listed(operator: Caller) -> None:
    answer = operator.post(TASKS, [{"type": ""}] * 250)
    assert len(answer.fields) == 100
    assert "250 errors" in answer.json["detail"]


def test_a_misspelt_field_is_guessed(operator: Caller) -> None:
    answer = operator.post(TASKS, {"type": "t", "priorty": 1})
    assert "did you mean priority?" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b'{"tasks":[]}', 400),
        (b'{"tasks":{}}', 400),
        (b'{"tasks":[{"type":"t"}],"queue":"q"}', 400),
        (b'"t"', 400),
        (b"null", 400),
        (b"{", 400),
        (b'{"type":"t","type":"u"}', 400),
    ],
)
def test_bodies_that_are_no_tasks(operator: Caller, body: bytes, status: int) -> None:
    answer = operator.post(TASKS, body)
    assert answer.status == status
    assert answer.is_problem
    assert nothing_stored()


def test_too_many_tasks(operator: Caller, settings: Any) -> None:
    settings.TASKDIST = {"max_submit_tasks": 3}
    assert operator.post(TASKS, [{"type": "t"}] * 4).status == 413
    # Also if something else is wrong with them.
    assert operator.post(TASKS, [{"type": ""}] * 4).status == 413
    assert nothing_stored()
    assert operator.post(TASKS, [{"type": "t"}] * 3).status == 201


def test_the_same_key_and_task_is_the_same_task(operator: Caller) -> None:
    body = {"type": "t", "payload": 1, "delay_seconds": 5}
    first = operator.post(TASKS, body, idempotency_key="abc")
    again = operator.post(TASKS, body, idempotency_key="abc")
    assert (first.status, again.status) == (201, 200)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert Task.objects.count() == 1


def test_the_same_key_and_another_task_is_a_conflict(operator: Caller) -> None:
    operator.post(TASKS, {"type": "t", "payload": 1}, idempotency_key="abc")
    answer = operator.post(TASKS, {"type": "t", "payload": 2}, idempotency_key="abc")
    assert answer.status == 409
    assert answer.json["type"] == "urn:taskdist:problem:idempotency-conflict"
    assert answer.fields == [(None, "idempotency_key")]
    assert Task.objects.count() == 1


def test_keys_of_different_submitters_do_not_meet(operator: Caller, admin: Caller) -> None:
    one = operator.post(TASKS, {"type": "t"}, idempotency_key="abc")
    other = admin.post(TASKS, {"type": "t"}, idempotency_key="abc")
    assert (one.status, other.status) == (201, 201)
    assert one.json["id"] != other.json["id"]


def test_keys_in_a_batch(operator: Caller) -> None:
    tasks = [{"type": "t", "payload": 0}, {"type": "t", "payload": 1, "idempotency_key": "own"}]
    first = operator.post(TASKS, tasks, idempotency_key="b")
    assert sorted(IdempotencyKey.objects.values_list("key", flat=True)) == ["4:otto:b#0", "4:otto:own"]
    again = operator.post(TASKS, [*tasks, {"type": "t", "payload": 2}], idempotency_key="b")
    assert again.status == 201
    assert again.json["existing"] == [0, 1]
    assert again.json["ids"][:2] == first.json["ids"]
    same = operator.post(TASKS, tasks, idempotency_key="b")
    assert (same.status, same.json["existing"]) == (200, [0, 1])


def test_a_conflict_in_a_batch_names_the_item_and_stores_nothing(operator: Caller) -> None:
    operator.post(TASKS, {"type": "t", "payload": 1, "idempotency_key": "x"})
    answer = operator.post(TASKS, [{"type": "u"}, {"type": "t", "payload": 9, "idempotency_key": "x"}])
    assert answer.status == 409
    assert answer.fields == [(1, "idempotency_key")]
    assert Task.objects.count() == 1


@pytest.mark.parametrize("key", ["x" * 129, "a\tb"])
def test_keys_in_the_header_have_bounds(operator: Caller, key: str) -> None:
    assert operator.post(TASKS, {"type": "t"}, idempotency_key=key).status == 400


def test_two_different_keys_for_one_task(operator: Caller) -> None:
    answer = operator.post(TASKS, {"type": "t", "idempotency_key": "a"}, idempotency_key="b")
    assert answer.status == 400
    assert answer.fields == [(None, "idempotency_key")]


def test_plain_items_take_the_short_way_and_are_checked_all_the_same() -> None:
    # What the quick look passes must be right by the thorough one.
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for item in ({"type": "a b"}, {"type": "t", "queue": "x y"}, {"type": "t", "payload": "x" * 300_000}):
        with pytest.raises(Problem) as caught:
            task_input.parse(json.dumps(item).encode(), key=None, now=moment)
        assert caught.value.status == 400


def test_a_clone_names_its_origin(operator: Caller) -> None:
    first = operator.post(TASKS, {"type": "t"}).json["id"]
    second = operator.post(TASKS, {"type": "t", "clone_of": first}).json["id"]
    assert operator.get(f"{TASKS}/{second}").json()["clone_of"] == first
    assert operator.get(f"{TASKS}/{first}").json()["clones"] == [second]
    for bad in ("x", "0", "9" * 19, ""):
        answer = operator.post(TASKS, {"type": "t", "clone_of": bad})
        assert answer.status == 400
        assert answer.json["errors"][0]["field"] == "clone_of"

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher import lifecycle
from dispatcher.models import Change, Node, Task
from dispatcher.queries import task_search
from dispatcher.states import TaskState
from tests.api.conftest import Caller, now
from tests.factories import make_attempt, make_error, make_logs, make_node, make_task

TASKS = "/api/v1/tasks"
pytestmark = pytest.mark.django_db


def ids_in(answer: Any) -> list[int]:
    return [int(task["id"]) for task in answer.json["tasks"]]


class TestList:
    """``GET /tasks``."""

    def test_newest_first_in_pages_without_gap_or_repeat(self, viewer: Caller) -> None:
        made = [make_task(now=now()).pk for _ in range(7)]
        seen: list[int] = []
        after: dict[str, str] = {}
        while True:
            answer = viewer.read(TASKS, limit="3", **after)
            seen += ids_in(answer)
            if answer.json["next"] is None:
                break
            after = {"after": answer.json["next"]}
            # What is submitted meanwhile shifts nothing.
            make_task(now=now())
        assert seen == sorted(made, reverse=True)

    def test_rows_are_light_and_ids_are_text(self, viewer: Caller) -> None:
        make_task(payload='{"secret": 1}', tags=["blue"], now=now())
        row = viewer.read(TASKS).json["tasks"][0]
        assert isinstance(row["id"], str)
        assert "payload" not in row
        assert (row["state"], row["queue"], row["type"], row["tags"]) == ("queued", "default", "echo", ["blue"])
        assert row["created_at"].endswith("Z")

    def test_a_query_finds_the_same_as_parameters(self, viewer: Caller) -> None:
        failed = make_task(state=TaskState.FAILED, queue="night", now=now()).pk
        make_task(now=now())
        answer = viewer.read(TASKS, q="state:failed -queue:default")
        assert (ids_in(answer), answer.json["searched_to"]) == ([failed], None)
        assert ids_in(viewer.read(TASKS, q="state:failed", queue="default")) == []

    def test_a_bad_query_is_answered_with_its_place_and_a_suggestion(self, viewer: Caller) -> None:
        answer = viewer.read(TASKS, q="queue:gpu stat:failed")
        assert answer.status == 400
        assert answer.json["errors"] == [
            {
                "message": "There is no key stat. Did you mean state?",
                "field": "q",
                "start": 10,
                "end": 14,
                "suggestion": "queue:gpu state:failed",
            }
        ]

    def test_a_search_goes_further_when_asked(self, viewer: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task_search, "WINDOW", 2)
        oldest = make_task(state=TaskState.SUCCEEDED, now=now()).pk
        others = [make_task(state=TaskState.FAILED, now=now()).pk for _ in range(5)]
        narrow = viewer.read(TASKS, q="state:succeeded")
        assert (ids_in(narrow), narrow.json["searched_to"]) == ([], str(others[2]))
        assert ids_in(viewer.read(TASKS, q="state:succeeded", wider="true")) == [oldest]
        assert viewer.read(TASKS, wider="yes").fields == [(None, "wider")]

    def test_filters(self, viewer: Caller) -> None:
        node = make_node("gpu-1", now=now())
        queued = make_task(now=now(), tags=["blue"]).pk
        failed = make_task(state=TaskState.FAILED, node=node, queue="night", now=now()).pk
        other = make_task(task_type="words", now=now()).pk
        again = make_task(retry_of=failed, now=now()).pk
        cases: list[tuple[dict[str, str], list[int]]] = [
            ({"state": "failed"}, [failed]),
            ({"state": "failed,queued"}, [again, other, failed, queued]),
            ({"queue": "night"}, [failed]),
            ({"type": "words"}, [other]),
            ({"node": "gpu-1"}, [failed]),
            ({"tag": "blue"}, [queued]),
            ({"retry_of": str(failed)}, [again]),
            ({"created_after": (now() + timedelta(hours=1)).isoformat()}, []),
            ({"created_before": (now() + timedelta(hours=1)).isoformat(), "type": "words"}, [other]),
            ({"state": "queued", "queue": "night"}, []),
        ]
        for params, expected in cases:
            assert ids_in(viewer.read(TASKS, **params)) == expected, params

    def test_state_may_be_repeated(self, viewer: Caller) -> None:
        make_task(now=now())
        make_task(state=TaskState.SUCCEEDED, now=now())
        make_task(state=TaskState.CANCELLED, now=now())
        response = viewer.get(f"{TASKS}?state=queued&state=succeeded")
        assert len(response.json()["tasks"]) == 2

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"stat": "failed"}, "stat"),
            ({"payload__x": "1"}, "payload__x"),
            ({"ordering": "id"}, "ordering"),
            ({"state": "asleep"}, "state"),
            ({"limit": "0"}, "limit"),
            ({"limit": "501"}, "limit"),
            ({"limit": "1e9"}, "limit"),
            ({"limit": "9" * 5000}, "limit"),
            ({"after": "x"}, "after"),
            ({"after": "-1"}, "after"),
            ({"after": ["1", "2"]}, "after"),
            ({"limit": ["1", "2"]}, "limit"),
            ({"created_after": "yesterday"}, "created_after"),
            ({"created_after": "2026-01-01T00:00:00"}, "created_after"),
            ({"retry_of": "10" * 30}, "retry_of"),
            ({"tag": "a\x00"}, "tag"),
        ],
    )
    def test_parameters_that_make_no_sense_are_named(self, viewer: Caller, params: dict[str, Any], field: str) -> None:
        answer = viewer.read(TASKS, **params)
        assert (answer.status, answer.is_problem) == (400, True)
        assert answer.fields == [(None, field)]

    @pytest.mark.parametrize("date", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
    def test_the_ends_of_the_calendar(self, viewer: Caller, date: str) -> None:
        make_task(now=now())
        for name in ("created_after", "created_before"):
            assert viewer.read(TASKS, **{name: date}).status in (200, 400)


class TestRead:
    """``GET /tasks/{id}`` and its log."""

    def test_in_full(self, viewer: Caller) -> None:
        node = make_node("gpu-1", now=now())
        task = make_task(
            state=TaskState.SUCCEEDED, node=node, payload='{"a": [1.50]}', result='{"ok": true}', attempt=2, now=now()
        )
        make_attempt(task, number=1, outcome="failed", node=node, now=now(), error=make_error("OSError", "disk"))
        answer = viewer.read(f"{TASKS}/{task.pk}")
        assert answer.status == 200
        # As they are, not as text, and not read and written again.
        assert b'"payload":{"a": [1.50]}' in answer.content
        assert b'"result":{"ok": true}' in answer.content
        assert (answer.json["state"], answer.json["node"], answer.json["attempt"]) == ("succeeded", "gpu-1", 2)
        assert [row["outcome"] for row in answer.json["attempts"]] == ["failed", "succeeded"]
        assert answer.json["attempts"][0]["error"]["type"] == "OSError"
        assert answer.json["deadline"] is None

    def test_why_it_waits(self, viewer: Caller) -> None:
        make_node("gpu-1", now=now(), types={"render": {}})
        document = viewer.read(f"{TASKS}/{make_task(task_type='echo', now=now()).pk}").json
        assert document["waiting"]["kind"] == "impossible"
        [node] = document["waiting"]["nodes"]
        assert node["reasons"] == [
            {
                "code": "type_not_run",
                "text": "node gpu-1 cannot run tasks of type echo",
                "facts": {"node": "gpu-1", "type": "echo"},
            }
        ]
        assert viewer.read(f"{TASKS}/{make_task(state=TaskState.RUNNING, now=now()).pk}").json["waiting"] is None

    def test_failure(self, viewer: Caller) -> None:
        task = make_task(state=TaskState.FAILED, now=now(), error=make_error("ValueError", "no"))
        document = viewer.read(f"{TASKS}/{task.pk}").json
        assert document["failure"] == {"type": "ValueError", "message": "no", "traceback": "Traceback …"}
        assert document["result"] is None

    def test_log_in_pages(self, viewer: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, now=now())
        make_logs(task, ["one", "two"], now=now())
        make_logs(task, ["three"], first_n=3, now=now())
        first = viewer.read(f"{TASKS}/{task.pk}/logs", limit="2").json
        assert [line["text"] for line in first["lines"]] == ["one", "two"]
        rest = viewer.read(f"{TASKS}/{task.pk}/logs", after=str(first["next"])).json
        assert [line["text"] for line in rest["lines"]] == ["three"]
        assert viewer.read(f"{TASKS}/{task.pk}/logs", attempt="7").json["lines"] == []

    @pytest.mark.parametrize("params", [{"attempt": "x"}, {"after": "-1"}, {"limit": "501"}, {"tail": "5"}])
    def test_log_parameters(self, viewer: Caller, params: dict[str, str]) -> None:
        task = make_task(now=now())
        assert viewer.read(f"{TASKS}/{task.pk}/logs", **params).fields == [(None, next(iter(params)))]


class TestCancel:
    """One and many."""

    def test_a_waiting_task_ends_at_once(self, operator: Caller) -> None:
        task = make_task(now=now())
        answer = operator.post(f"{TASKS}/{task.pk}/cancel", {})
        assert (answer.status, answer.json) == (200, {"id": str(task.pk), "outcome": "cancelled"})
        task.refresh_from_db()
        assert task.state == TaskState.CANCELLED
        assert Change.objects.filter(actor="otto", kind="tasks.changed").exists()

    def test_a_running_task_is_asked_for(self, operator: Caller, node: Node) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        answer = operator.post(f"{TASKS}/{task.pk}/cancel")
        assert (answer.status, answer.json["outcome"]) == (202, "requested")
        task.refresh_from_db()
        assert task.cancel_requested_at is not None

    def test_too_late(self, operator: Caller) -> None:
        task = make_task(state=TaskState.SUCCEEDED, now=now())
        answer = operator.post(f"{TASKS}/{task.pk}/cancel")
        assert (answer.status, answer.json["type"]) == (409, "urn:taskdist:problem:state-conflict")

    def test_a_body_with_fields_is_refused(self, operator: Caller) -> None:
        task = make_task(now=now())
        assert operator.post(f"{TASKS}/{task.pk}/cancel", {"force": True}).fields == [(None, "force")]
        task.refresh_from_db()
        assert task.state == TaskState.QUEUED

    def test_many(self, operator: Caller, node: Node) -> None:
        waiting, running, ended = (
            make_task(state=state, now=now()).pk for state in (TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED)
        )
        ids = [str(waiting), running, str(ended), "987654321", str(waiting)]
        answer = operator.post(f"{TASKS}/cancel", {"ids": ids})
        assert answer.status == 200
        assert answer.json == {
            "cancelled": [str(waiting)],
            "requested": [str(running)],
            "too_late": [str(ended)],
            "unknown": ["987654321"],
        }

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"ids": []},
            {"ids": ["1"] * 1001},
            {"ids": "1"},
            {"ids": ["1", "x"]},
            {"ids": [-1]},
            {"ids": ["9" * 30]},
            {"ids": [None]},
            {"ids": ["1"], "all": True},
            ["1"],
        ],
    )
    def test_bodies_that_name_no_tasks(self, operator: Caller, body: Any) -> None:
        for action in ("cancel", "retry"):
            answer = operator.post(f"{TASKS}/{action}", body)
            assert (answer.status, answer.is_problem) == (400, True)


class TestRetry:
    """One and many."""

    def test_a_new_task_like_the_old(self, operator: Caller) -> None:
        task = make_task(state=TaskState.FAILED, payload='{"a":1}', tags=["blue"], priority=4, now=now())
        answer = operator.post(f"{TASKS}/{task.pk}/retry")
        assert answer.status == 201
        assert answer.json["retry_of"] == str(task.pk)
        assert answer.headers["Location"] == f"{TASKS}/{answer.json['id']}"
        made = Task.objects.get(pk=answer.json["id"])
        assert (made.payload, made.tag_list, made.priority, made.state) == ('{"a":1}', ["blue"], 4, TaskState.QUEUED)
        task.refresh_from_db()
        assert task.state == TaskState.FAILED

    def test_not_before_the_end(self, operator: Caller) -> None:
        task = make_task(now=now())
        assert operator.post(f"{TASKS}/{task.pk}/retry").status == 409

    def test_many(self, operator: Caller) -> None:
        ended, waiting = make_task(state=TaskState.FAILED, now=now()).pk, make_task(now=now()).pk
        answer = operator.post(f"{TASKS}/retry", {"ids": [str(ended), str(waiting), "987654321"]})
        assert answer.status == 201
        assert list(answer.json["created"]) == [str(ended)]
        assert (answer.json["not_finished"], answer.json["unknown"]) == ([str(waiting)], ["987654321"])

    def test_what_was_submitted_through_the_api_can_be_retried(self, operator: Caller) -> None:
        answer = operator.post(TASKS, {"type": "t", "payload": "é", "labels": {"gpu": "yes"}})
        task_id = int(answer.json["id"])
        lifecycle.cancel([task_id], actor="x", now=now())
        again = operator.post(f"{TASKS}/{task_id}/retry").json
        assert again["labels"] == {"gpu": "yes"}


def test_a_list_comes_in_the_order_that_is_asked_for(operator: Caller) -> None:
    made = [make_task(priority=priority).pk for priority in (1, 3, 2)]

    def ids(**params: str) -> list[int]:
        return [int(task["id"]) for task in operator.read("/api/v1/tasks", **params).json["tasks"]]

    assert ids(sort="created") == made
    assert ids(sort="-priority") == [made[1], made[2], made[0]]
    page = operator.read("/api/v1/tasks", sort="-priority", limit="2").json
    assert ids(sort="-priority", after=page["next"]) == [made[0]]
    assert ids(sort="created", after=str(made[0])) == made[1:]
    for wrong in ({"sort": "whim"}, {"sort": ["created", "created"]}, {"after": "1.x", "sort": "-ran"}):
        answer = operator.read("/api/v1/tasks", **wrong)
        assert (answer.status, answer.fields[0][1]) == (400, next(iter(wrong)))

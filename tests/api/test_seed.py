from __future__ import annotations

from typing import Any

import pytest

from dispatcher import credentials, lifecycle, node_registry
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claim, Start
from dispatcher.states import NodeIntent, NodeState, TaskState
from tests.api.conftest import Caller, now
from tests.factories import make_node, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker(db: None) -> Caller:
    """A worker with an enrolment token, as the tutorial's reader has it first."""
    return Caller(credentials.issue_enrolment_token(label="tests", actor="tests", now=now()))


def give(task_id: int, node: Node) -> int:
    """Bind the task to the node, as the engine does; returns the attempt."""
    attempt = Task.objects.get(pk=task_id).attempt
    claimed = lifecycle.claim([Claim(task_id, attempt, node.pk, node.incarnation)], now=now())
    lifecycle.start([Start(task_id, claimed[0].attempt, now(), now())], node_id=node.pk, now=now())
    return claimed[0].attempt


def test_a_task_from_submission_to_result(operator: Caller, worker: Caller) -> None:
    submitted = operator.post("/task", {"taskId": "order-7", "payload": {"n": 7}})
    assert (submitted.status, submitted.json["taskId"], submitted.json["state"]) == (201, "order-7", "queued")
    task_id = int(submitted.json["id"])
    assert operator.read(submitted.headers["Location"]).json["id"] == submitted.json["id"]
    assert Task.objects.select_related("lane").get(pk=task_id).lane.type == "task"

    registered = worker.post("/register", {"nodeId": "node-1", "url": "http://127.0.0.1:3001", "capacity": 3})
    assert registered.status == 200
    assert registered.json["nodeId"] == "node-1"
    node = Node.objects.get(name="node-1")
    assert (node.is_tutorial, node.types, node.slots, node.state) == (True, {"task": {}}, 1, NodeState.ONLINE)
    own = Caller(registered.json["credential"])

    beat = own.post("/heartbeat", {"nodeId": "node-1", "load": 0.2})
    assert (beat.status, beat.json["status"]) == (200, "run")
    give(task_id, node)

    result = own.post("/result", {"taskId": str(task_id), "nodeId": "node-1", "result": {"sum": [1, 2.50]}})
    assert (result.status, result.json) == (200, {"taskId": str(task_id), "verdict": "recorded"})
    task = Task.objects.get(pk=task_id)
    assert (task.state, task.result) == (TaskState.SUCCEEDED, '{"sum":[1,2.5]}')
    again = own.post("/result", {"taskId": str(task_id), "nodeId": "node-1", "result": {"sum": [1, 2.50]}})
    assert (again.status, again.json["verdict"]) == (200, "duplicate")


class TestTask:
    """``POST /task``."""

    def test_twice_is_once(self, operator: Caller) -> None:
        body = {"taskId": 7, "payload": 1}
        first, again = operator.post("/task", body), operator.post("/task", body)
        assert (first.status, again.status) == (201, 200)
        assert first.json == again.json
        assert first.json["taskId"] == 7

    def test_the_same_id_for_another_task(self, operator: Caller) -> None:
        operator.post("/task", {"taskId": "a", "payload": 1})
        answer = operator.post("/task", {"taskId": "a", "payload": 2})
        assert (answer.status, answer.is_problem) == (409, True)

    def test_with_a_type(self, operator: Caller) -> None:
        operator.post("/task", {"taskId": "a", "type": "thumb/nail"})
        assert Task.objects.select_related("lane").get().lane.type == "thumb/nail"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"payload": 1}, "taskId"),
            ({"taskId": ""}, "taskId"),
            ({"taskId": None}, "taskId"),
            ({"taskId": "x" * 129}, "taskId"),
            ({"taskId": "a\nb"}, "taskId"),
            ({"taskId": "a", "type": "two words"}, "type"),
            ({"taskId": "a", "type": "x" * 201}, "type"),
            ({"taskId": "a", "type": ""}, "type"),
            ({"taskId": "a", "payload": "x" * 300_000}, "payload"),
            ({"taskId": "a", "priority": 3}, "priority"),
        ],
    )
    def test_what_is_refused(self, operator: Caller, body: Any, field: str) -> None:
        answer = operator.post("/task", body)
        assert (answer.status, answer.is_problem) == (400, True)
        assert answer.fields == [(None, field)]
        assert not Task.objects.exists()


class TestRegister:
    """``POST /register``."""

    def test_again_is_a_new_start(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        answer = node_caller.post(
            "/register",
            {"nodeId": "n-1", "url": "http://127.0.0.1:3001", "slots": 2, "types": ["a"], "labels": {"os": "bsd"}},
        )
        assert answer.status == 200
        assert "credential" not in answer.json
        before = node.incarnation
        node.refresh_from_db()
        assert (node.slots, node.types, node.labels) == (2, {"a": {}}, {"os": "bsd"})
        assert node.incarnation == before + 1
        task.refresh_from_db()
        assert task.state in (TaskState.SCHEDULED, TaskState.QUEUED)

    def test_for_any_type(self, node: Node, node_caller: Caller) -> None:
        node_caller.post("/register", {"nodeId": "n-1", "url": "http://127.0.0.1:3001", "types": None})
        node.refresh_from_db()
        assert node.types is None

    @pytest.mark.parametrize("path", ["/register", "/heartbeat", "/result"])
    def test_for_someone_else(self, node_caller: Caller, path: str) -> None:
        victim = make_node("n-2", now=now())
        body = {"nodeId": "n-2", "url": "http://127.0.0.1:1", "taskId": "1", "result": 1}
        answer = node_caller.post(path, body)
        assert (answer.status, answer.is_problem) == (403, True)
        victim.refresh_from_db()
        assert not victim.is_tutorial

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"url": "http://10.0.0.1"}, "url"),
            ({"slots": 0}, "slots"),
            ({"nodeId": "a b"}, "name"),
            ({"url": 1}, "url"),
        ],
    )
    def test_what_makes_no_sense(self, worker: Caller, fields: dict[str, Any], field: str) -> None:
        answer = worker.post("/register", {"nodeId": "node-1", "url": "http://127.0.0.1:3001"} | fields)
        assert answer.status == 400
        assert (None, field) in answer.fields
        assert not Node.objects.exists()


class TestHeartbeat:
    """``POST /heartbeat``."""

    def test_before_any_register(self, db: None) -> None:
        caller = Caller(node_registry.issue_credential(name="fresh", actor="tests", now=now()))
        answer = caller.post("/heartbeat", {"nodeId": "fresh"})
        assert (answer.status, answer.json["type"]) == (409, "urn:taskdist:problem:register-first")

    def test_leaves_what_the_node_holds(self, node: Node, node_caller: Caller) -> None:
        # The tutorial does not say what a worker holds: silence about it means nothing.
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        assert node_caller.post("/heartbeat", {"nodeId": "n-1"}).status == 200
        task.refresh_from_db()
        assert task.state == TaskState.RUNNING

    def test_tells_of_a_drain(self, node: Node, node_caller: Caller) -> None:
        Node.objects.update(intent=NodeIntent.DRAIN)
        assert node_caller.post("/heartbeat", {"nodeId": "n-1"}).json["status"] == "drain"


class TestResult:
    """``POST /result``."""

    @pytest.mark.parametrize(
        ("error", "stored"),
        [
            ("it broke", {"type": "Error", "message": "it broke", "traceback": ""}),
            ({"message": "no", "type": "IOError"}, {"type": "IOError", "message": "no", "traceback": ""}),
            ({"code": 5}, {"type": "Error", "message": "", "traceback": ""}),
        ],
    )
    def test_an_error(self, node: Node, node_caller: Caller, error: Any, stored: dict[str, str]) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, max_attempts=1, now=now())
        answer = node_caller.post("/result", {"taskId": str(task.pk), "nodeId": "n-1", "error": error, "result": None})
        assert answer.json["verdict"] == "recorded"
        task.refresh_from_db()
        assert task.state == TaskState.FAILED
        assert task.error_map == stored

    def test_null_is_a_result_and_no_error_is_none(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        body = {"taskId": task.pk, "nodeId": "n-1", "result": None, "error": None}
        assert node_caller.post("/result", body).json == {"taskId": task.pk, "verdict": "recorded"}
        task.refresh_from_db()
        assert (task.state, task.result) == (TaskState.SUCCEEDED, "null")

    def test_neither_result_nor_error(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        answer = node_caller.post("/result", {"taskId": str(task.pk), "nodeId": "n-1"})
        assert answer.status == 400
        task.refresh_from_db()
        assert task.state == TaskState.RUNNING

    def test_of_a_task_that_another_node_has(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=make_node("n-2", now=now()), now=now())
        answer = node_caller.post("/result", {"taskId": str(task.pk), "nodeId": "n-1", "result": "forged"})
        assert (answer.status, answer.is_problem) == (409, True)
        with_attempt = {"taskId": str(task.pk), "nodeId": "n-1", "result": "forged", "attempt": 1}
        assert node_caller.post("/result", with_attempt).status == 409
        task.refresh_from_db()
        assert (task.state, task.result) == (TaskState.RUNNING, None)

    def test_of_an_attempt_that_is_over(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, attempt=2, now=now())
        body = {"taskId": str(task.pk), "nodeId": "n-1", "result": "old", "attempt": 1}
        assert node_caller.post("/result", body).status == 409
        assert node_caller.post("/result", body | {"attempt": 2}).status == 200

    @pytest.mark.parametrize("task_id", ["999999", "order-7", "²", "9" * 30, -1, 0])
    def test_of_no_task(self, node_caller: Caller, task_id: Any) -> None:
        for extra in ({}, {"attempt": 1}):
            answer = node_caller.post("/result", {"taskId": task_id, "nodeId": "n-1", "result": 1} | extra)
            assert (answer.status, answer.is_problem) == (404, True)

    def test_of_a_task_that_nobody_was_given(self, node_caller: Caller) -> None:
        task = make_task(now=now())
        answer = node_caller.post("/result", {"taskId": str(task.pk), "nodeId": "n-1", "result": 1})
        assert answer.status == 409

    def test_untidy_results_are_kept(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        node_caller.post("/result", b'{"taskId":"%d","nodeId":"n-1","result":"\\u0000\\ud800"}' % task.pk)
        task.refresh_from_db()
        assert task.result == '"\\ufffd\\ufffd"'

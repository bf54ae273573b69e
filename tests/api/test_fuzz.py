"""Bodies made to hurt, on every route that takes one: never a 5xx, nothing stored by a refusal, lists still answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher import credentials
from dispatcher.models import Attempt, Change, Credential, Lane, LogChunk, Node, Queue, Task, TaskProgress, TaskTag
from dispatcher.states import TaskState
from tests.api.conftest import Caller, now
from tests.api.test_json_guard import AWKWARD_TEXT, CHANGES, VALUES, changed
from tests.factories import make_queue, make_task

pytestmark = pytest.mark.django_db

TABLES = (Task, Lane, Queue, TaskTag, Attempt, TaskProgress, LogChunk, Node, Credential, Change)

#: What each route takes; ``{id}`` is a task of the calling node.
OPERATORS: dict[str, Any] = {
    "POST /api/v1/tasks": {
        "type": "t", "payload": {"a": [1, "b"]}, "queue": "q", "priority": 1, "run_at": "2030-01-01T00:00:00Z",
        "timeout_seconds": 5, "deadline": "2031-01-01T00:00:00Z", "max_attempts": 2, "backoff_seconds": 1,
        "backoff_cap_seconds": 2, "labels": {"a": "b"}, "affinity_key": "k", "tags": ["x"],
    },
    "POST /api/v1/tasks#many": {"tasks": [{"type": "t", "delay_seconds": 5}, {"type": "u", "payload": None}]},
    "POST /api/v1/tasks/cancel": {"ids": ["{id}", "2"]},
    "POST /api/v1/tasks/retry": {"ids": ["{id}", 3]},
    "POST /api/v1/tasks/{id}/cancel": {},
    "POST /api/v1/tasks/{id}/retry": {},
    "POST /api/v1/queues": {"name": "q", "policy": "spread", "description": "d"},
    "PATCH /api/v1/queues/default": {"policy": "spread", "description": "d"},
    "POST /api/v1/queues/default/pause": {"reason": "r"},
    "POST /api/v1/queues/default/resume": {"reason": "r"},
    "POST /api/v1/nodes/n-1/drain": {"reason": "r"},
    "POST /api/v1/nodes/n-1/resume": {"reason": "r"},
    "POST /api/v1/nodes/n-1/rotate": {},
    "POST /api/v1/nodes/enrolment-tokens": {"label": "l", "uses": 2, "expires_in_seconds": 60},
    "POST /task": {"taskId": "7", "payload": {"a": 1}, "type": "t"},
}  # fmt: skip
NODES: dict[str, Any] = {
    "POST /api/v1/nodes/register": {
        "name": "n-1", "url": "http://127.0.0.1:9", "boot_id": "b", "slots": 2, "labels": {"a": "b"}, "queues": ["q"],
        "types": {"t": {"version": "1", "schema": {"type": "object"}}}, "version": "1", "protocol": 1,
    },
    "POST /api/v1/nodes/heartbeat": {
        "boot_id": "boot-n-1", "held": [{"task_id": "{id}", "attempt": 1, "running": True}], "free_slots": 1,
    },
    "POST /api/v1/nodes/results": {
        "boot_id": "boot-n-1",
        "results": [{"task_id": "{id}", "attempt": 1, "outcome": "succeeded", "result": [1], "run_ms": 2.5}],
        "started": [{"task_id": "{id}", "attempt": 1, "running_ms": 3}],
        "progress": [{"task_id": "{id}", "attempt": 1, "fraction": 0.5, "message": "m"}],
        "logs": [{"task_id": "{id}", "attempt": 1, "n": 1, "text": "line", "age_ms": 2}],
    },
    "POST /api/v1/nodes/results#failed": {
        "boot_id": "boot-n-1",
        "results": [
            {"task_id": "{id}", "attempt": 1, "outcome": "failed", "retry_after_seconds": 5, "run_ms": 2,
             "error": {"type": "E", "message": "m", "traceback": "t"}},
        ],
    },
    "POST /api/v1/nodes/credential": {},
    "POST /register": {"nodeId": "n-1", "url": "http://127.0.0.1:9", "slots": 1, "types": ["a"], "labels": {"a": "b"}},
    "POST /heartbeat": {"nodeId": "n-1"},
    "POST /result": {"taskId": "{id}", "nodeId": "n-1", "result": {"a": 1}, "error": None, "attempt": 1},
}  # fmt: skip

#: Values put in the place of any member, however deep.
POISON = st.one_of(
    VALUES,
    AWKWARD_TEXT,
    st.sampled_from(
        [
            2**31, 2**63 - 1, -(2**63), 2**64, 1e308, -1e308, 1e-308, "9" * 40, "²", "٣", "-1", "", "\u202e",
            "x" * 5000,
            "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "'; DROP TABLE dispatcher_task; --", "%s", [[]],
            {"": ""}, [None] * 50, {"a": {"a": {"a": 1}}}, "http://169.254.169.254", "http://[::1", "//",
        ]
    ),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all members of a document."""
    found = [path]
    if isinstance(value, dict):
        found += [inner for key in value for inner in places(value[key], (*path, key))]
    if isinstance(value, list):
        found += [inner for index in range(len(value)) for inner in places(value[index], (*path, index))]
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of the document with another value at ``path``."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def attacks(draw: st.DrawFn, routes: dict[str, Any]) -> tuple[str, bytes]:
    """(route, body)."""
    route = draw(st.sampled_from(sorted(routes)))
    document = routes[route]
    for _ in range(draw(st.integers(0, 2))):
        document = replaced(document, draw(st.sampled_from(places(document))), draw(POISON))
    body = json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.booleans()):
        body = changed(body, draw(CHANGES))
    return route, body


def sizes() -> list[int]:
    return [table.objects.count() for table in TABLES]  # type: ignore[attr-defined]


def strike(caller: Caller, viewer: Caller, task_id: int, route: str, body: bytes) -> None:
    method, _, path = route.partition("#")[0].partition(" ")
    before = sizes()
    answer = caller.send(method, path.replace("{id}", str(task_id)), body.replace(b"{id}", b"%d" % task_id))
    assert answer.status < 500, (route, body, answer)
    if answer.status >= 400:
        assert answer.is_problem, (route, body, answer)
        # A late report is refused with 409 and kept for the record.
        if answer.status != 409:
            assert sizes() == before, (route, body, answer)
            return
    # Whatever was let in can be shown.
    for where in ("tasks", "nodes", "queues", "counts", "changes", f"tasks/{task_id}", f"tasks/{task_id}/logs"):
        assert viewer.read(f"/api/v1/{where}").status == 200, (route, body, where)


EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(attack=attacks(OPERATORS))
@EXAMPLES
def test_what_people_and_programs_send(admin: Caller, node: Node, attack: tuple[str, bytes]) -> None:
    make_queue("default")
    task = make_task(state=TaskState.FAILED, node=node)
    strike(admin, admin, task.pk, attack[0], attack[1])


@given(attack=attacks(NODES))
@EXAMPLES
def test_what_nodes_send(viewer: Caller, node: Node, node_caller: Caller, attack: tuple[str, bytes]) -> None:
    credentials.request_rotation(node, actor="tests", now=now())
    Node.objects.filter(pk=node.pk).update(boot_id=node.boot_id)
    node.refresh_from_db()
    task = make_task(state=TaskState.RUNNING, node=node)
    strike(node_caller, viewer, task.pk, attack[0], attack[1])


@pytest.mark.parametrize("route", sorted(OPERATORS))
def test_the_bodies_that_are_attacked_are_good_ones(admin: Caller, node: Node, node_caller: Caller, route: str) -> None:
    """``node_caller``: the node has a credential that can be rotated."""
    make_queue("default")
    task = make_task(state=TaskState.QUEUED if route.endswith("cancel") else TaskState.FAILED, node=node)
    method, _, path = route.partition("#")[0].partition(" ")
    body = json.dumps(OPERATORS[route]).replace("{id}", str(task.pk))
    assert admin.send(method, path.replace("{id}", str(task.pk)), body.encode()).status in (200, 201)


@pytest.mark.parametrize("route", sorted(NODES))
def test_the_bodies_of_nodes_that_are_attacked_are_good_ones(node: Node, node_caller: Caller, route: str) -> None:
    credentials.request_rotation(node, actor="tests", now=now())
    task = make_task(state=TaskState.RUNNING, node=node)
    method, _, path = route.partition("#")[0].partition(" ")
    body = json.dumps(NODES[route]).replace("{id}", str(task.pk))
    assert node_caller.send(method, path, body.encode()).status == 200

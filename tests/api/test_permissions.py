from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher import credentials
from dispatcher.models import Change, Credential, Node
from dispatcher.states import NodeIntent, TaskState
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_node, make_queue, make_task, make_user

pytestmark = pytest.mark.django_db

Route = tuple[str, str, Any, int]
Callers = dict[str, Caller]
Paths = Callable[[str], str]

READ = ["/tasks", "/tasks/{task}", "/tasks/{task}/logs", "/nodes", "/nodes/n-1", "/queues", "/counts", "/changes"]
OPERATE: list[Route] = [
    ("POST", "/tasks", {"type": "t"}, 201),
    ("POST", "/tasks/{task}/cancel", None, 200),
    ("POST", "/tasks/{done}/retry", None, 201),
    ("POST", "/tasks/cancel", {"ids": ["1"]}, 200),
    ("POST", "/tasks/retry", {"ids": ["1"]}, 200),
    ("POST", "/nodes/n-1/drain", {"reason": "r"}, 200),
    ("POST", "/nodes/n-1/resume", {}, 200),
    ("POST", "/nodes/n-1/disable", {}, 200),
    ("POST", "/queues", {"name": "new"}, 201),
    ("PATCH", "/queues/default", {"description": "d"}, 200),
    ("POST", "/queues/default/pause", {"reason": "r"}, 200),
    ("POST", "/queues/default/resume", {}, 200),
]
ADMINISTER: list[Route] = [("POST", "/nodes/enrolment-tokens", {"label": "l"}, 201)]
NODE = ["/nodes/register", "/nodes/heartbeat", "/nodes/results"]
NODE_SEED = ["/register", "/heartbeat", "/result"]


@pytest.fixture
def paths(node: Node) -> Paths:
    task = make_task(state=TaskState.QUEUED)
    done = make_task(state=TaskState.SUCCEEDED, node=node)
    make_queue("default")
    return lambda path: "/api/v1" + path.format(task=task.pk, done=done.pk)


@pytest.fixture
def callers(nobody: Caller, viewer: Caller, operator: Caller, admin: Caller, node_caller: Caller) -> Callers:
    return {"nobody": nobody, "viewer": viewer, "operator": operator, "admin": admin, "node": node_caller}


@pytest.mark.parametrize("path", READ)
def test_who_reads(paths: Paths, callers: Callers, path: str) -> None:
    names = ("nobody", "viewer", "operator", "admin", "node")
    answers = [callers[name].send("GET", paths(path)) for name in names]
    assert [answer.status for answer in answers] == [401, 200, 200, 200, 403]
    assert [answer.is_problem for answer in answers] == [True, False, False, False, True]


@pytest.mark.parametrize("route", OPERATE, ids=str)
def test_who_operates(paths: Paths, callers: Callers, route: Route) -> None:
    method, path, body, status = route
    before = Change.objects.count()
    for name, refused in (("nobody", 401), ("viewer", 403), ("node", 403)):
        answer = callers[name].send(method, paths(path), body)
        assert (answer.status, answer.is_problem) == (refused, True)
    assert Change.objects.count() == before
    assert callers["operator"].send(method, paths(path), body).status == status


@pytest.mark.parametrize("route", OPERATE + ADMINISTER, ids=str)
def test_admins_may_everything(paths: Paths, admin: Caller, route: Route) -> None:
    method, path, body, status = route
    assert admin.send(method, paths(path), body).status == status


@pytest.mark.parametrize("route", ADMINISTER, ids=str)
def test_who_hands_out_tokens(paths: Paths, callers: Callers, route: Route) -> None:
    method, path, body, _ = route
    for name, refused in (("nobody", 401), ("viewer", 403), ("operator", 403), ("node", 403)):
        assert callers[name].send(method, paths(path), body).status == refused
    assert not Credential.objects.filter(kind=Credential.Kind.ENROLMENT).exists()


@pytest.mark.parametrize("path", ["/api/v1" + path for path in NODE] + NODE_SEED)
def test_routes_for_nodes_are_for_nodes_only(nobody: Caller, admin: Caller, path: str) -> None:
    body = {"boot_id": "b", "nodeId": "n-1", "name": "n-1", "url": "http://127.0.0.1:1"}
    for caller, refused in ((nobody, 401), (admin, 403)):
        answer = caller.post(path, body)
        assert (answer.status, answer.is_problem) == (refused, True)


@pytest.mark.parametrize("path", ["/api/v1/nodes/heartbeat", "/api/v1/nodes/results", "/heartbeat", "/result"])
def test_enrolment_tokens_only_enrol(db: None, path: str) -> None:
    token = credentials.issue_enrolment_token(label="l", actor="a", now=now())
    assert Caller(token).post(path, {"boot_id": "b", "nodeId": "n"}).status == 403


def test_seed_task_is_for_operators(nobody: Caller, viewer: Caller, operator: Caller, node_caller: Caller) -> None:
    body = {"taskId": "1", "payload": 1}
    statuses = [caller.post("/task", body).status for caller in (nobody, viewer, node_caller, operator)]
    assert statuses == [401, 403, 403, 201]


@pytest.mark.parametrize(
    ("fields", "submits", "issues"),
    [
        ({}, 403, 403),
        ({"is_staff": True}, 201, 403),
        ({"is_superuser": True}, 201, 201),
        ({"is_superuser": True, "is_active": False}, 401, 401),
    ],
)
def test_flags_of_accounts(db: None, fields: dict[str, bool], submits: int, issues: int) -> None:
    caller = Caller(token_of(make_user("flagged", **fields)))
    assert caller.post("/api/v1/tasks", {"type": "t"}).status == submits
    assert caller.post("/api/v1/nodes/enrolment-tokens", {}).status == issues


def test_revoked_and_expired_tokens(db: None) -> None:
    user = make_user("temp", is_superuser=True)
    expired = credentials.issue_api_token(
        user=user, label="l", actor="a", now=now() - timedelta(hours=2), expires_at=now() - timedelta(hours=1)
    )
    token = token_of(user)
    assert Caller(expired).read("/api/v1/tasks").status == 401
    assert Caller(token).read("/api/v1/tasks").status == 200
    credentials.revoke(Credential.objects.get(prefix=token[:12]), actor="a", now=now())
    assert Caller(token).read("/api/v1/tasks").status == 401


def test_a_disabled_node_is_refused_everything(node: Node, node_caller: Caller) -> None:
    Node.objects.update(intent=NodeIntent.DISABLED)
    for path, body in (
        ("/api/v1/nodes/heartbeat", {"boot_id": node.boot_id}),
        ("/api/v1/nodes/results", {"boot_id": node.boot_id}),
        ("/heartbeat", {"nodeId": node.name}),
    ):
        assert node_caller.post(path, body).status == 403


def test_nobody_is_told_apart_by_what_exists(viewer: Caller) -> None:
    make_node("real")
    answers = [viewer.post(f"/api/v1/nodes/{name}/drain", {}) for name in ("real", "unreal")]
    assert [answer.status for answer in answers] == [403, 403]

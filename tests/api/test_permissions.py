from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import credentials
from dispatcher.models import Credential, Node
from dispatcher.states import NodeIntent
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_node, make_user

pytestmark = pytest.mark.django_db


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

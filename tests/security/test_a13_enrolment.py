"""A13: nobody takes over another node's identity; an enrolment token is good for what it was made for, and no more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher import credentials
from dispatcher.models import Change, Credential, Node
from tests.api.conftest import Caller, now
from tests.factories import make_node

pytestmark = pytest.mark.django_db

REGISTER = "/api/v1/nodes/register"
HEARTBEAT = "/api/v1/nodes/heartbeat"


def registration(name: str, boot_id: str = "boot-1", port: int = 9000) -> dict[str, Any]:
    return {"name": name, "url": f"http://127.0.0.1:{port}", "boot_id": boot_id}


def token(**fields: Any) -> str:
    return credentials.issue_enrolment_token(label="tests", actor="tests", now=now(), **fields)


def live_credentials(name: str) -> int:
    return Credential.objects.filter(kind="node", node__name=name, revoked_at=None).count()


def beats(credential: str, boot_id: str = "boot-1") -> int:
    return Caller(credential).post(HEARTBEAT, {"boot_id": boot_id}).status


def test_a13_a_stolen_token_that_was_used_lets_nobody_in() -> None:
    enrolment = token()
    own = Caller(enrolment).post(REGISTER, registration("first")).json["credential"]
    assert beats(own) == 200
    for name in ("second", "first"):
        answer = Caller(enrolment).post(REGISTER, registration(name, "boot-2", 6666))
        assert (answer.status, answer.is_problem) == (401, True)
        assert "node_token enrol" in answer.json["detail"]
    assert Node.objects.get().url == "http://127.0.0.1:9000"
    assert beats(own) == 200


def test_a13_a_name_that_is_taken_is_refused_whatever_the_token() -> None:
    make_node("victim", now=now())
    for enrolment in (token(), token(uses=5)):
        assert Caller(enrolment).post(REGISTER, registration("victim", "boot-2")).status == 409
    assert Node.objects.get().boot_id == "boot-victim"
    assert live_credentials("victim") == 0


def test_a13_a_lost_answer_is_asked_for_again_and_takes_no_other_use() -> None:
    enrolment = token(uses=2)
    lost = Caller(enrolment).post(REGISTER, registration("first")).json["credential"]
    again = Caller(enrolment).post(REGISTER, registration("first", "boot-2"))
    assert again.status == 200
    assert again.json["credential"] != lost
    # What was lost on the way opens nothing for whoever finds it.
    assert beats(lost, "boot-2") == 401
    assert beats(again.json["credential"], "boot-2") == 200
    assert live_credentials("first") == 1
    assert Credential.objects.get(kind="enrolment").uses_left == 1
    # The node has shown that it got it: from now on there is nothing to repeat.
    assert Caller(enrolment).post(REGISTER, registration("first", "boot-3")).status == 409


def test_a13_a_lost_answer_is_repeated_also_when_the_token_has_no_use_left() -> None:
    enrolment = token()
    for boot in ("boot-1", "boot-2", "boot-3"):
        answer = Caller(enrolment).post(REGISTER, registration("first", boot))
        assert answer.status == 200
    assert beats(answer.json["credential"], "boot-3") == 200
    assert Caller(enrolment).post(REGISTER, registration("first", "boot-4")).status == 401


@pytest.mark.parametrize("ending", ["revoked", "expired"])
def test_a13_a_token_that_has_ended_repeats_nothing(ending: str) -> None:
    enrolment = token(expires_at=now() + timedelta(hours=1))
    Caller(enrolment).post(REGISTER, registration("first"))
    row = Credential.objects.get(kind="enrolment")
    if ending == "revoked":
        credentials.revoke(row, actor="tests", now=now())
    else:
        Credential.objects.filter(pk=row.pk).update(expires_at=now() - timedelta(seconds=1))
    answer = Caller(enrolment).post(REGISTER, registration("first", "boot-2"))
    assert (answer.status, ending in answer.json["detail"]) == (401, True)
    assert Node.objects.get().boot_id == "boot-1"


@pytest.mark.parametrize("ending", ["revoked", "expired"])
def test_a13_a_token_that_ends_between_the_door_and_the_enrolment_lets_nobody_in(ending: str) -> None:
    token(expires_at=now() + timedelta(hours=1))
    # The request has been authenticated; then somebody revokes the token, or its time is up.
    seen = Credential.objects.get()
    later = now() + timedelta(hours=2)
    if ending == "revoked":
        credentials.revoke(seen, actor="tests", now=now())
    assert not credentials.use_once(seen, now=now() if ending == "revoked" else later)
    assert Credential.objects.get().uses_left == 1


def test_a13_another_tokens_lost_answer_is_not_ones_own() -> None:
    Caller(token()).post(REGISTER, registration("first"))
    assert Caller(token()).post(REGISTER, registration("first", "boot-2")).status == 409
    assert live_credentials("first") == 1


def test_a13_when_a_node_enrols_again_its_old_credentials_end() -> None:
    old = Caller(token()).post(REGISTER, registration("first")).json["credential"]
    assert beats(old) == 200
    bound = token(node=Node.objects.get())
    fresh = Caller(bound).post(REGISTER, registration("first", "boot-2")).json["credential"]
    assert (beats(old, "boot-2"), beats(fresh, "boot-2")) == (401, 200)
    assert live_credentials("first") == 1
    assert Change.objects.filter(kind="credential.revoked", actor__startswith="enrolment tde_").count() == 1


def test_a13_the_tutorials_register_is_held_to_the_same() -> None:
    enrolment = token()
    body = {"nodeId": "first", "url": "http://127.0.0.1:9000"}
    lost, again = (Caller(enrolment).post("/register", body).json["credential"] for _ in range(2))
    assert Caller(lost).post("/heartbeat", {"nodeId": "first"}).status == 401
    assert Caller(again).post("/heartbeat", {"nodeId": "first"}).status == 200
    assert Caller(enrolment).post("/register", body).status == 401

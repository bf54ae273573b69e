"""Credentials and push keys of nodes are changed while they work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from dispatcher import credentials, node_registry
from dispatcher.conf import conf
from dispatcher.models import Change, Credential, Node
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db

HEARTBEAT = "/api/v1/nodes/heartbeat"
RENEW = "/api/v1/nodes/credential"
REGISTER = "/api/v1/nodes/register"
OVERLAP = timedelta(seconds=conf().credential_overlap_seconds)


def beat(token: str) -> Any:
    return Caller(token).post(HEARTBEAT, {"boot_id": "boot-1"})


def renewed(token: str) -> dict[str, Any]:
    answer = Caller(token).post(RENEW)
    assert answer.status == 200, answer
    return dict(answer.json)


def signing_key() -> str:
    return credentials.push_key(Node.objects.get())


@pytest.fixture
def admin_caller(db: None) -> Caller:
    return Caller(token_of(make_user("ada", is_superuser=True)))


@pytest.fixture
def old(db: None) -> str:
    """The credential of a node that is up."""
    token = node_registry.issue_credential(name="n-1", actor="tests", now=now())
    Caller(token).post(REGISTER, {"name": "n-1", "url": "http://127.0.0.1:9000", "boot_id": "boot-1"})
    return token


@pytest.fixture
def asked(old: str) -> str:
    """The same, after an operator asked for rotation."""
    assert credentials.request_rotation(Node.objects.get(), actor="ada", now=now()) == 1
    return old


def test_a_node_is_told_only_when_someone_asked(old: str) -> None:
    assert "renew_credential" not in beat(old).json
    credentials.request_rotation(Node.objects.get(), actor="ada", now=now())
    assert beat(old).json["renew_credential"] is True
    assert Change.objects.get(kind="credential.rotation_requested").actor == "ada"


def test_without_being_asked_nothing_is_renewed(old: str) -> None:
    assert Caller(old).post(RENEW).status == 409
    assert Credential.objects.count() == 1


def test_both_credentials_work_and_then_the_new_one_alone(asked: str) -> None:
    fresh = renewed(asked)["credential"]
    assert (beat(asked).status, beat(fresh).status, beat(asked).status) == (200, 200, 200)
    with time_machine.travel(now() + OVERLAP - timedelta(seconds=5), tick=False):
        assert (beat(asked).status, beat(fresh).status) == (200, 200)
    with time_machine.travel(now() + OVERLAP + timedelta(seconds=5), tick=False):
        assert (beat(asked).status, beat(fresh).status) == (401, 200)
        assert "renew_credential" not in beat(fresh).json


def test_nothing_ends_before_the_new_credential_has_been_used(asked: str) -> None:
    renewed(asked)
    with time_machine.travel(now() + timedelta(days=400), tick=False):
        assert beat(asked).json["renew_credential"] is True


def test_an_answer_that_was_lost_is_asked_for_again(asked: str) -> None:
    lost, fresh = renewed(asked)["credential"], renewed(asked)["credential"]
    assert (beat(lost).status, beat(fresh).status) == (401, 200)
    assert Credential.objects.filter(revoked_at=None).count() == 2


def test_whoever_holds_the_old_credential_gets_no_second_one_once_the_new_one_is_in_use(asked: str) -> None:
    beat(renewed(asked)["credential"])
    answer = Caller(asked).post(RENEW)
    assert (answer.status, answer.is_problem) == (409, True)
    assert "renew_credential" not in beat(asked).json


def test_requests_are_signed_with_the_new_key_from_its_first_sign_on(asked: str) -> None:
    before = signing_key()
    fresh = renewed(asked)
    assert fresh["push_key"] != before
    beat(asked)
    # The node may never have got the answer: what it is sent has to be signed with what it has for sure.
    assert signing_key() == before
    beat(fresh["credential"])
    assert signing_key() == fresh["push_key"]
    # A heartbeat under way with the old credential does not turn it back.
    beat(asked)
    assert signing_key() == fresh["push_key"]


def test_a_node_that_is_started_anew_with_the_new_credential_gets_the_new_key(asked: str) -> None:
    fresh = renewed(asked)
    body = {"name": "n-1", "url": "http://127.0.0.1:9000", "boot_id": "boot-2"}
    assert Caller(fresh["credential"]).post(REGISTER, body).json["push_key"] == fresh["push_key"]


def test_the_key_of_earlier_versions_of_the_dispatcher_stays(old: str) -> None:
    node = Node.objects.get()
    assert node.push_key_version == 1
    assert credentials.push_key(node) == credentials.push_key(node, version=1)
    assert len({credentials.push_key(node, version=version) for version in range(1, 5)}) == 4


def test_rotation_goes_on_and_on(old: str) -> None:
    token = old
    for round_number in range(2, 5):
        credentials.request_rotation(Node.objects.get(), actor="ada", now=now())
        token = renewed(token)["credential"]
        assert beat(token).status == 200
        assert Node.objects.get().push_key_version == round_number
    with time_machine.travel(now() + OVERLAP * 2, tick=False):
        live = Credential.objects.filter(revoked_at=None).exclude(expires_at__lt=now())
        assert live.count() == 1


def test_a_credential_beside_the_one_in_use_ends_with_the_rotation(old: str) -> None:
    beside = node_registry.issue_credential(name="n-1", actor="tests", now=now())
    credentials.request_rotation(Node.objects.get(), actor="ada", now=now())
    beat(renewed(old)["credential"])
    with time_machine.travel(now() + OVERLAP * 2, tick=False):
        assert beat(beside).status == 401


def test_credentials_made_later_are_let_alone(asked: str) -> None:
    fresh = renewed(asked)["credential"]
    later = node_registry.issue_credential(name="n-1", actor="tests", now=now())
    beat(fresh)
    with time_machine.travel(now() + OVERLAP * 2, tick=False):
        assert (beat(later).status, beat(fresh).status) == (200, 200)


def test_revoking_ends_old_and_new_at_once(asked: str) -> None:
    fresh = renewed(asked)["credential"]
    beat(fresh)
    assert credentials.revoke_node(Node.objects.get(), actor="ada", now=now()) == 2
    assert (beat(asked).status, beat(fresh).status) == (401, 401)


@pytest.mark.parametrize("days", [0.0, 30.0])
def test_nodes_are_asked_by_age_where_the_settings_say_so(settings: Any, days: float) -> None:
    settings.TASKDIST = {"node_credential_days": days}
    token = node_registry.issue_credential(name="n-1", actor="tests", now=now())
    Caller(token).post(REGISTER, {"name": "n-1", "url": "http://127.0.0.1:9000", "boot_id": "boot-1"})
    assert "renew_credential" not in beat(token).json
    row = Credential.objects.get()
    assert row.renew_at == (row.created_at + timedelta(days=days) if days else None)
    if days:
        Credential.objects.update(renew_at=now())
        assert beat(token).json["renew_credential"] is True


def test_rotation_by_the_api_is_for_admins(admin_caller: Caller, old: str) -> None:
    answer = admin_caller.post("/api/v1/nodes/n-1/rotate")
    assert (answer.status, answer.json) == (200, {"name": "n-1", "credentials": 1})
    assert Change.objects.get(kind="credential.rotation_requested").actor == "ada"
    assert admin_caller.post("/api/v1/nodes/nobody/rotate").status == 404
    credentials.revoke_node(Node.objects.get(), actor="ada", now=now())
    assert admin_caller.post("/api/v1/nodes/n-1/rotate").status == 409

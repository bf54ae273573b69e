from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from dispatcher import credentials, roles, scopes
from dispatcher.models import Credential
from dispatcher.scopes import Scope
from tests.api.conftest import Caller, now
from tests.factories import make_user

pytestmark = pytest.mark.django_db

INSUFFICIENT = "urn:taskdist:problem:insufficient-scope"


def token(user: Any, *wanted: Scope, **fields: Any) -> str:
    return credentials.issue_api_token(user=user, label="tests", actor="tests", now=now(), wanted=wanted, **fields)


def test_a_token_does_what_its_scopes_name_and_nothing_else() -> None:
    user = make_user("ada", is_superuser=True)
    submits, looks = Caller(token(user, Scope.TASKS_WRITE)), Caller(token(user, Scope.TASKS_READ))
    made = submits.post("/api/v1/tasks", {"type": "t"})
    assert made.status == 201
    assert looks.read("/api/v1/tasks").status == 200
    assert submits.read("/api/v1/tasks").status == 403
    assert looks.post("/api/v1/tasks", {"type": "t"}).status == 403


def test_what_is_missing_is_said_to_people_and_to_programs() -> None:
    caller = Caller(token(make_user("ada", is_superuser=True), Scope.TASKS_READ))
    answer = caller.post("/api/v1/queues/default/pause", {})
    assert (answer.status, answer.is_problem, answer.json["type"]) == (403, True, INSUFFICIENT)
    assert "scope operate" in answer.json["detail"]
    assert caller.token[:12] in answer.json["detail"]
    assert caller.token not in answer.json["detail"]
    assert "api_token create" in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="taskdist", error="insufficient_scope", scope="operate"'


def test_a_role_that_was_lost_takes_its_rights_from_all_tokens_at_once() -> None:
    user = make_user("otto")
    group = Group.objects.get_or_create(name=roles.OPERATOR_GROUP)[0]
    user.groups.add(group)
    caller = Caller(token(user, Scope.TASKS_WRITE, Scope.TASKS_READ))
    assert caller.post("/api/v1/tasks", {"type": "t"}).status == 201
    user.groups.remove(group)
    answer = caller.post("/api/v1/tasks", {"type": "t"})
    assert (answer.status, answer.json["detail"]) == (403, "This takes the role of an operator.")
    assert caller.read("/api/v1/tasks").status == 200


def test_a_role_that_was_won_adds_nothing_to_tokens_made_before() -> None:
    user = make_user("otto")
    caller = Caller(credentials.issue_api_token(user=user, label="l", actor="a", now=now()))
    user.groups.add(Group.objects.get_or_create(name=roles.ADMIN_GROUP)[0])
    assert caller.post("/api/v1/tasks", {"type": "t"}).json["type"] == INSUFFICIENT


def test_a_token_is_not_made_beyond_the_role_nor_for_nothing() -> None:
    user = make_user("vera")
    for wanted in ([Scope.ADMIN, Scope.TASKS_READ], []):
        with pytest.raises(credentials.ScopeRefused):
            token(user, *wanted)
    assert not Credential.objects.exists()


def test_a_word_that_is_no_scope_opens_nothing() -> None:
    text = token(make_user("ada", is_superuser=True), Scope.TASKS_READ)
    Credential.objects.update(scopes="tasks:* everything")
    assert Caller(text).read("/api/v1/tasks").status == 403
    assert scopes.split("tasks:* everything") == frozenset()


@pytest.mark.parametrize(
    ("ending", "words"),
    [("revoked", "was revoked"), ("expired", "expired at 20"), ("unknown", "is unknown"), ("inactive", "not active")],
)
def test_a_token_that_has_ended_says_how_and_what_to_do(ending: str, words: str) -> None:
    user = make_user("robot")
    text = token(user, Scope.TASKS_READ, expires_at=now() + timedelta(hours=1))
    row = Credential.objects.get()
    match ending:
        case "revoked":
            credentials.revoke(row, actor="a", now=now())
        case "expired":
            Credential.objects.update(expires_at=now() - timedelta(seconds=1))
        case "unknown":
            row.delete()
        case _:
            user.is_active = False
            user.save()
    answer = Caller(text).read("/api/v1/tasks")
    assert (answer.status, answer.is_problem) == (401, True)
    assert words in answer.json["detail"]
    assert ending == "inactive" or "api_token create" in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="taskdist"'


def test_the_default_life_is_a_setting(settings: Any) -> None:
    settings.TASKDIST = {"api_token_days": 7.0}
    token(make_user("robot"), Scope.TASKS_READ)
    row = Credential.objects.get()
    assert row.expires_at == row.created_at + timedelta(days=7)


def test_scopes_are_kept_in_one_order() -> None:
    assert scopes.join([Scope.ADMIN, Scope.TASKS_READ, Scope.ADMIN]) == "tasks:read admin"
    assert scopes.split("admin tasks:read") == {Scope.ADMIN, Scope.TASKS_READ}

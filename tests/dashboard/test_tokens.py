"""Your tokens: making, seeing and revoking one's own, and nobody else's."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from dispatcher import credentials, roles
from dispatcher.models import Change, Credential
from dispatcher.scopes import Scope
from tests.api.conftest import Caller
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PAGE = "/tokens/"


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_user("vera"))
    return client


@pytest.fixture
def operator() -> Client:
    user = make_user("otto")
    user.groups.add(Group.objects.get_or_create(name=roles.OPERATOR_GROUP)[0])
    client = Client()
    client.force_login(user)
    return client


def make(client: Client, **fields: object) -> str:
    """The token that the page shows."""
    given = {"label": "nightly import", "scopes": ["tasks:read", "tasks:write"], "days": "30"} | fields
    text = client.post(PAGE, given).content.decode()
    found = re.search(r'id="new-token">(tdk_[\w-]+)<', text)
    assert found, text[:2000]
    return found.group(1)


def test_a_token_is_shown_once_and_works_within_its_scopes(operator: Client) -> None:
    token = make(operator)
    program = Caller(token)
    assert program.post("/api/v1/tasks", {"type": "t"}).status == 201
    assert program.read("/api/v1/tasks").status == 200
    assert program.read("/api/v1/nodes").status == 403
    page = operator.get(PAGE).content.decode()
    assert token not in page
    assert token[:12] in page
    assert "nightly import" in page
    row = Credential.objects.get()
    assert row.expires_at is not None
    assert abs(row.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_the_page_is_kept_in_no_cache(operator: Client) -> None:
    assert "no-store" in operator.get(PAGE).headers["Cache-Control"]


def test_a_token_without_an_end_has_to_be_chosen(operator: Client) -> None:
    make(operator, days="0")
    assert Credential.objects.get().expires_at is None


@pytest.mark.parametrize(
    "fields",
    [{"scopes": ["admin"]}, {"scopes": ["tasks:write"]}, {"scopes": []}, {"scopes": ["*"]}, {"label": ""},
     {"label": "x" * 101}, {"days": "1e9"}, {"days": "-1"}, {"days": "nan"}],
)  # fmt: skip
def test_what_the_role_does_not_allow_or_is_wrong_makes_nothing(viewer: Client, fields: dict[str, object]) -> None:
    given = {"label": "x", "scopes": ["tasks:read"], "days": "30"} | fields
    response = viewer.post(PAGE, given)
    assert response.status_code == 400
    assert re.search(r'class="error" id="t-\w+-error">[^<]', response.content.decode())
    assert not Credential.objects.exists()


def test_revoking_ends_it_at_once_and_is_on_record(operator: Client) -> None:
    token = make(operator)
    assert operator.post(f"{PAGE}{Credential.objects.get().pk}/revoke/").status_code == 302
    assert Caller(token).read("/api/v1/tasks").status == 401
    assert "was revoked" in operator.get(PAGE).content.decode()
    kinds = list(Change.objects.filter(actor="otto").values_list("kind", flat=True))
    assert kinds == ["credential.issued", "credential.revoked"]


def test_a_token_of_somebody_else_is_not_there(operator: Client, viewer: Client) -> None:
    token = make(operator)
    row = Credential.objects.get()
    assert viewer.post(f"{PAGE}{row.pk}/revoke/").status_code == 404
    assert row.prefix not in viewer.get(PAGE).content.decode()
    assert Caller(token).read("/api/v1/tasks").status == 200


def test_credentials_of_nodes_are_not_revoked_here(viewer: Client) -> None:
    credentials.issue_enrolment_token(label="x", actor="a", now=timezone.now())
    row = Credential.objects.get()
    assert viewer.post(f"{PAGE}{row.pk}/revoke/").status_code == 404


def test_neither_works_without_the_forms_secret_or_by_get(operator: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(PAGE, {"label": "x", "scopes": [Scope.TASKS_READ], "days": "30"}).status_code == 403
    assert operator.get(f"{PAGE}1/revoke/").status_code == 405
    assert not Credential.objects.exists()


def test_a_stranger_is_asked_to_sign_in() -> None:
    for path in (PAGE, f"{PAGE}1/revoke/"):
        assert Client().post(path).headers["Location"].startswith("/login/")

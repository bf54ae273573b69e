"""Every action of an operator leaves a row in the audit trail: who, what, to what, when. And nobody takes one out."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command, get_commands, load_command_class
from django.test import Client
from django.utils import timezone

from dispatcher import credentials
from dispatcher.launch import preparation
from dispatcher.models import Change, Credential, Node, Task
from tests.api.conftest import Caller
from tests.factories import make_user
from tests.security import matrix
from tests.security.matrix import ACTIONS, NOT_AT_ALL, PUBLIC, Row
from tests.security.stage import Stage

pytestmark = pytest.mark.django_db

WHO = "superuser"

#: What each action writes into the trail, and what of its target is in there. By route and method.
TOLD: dict[tuple[str, str], tuple[str, str]] = {
    ("api/v1/tasks/<str:task_id>", "GET"): ("task.unmasked", "{done}"),
    ("api/v1/tasks/<str:task_id>/logs", "GET"): ("task.unmasked", "{done}"),
    ("tasks/(?P<task_id>[0-9]{1,19})/", "GET"): ("task.unmasked", "{done}"),
    ("tasks/(?P<task_id>[0-9]{1,19})/log\\.txt", "GET"): ("task.unmasked", "{done}"),
    ("submit/", "GET"): ("task.unmasked", "{done}"),
    ("api/v1/tasks/cancel", "POST"): ("tasks.changed", "{queued}"),
    ("api/v1/tasks/<str:task_id>/cancel", "POST"): ("tasks.changed", "{queued}"),
    ("api/v1/tasks/retry", "POST"): ("tasks.changed", "rows"),
    ("api/v1/tasks/<str:task_id>/retry", "POST"): ("tasks.changed", "rows"),
    ("api/v1/bulk", "POST"): ("bulk.started", "cancel"),
    ("api/v1/bulk/<str:job_id>/pause", "POST"): ("bulk.paused", "{going}"),
    ("api/v1/bulk/<str:job_id>/resume", "POST"): ("bulk.resumed", "{resting}"),
    ("api/v1/bulk/<str:job_id>/cancel", "POST"): ("bulk.cancelled", "{going}"),
    ("api/v1/nodes/enrolment-tokens", "POST"): ("credential.issued", "tde_"),
    ("api/v1/nodes/<str:name>/rotate", "POST"): ("credential.rotation_requested", "n-1"),
    ("api/v1/queues", "POST"): ("queue.created", "new"),
    ("api/v1/queues/<str:name>", "PATCH"): ("queue.edited", "default"),
    ("api/v1/queues/<str:name>/pause", "POST"): ("queue.paused", "default"),
    ("api/v1/queues/<str:name>/resume", "POST"): ("queue.resumed", "shut"),
    ("api/v1/nodes/<str:name>/drain", "POST"): ("node.draining", "n-1"),
    ("api/v1/nodes/<str:name>/resume", "POST"): ("node.resumed", "n-2"),
    ("api/v1/nodes/<str:name>/disable", "POST"): ("node.disabled", "n-1"),
    ("api/v1/views", "POST"): ("view.saved", "new"),
    ("api/v1/views/<str:view_id>", "PATCH"): ("view.edited", "other"),
    ("api/v1/views/<str:view_id>", "DELETE"): ("view.deleted", "{view}"),
    ("tasks/views/", "POST"): ("view.saved", "new"),
    ("tasks/views/(?P<view_id>[0-9]{1,18})/", "POST"): ("view.edited", "{view}"),
    ("tasks/views/(?P<view_id>[0-9]{1,18})/delete/", "POST"): ("view.deleted", "{view}"),
    ("tokens/", "POST"): ("credential.issued", "tdk_"),
    ("tokens/(?P<token_id>[0-9]{1,18})/revoke/", "POST"): ("credential.revoked", "tdk_"),
    ("admin/password_change/", "POST"): ("account.edited", WHO),
    ("admin/auth/user/<id>/password/", "POST"): ("account.edited", "victim"),
    ("admin/auth/user/add/", "POST"): ("account.created", "new"),
    ("admin/auth/user/<path:object_id>/change/", "POST"): ("account.edited", "victim"),
    ("admin/auth/user/<path:object_id>/delete/", "POST"): ("account.deleted", "victim"),
    ("admin/auth/group/add/", "POST"): ("account.created", "new"),
    ("admin/auth/group/<path:object_id>/change/", "POST"): ("account.edited", "renamed"),
    ("admin/auth/group/<path:object_id>/delete/", "POST"): ("account.deleted", "some"),
    ("admin/dispatcher/queue/add/", "POST"): ("queue.created", "new"),
    ("admin/dispatcher/queue/<path:object_id>/change/", "POST"): ("queue.edited", "default"),
    ("admin/dispatcher/credential/issue/api/", "POST"): ("credential.issued", "tdk_"),
    ("admin/dispatcher/credential/issue/enrolment/", "POST"): ("credential.issued", "tde_"),
    ("admin/dispatcher/credential/issue/node/", "POST"): ("credential.issued", "tdn_"),
}
#: Those that say on the task itself who it was: a row in the trail as well would be one for every task there is.
TOLD_ON_THE_TASK = {("api/v1/tasks", "POST"), ("task", "POST"), ("submit/", "POST")}
#: Kept in a cookie of who sends it: nothing here changes.
IN_A_COOKIE = {("settings/", "POST")}
#: Those that only count: a question too long for an address.
ASKING = {("api/v1/bulk/preview", "POST")}
ACTIONS_TOLD: dict[tuple[str, str], tuple[str, str]] = {
    ("dispatcher/node", "drain"): ("node.draining", "n-1"),
    ("dispatcher/node", "resume"): ("node.resumed", "n-2"),
    ("dispatcher/node", "disable"): ("node.disabled", "n-1"),
    ("dispatcher/node", "rotate_credentials"): ("credential.rotation_requested", "n-1"),
    ("dispatcher/node", "revoke_credentials"): ("credential.revoked", "tdn_"),
    ("dispatcher/node", "issue_enrolment_token"): ("credential.issued", "tde_"),
    ("dispatcher/queue", "pause"): ("queue.paused", "default"),
    ("dispatcher/queue", "resume"): ("queue.resumed", "shut"),
    ("dispatcher/credential", "revoke"): ("credential.revoked", "tdk_"),
    ("auth/user", "delete_selected"): ("account.deleted", "victim"),
    ("auth/group", "delete_selected"): ("account.deleted", "some"),
}
#: What `manage.py` steers: the words after it, what it tells, and of what. The other commands look, or run a program.
COMMANDS_TOLD: dict[tuple[str, ...], tuple[str, str]] = {
    ("api_token", "create", "victim"): ("credential.issued", "tdk_"),
    ("api_token", "revoke", "{credential}"): ("credential.revoked", "tdk_"),
    ("node_token", "create", "n-1"): ("credential.issued", "tdn_"),
    ("node_token", "enrol"): ("credential.issued", "tde_"),
    ("node_token", "rotate", "n-1"): ("credential.rotation_requested", "n-1"),
    ("node_token", "revoke", "n-1"): ("credential.revoked", "tdn_"),
}
#: `demo` submits tasks, under its own name; `up` is tried below.
LOOKING = {("api_token", "list"), ("doctor",), ("engine",), ("demo",), ("up",), ("openapi",), ("tasks",)}


def steers(row: Row) -> bool:
    """Whether a person can change something by it. Nobody can by what is public: that is signing in and out."""
    if row.method == "GET":
        return "unmasked" in row.path
    is_bare_list = row.body == {} and row.route.startswith("admin/") and row.route.endswith("/")
    return row.least not in (NOT_AT_ALL, PUBLIC) and WHO in row.least and not is_bare_list


def key_of(row: Row) -> tuple[str, str]:
    return row.route, row.method


def check(rows: list[Change], told: tuple[str, str], stage: Stage, who: str = WHO) -> list[Any]:
    """Empty if there is a row that says it."""
    kind, target = told
    target = stage.filler(WHO)(target)
    fits = [row for row in rows if row.kind == kind and row.actor == who and target in row.body]
    is_now = all(stage.moment <= row.at <= timezone.now() for row in fits)
    return [] if fits and is_now else [kind, target, [(row.kind, row.actor, row.body) for row in rows]]


def test_every_route_that_steers_leaves_who_what_and_when(stage: Stage) -> None:
    steering = {key_of(row): row for row in matrix.rows() if steers(row)}
    # Whoever adds a route has to say here what it tells.
    assert set(steering) == set(TOLD) | TOLD_ON_THE_TASK | IN_A_COOKIE | ASKING
    wrong: list[Any] = []
    for key in ASKING:
        _, written = stage.send(WHO, steering[key])
        assert not written
    for key, told in TOLD.items():
        stage.send(WHO, steering[key])
        if missing := check(stage.trail, told, stage):
            wrong.append((key, missing))
    assert wrong == []


def test_every_action_of_the_admin_leaves_who_what_and_when(stage: Stage) -> None:
    assert {(action.model, action.name) for action in ACTIONS} == set(ACTIONS_TOLD)
    wrong: list[Any] = []
    for action in ACTIONS:
        stage.send(WHO, action.row())
        if missing := check(stage.trail, ACTIONS_TOLD[action.model, action.name], stage):
            wrong.append((action, missing))
    assert wrong == []


def test_whatever_the_admin_writes_is_in_the_trail(stage: Stage) -> None:
    # Also what has no row of its own in the tables above: a change of a table without a line in the trail is a hole.
    for row in matrix.rows():
        if row.route.startswith("admin/") and row.method != "GET" and row.least != PUBLIC:
            _, written = stage.send(WHO, row)
            changed = [sql for sql in written if "django_admin_log" not in sql]
            assert bool(changed) == bool(stage.trail), (row, written)


def subcommands(name: str) -> set[tuple[str, ...]]:
    """The command with each of the words that it takes first."""
    parser = load_command_class("dispatcher", name).create_parser("manage.py", name)
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {(name, word) for word in choices[0]} if choices else {(name,)}


def test_every_command_that_steers_leaves_who_what_and_when(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGNAME", "olga")
    ours = [name for name, app in get_commands().items() if app == "dispatcher"]
    found = set().union(*(subcommands(name) for name in ours))
    assert found == {words[:2] for words in COMMANDS_TOLD} | LOOKING
    for words, told in COMMANDS_TOLD.items():
        before = Change.objects.latest("pk").pk
        call_command(*(stage.filler(WHO)(word) for word in words))
        trail = list(Change.objects.filter(pk__gt=before))
        assert check(trail, told, stage, who="olga (manage.py)") == [], words


def test_the_first_account_is_in_the_trail() -> None:
    assert preparation.make_first_admin()
    row = Change.objects.get(kind="account.created")
    assert (row.actor, '"admin"' in row.body) == ("manage.py up", True)


def test_a_task_says_itself_who_submitted_it(operator: Caller) -> None:
    for path, body in (("/api/v1/tasks", {"type": "t"}), ("/task", {"taskId": "1"})):
        operator.post(path, body)
        task = Task.objects.latest("pk")
        assert (task.submitted_by, timezone.now() - task.created_at < timedelta(minutes=5)) == ("otto", True)


def test_what_happens_to_an_account_is_told_without_what_is_in_it(stage: Stage) -> None:
    rows = [row for row in matrix.rows() if row.route.startswith(("admin/auth/", "admin/password")) and steers(row)]
    assert len(rows) == 8
    for row in rows:
        stage.send(WHO, row)
        assert not [told for told in stage.trail if "hecken" in told.body or "igel" in told.body]


def test_a_role_that_is_given_is_in_the_trail_with_its_field() -> None:
    root, user = make_user("root", is_staff=True, is_superuser=True), make_user("vera")
    browser = Client()
    browser.force_login(root)
    form = {"username": "vera", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "is_superuser": "on"}
    assert browser.post(f"/admin/auth/user/{user.pk}/change/", form | {"is_active": "on"}).status_code == 302
    assert User.objects.get(pk=user.pk).is_superuser
    row = Change.objects.get(kind="account.edited")
    assert (row.actor, "Superuser status" in row.body) == ("root", True)


def test_a_staff_account_with_djangos_own_permissions_makes_no_superusers() -> None:
    staff = make_user("stan", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    browser = Client()
    browser.force_login(staff)
    form = {"username": "stan", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "is_superuser": "on"}
    assert browser.post(f"/admin/auth/user/{staff.pk}/change/", form).status_code == 403
    assert browser.get("/admin/auth/user/").status_code == 403
    assert not User.objects.get(pk=staff.pk).is_superuser


def test_nobody_changes_or_deletes_a_row_of_the_trail(stage: Stage, admin: Caller) -> None:
    # The matrix has these for everybody: here is what becomes of the row.
    browser = Client()
    browser.force_login(User.objects.get(username=WHO))
    pk = stage.values["change"]
    before = list(Change.objects.exclude(actor="").values())
    page = f"/admin/dispatcher/change/{pk}/"
    for address in ("change/", "delete/"):
        assert browser.post(page + address, {"actor": "x", "body": "{}", "post": "yes"}).status_code == 403
    assert browser.post("/admin/dispatcher/change/add/", {"actor": "x"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    assert browser.post("/admin/dispatcher/change/", chosen).status_code in (200, 302)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/v1/changes", f"/api/v1/changes/{pk}"):
            assert admin.send(method, path, {}).status in (404, 405)
    assert list(Change.objects.exclude(actor="").values()) == before
    # Nor does it go with what it is about.
    Credential.objects.filter(node__name="n-1").delete()
    Node.objects.filter(name="n-1").update(name="renamed")
    User.objects.filter(username="victim").delete()
    assert list(Change.objects.exclude(actor="").values()) == before


def test_a_token_that_is_taken_back_twice_is_in_the_trail_once() -> None:
    user = make_user("olga")
    token = credentials.issue_api_token(user=user, label="l", actor="olga", now=timezone.now())
    row = credentials.find(token)
    for _ in range(2):
        credentials.revoke(row, actor="olga", now=timezone.now())
    assert Change.objects.filter(kind="credential.revoked").count() == 1

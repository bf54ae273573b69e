"""A small installation with everybody at its doors: people, programs, nodes, and strangers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings as site_settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import Max
from django.http import HttpResponse
from django.test import Client

from dispatcher import bulk, credentials, lifecycle, node_registry, queues, roles, saved_views
from dispatcher.models import BulkJob, Change, Credential, lanes
from dispatcher.models.bulk import BulkAction
from dispatcher.queries import TaskFilters, TaskLook
from dispatcher.scopes import Scope
from dispatcher.states import NodeState, TaskState
from tests.api.conftest import now
from tests.factories import make_attempt, make_node, make_queue, make_task, make_user
from tests.security.matrix import PEOPLE, SCOPED, Row

PASSWORD = "sieben-igel-9"
#: A statement that changes a row.
WRITES = re.compile(r"\b(?:INSERT INTO|DELETE FROM|(?<!FOR )UPDATE)\b\W*(\w+)", re.IGNORECASE)
#: What a request may write that was refused: its session, and that it was one too many.
OWN_TRACES = {"django_session", "dispatcher_throttle"}

FLAGS: dict[str, dict[str, bool]] = {
    "switched off": {"is_superuser": True, "is_staff": True},
    "staff": {"is_staff": True},
    "staff admin": {"is_staff": True},
    "superuser": {"is_staff": True, "is_superuser": True},
}
GROUPS = {"operator": roles.OPERATOR_GROUP, "admin": roles.ADMIN_GROUP, "staff admin": roles.ADMIN_GROUP}


class Stage:
    """A small installation, and everybody at its doors. Every request is undone after its answer."""

    def __init__(self) -> None:
        self.moment = now()
        self.values: dict[str, str] = {"password": PASSWORD}
        #: What the last request left in the audit trail.
        self.trail: list[Change] = []
        self._own: dict[str, str] = {}
        #: A saved view of each account; a token has that of its own.
        self._views: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        # One for all: each has a site of its own behind it, whose making takes longer than a request.
        self._client = Client(raise_request_exception=False)
        self._furnish()
        for who in PEOPLE[1:]:
            self._let_in(who)
        self._hand_out()
        queues.pause("shut", reason="", actor="tests", now=self.moment)
        self.values |= {"going": str(self._begin().pk), "resting": str(self._begin().pk)}
        bulk.pause(int(self.values["resting"]), actor="tests", now=self.moment)
        # Used a moment ago: that is noted once a minute, and would be a write.
        Credential.objects.update(last_used_at=self.moment)

    def _furnish(self) -> None:
        node = make_node("n-1", now=self.moment, state=NodeState.ONLINE)
        done = make_task(state=TaskState.FAILED, node=node, now=self.moment)
        rows = {
            "node": node, "done": done, "queued": make_task(state=TaskState.QUEUED, now=self.moment),
            "running": make_task(state=TaskState.RUNNING, node=node, now=self.moment),
            "attempt": make_attempt(done, node=node, now=self.moment), "queue": make_queue("default"),
            "shut": make_queue("shut"),
            "victim": make_user("victim"), "group": Group.objects.create(name="some"),
        }  # fmt: skip
        self.values |= {name: str(row.pk) for name, row in rows.items()}
        lifecycle.note_unmasked(done.pk, actor="tests", now=self.moment)
        self.values["change"] = str(Change.objects.exclude(actor="").get().pk)

    def _begin(self) -> BulkJob:
        request = bulk.BulkRequest(action=BulkAction.RETRY, filters=TaskFilters())
        return bulk.start(request, actor="tests", now=self.moment)[0]

    def _let_in(self, who: str) -> None:
        """An account with a session, and a token of its own that it may revoke."""
        user = make_user(who, password=PASSWORD, **FLAGS.get(who, {}))
        if who in GROUPS:
            user.groups.add(Group.objects.get_or_create(name=GROUPS[who])[0])
        client = Client()
        client.force_login(user)
        self._sessions[who] = client.cookies[site_settings.SESSION_COOKIE_NAME].value
        token = self._issue(user)
        self._own[who] = str(self._row(token).pk)
        self._views[who] = self._keep_view(user)
        if who == "switched off":
            User.objects.filter(pk=user.pk).update(is_active=False)
            self._tokens["of one switched off"] = token

    def _hand_out(self) -> None:
        user = make_user("robot", is_superuser=True)
        self._views |= dict.fromkeys(SCOPED.values(), self._keep_view(user))
        for scope in Scope:
            self._tokens[SCOPED[scope]] = self._issue(user, wanted=[scope])
        for name in ("no scope", "revoked", "expired"):
            self._tokens[name] = self._issue(user)
        self._change("no scope", scopes="")
        self._change("revoked", revoked_at=self.moment)
        self._change("expired", expires_at=self.moment - timedelta(seconds=1))
        fallen = make_user("fallen", is_superuser=True)
        self._tokens["lost role"] = self._issue(fallen)
        self._views["lost role"] = self._keep_view(fallen)
        User.objects.filter(pk=fallen.pk).update(is_superuser=False)
        for name, node in (("node", "n-1"), ("disabled node", "n-2")):
            self._tokens[name] = node_registry.issue_credential(name=node, actor="tests", now=self.moment)
            # The node may fetch another.
            self._change(name, renew_at=self.moment)
        disabled = self._row(self._tokens["disabled node"]).node
        node_registry.disable([disabled], reason="", actor="tests", now=self.moment)
        self._tokens["enrolment"] = credentials.issue_enrolment_token(label="l", actor="tests", now=self.moment)
        self.values["credential"] = str(self._row(self._tokens["no scope"]).pk)
        self.values["shut_node"] = str(disabled.pk)

    def _keep_view(self, user: Any) -> str:
        view = saved_views.save(user, name="view", look=TaskLook(), shared=False, now=self.moment)
        return str(view.pk)

    def _issue(self, user: Any, **fields: Any) -> str:
        return credentials.issue_api_token(user=user, label="tests", actor="tests", now=self.moment, **fields)

    def _row(self, token: str) -> Credential:
        row = credentials.find(token)
        assert row is not None
        return row

    def _change(self, name: str, **fields: Any) -> None:
        Credential.objects.filter(pk=self._row(self._tokens[name]).pk).update(**fields)

    def send(self, who: str, row: Row) -> tuple[HttpResponse, list[str]]:
        """The answer, and the statements that changed something on the way to it. All of it is undone."""
        fill = self.filler(who)
        client = self._client
        # Anew for every request: an answer may end the session or give it another key.
        client.cookies.clear()
        if who in self._sessions:
            client.cookies[site_settings.SESSION_COOKIE_NAME] = self._sessions[who]
        headers = {"HTTP_AUTHORIZATION": f"Bearer {self._tokens[who]}"} if who in self._tokens else {}
        before = Change.objects.aggregate(newest=Max("pk"))["newest"]
        with transaction.atomic(), writes() as written:
            response = client.generic(row.method, fill(row.path), *_encoded(row, fill), **headers)
            self.trail = list(Change.objects.filter(pk__gt=before).exclude(actor=""))
            transaction.set_rollback(True)
        # Ids that were rolled back come again.
        lanes.forget()
        return response, written

    def filler(self, who: str) -> Callable[[str], str]:
        """Puts this installation's ids, and what the caller is called, in the place of the words in braces."""
        values = self.values | {"me": "n-1" if who != "enrolment" else "fresh", "own": self._own.get(who, "1")}
        values["view"] = self._views.get(who, self._views["viewer"])
        return lambda text: re.sub(r"\{(\w+)\}", lambda found: values[found[1]], text)


def _encoded(row: Row, fill: Callable[[str], str]) -> tuple[bytes, str]:
    """The body as the route wants it: JSON for programs, a form for pages."""
    if row.body is None:
        return b"", ""
    if row.is_for_programs:
        return fill(json.dumps(row.body)).encode(), "application/json"
    fields = {name: fill(value) if isinstance(value, str) else value for name, value in row.body.items()}
    return urlencode(fields, doseq=True).encode(), "application/x-www-form-urlencoded"


@contextmanager
def writes() -> Iterator[list[str]]:
    """Collects what changes rows, but for the traces that every request may leave."""
    found: list[str] = []

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        written = WRITES.search(sql)
        if written is not None and written[1] not in OWN_TRACES:
            found.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        yield found

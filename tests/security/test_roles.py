"""Roles over pages, API, admin and websockets: everybody tries every route and method; the matrix says what comes."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse

from dispatcher.api.views import ApiView
from tests.security import matrix
from tests.security.matrix import ACTIONS, WEBSOCKETS
from tests.security.stage import Stage

METHODS = {"GET", "POST", "PUT", "DELETE", "OPTIONS"}


def is_refused(response: HttpResponse) -> bool:
    """401, 403, or the way to the login."""
    to_login = response.headers.get("Location", "").startswith(("/login/?", "/admin/login/?"))
    return response.status_code in (401, 403) or (response.status_code == 302 and to_login)


def handlers(callback: Any) -> set[str]:
    """The methods of a view that is a class of the API's."""
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if view is None or not issubclass(view, ApiView):
        return set()
    return {name.upper() for name in view.http_method_names if name != "head" and hasattr(view, name)}


def test_every_route_and_method_has_a_row() -> None:
    routes, rows = matrix.routes(), list(matrix.rows())
    assert {row.route for row in rows} == set(routes)
    assert matrix.websockets() == set(WEBSOCKETS)
    for route, pattern in routes.items():
        listed = {row.method for row in rows if row.route == route}
        assert handlers(pattern.callback) in (set(), listed), route
    assert sum(bool(handlers(pattern.callback)) for pattern in routes.values()) > 20


def test_every_action_of_the_admin_has_a_row(rf: Any) -> None:
    request = rf.get("/admin/")
    request.user = make_superuser()
    found = {
        (f"{model._meta.app_label}/{model._meta.model_name}", action)
        for model, of_model in admin.site._registry.items()
        for action in of_model.get_actions(request)
    }
    assert found == {(action.model, action.name) for action in ACTIONS}


def make_superuser() -> User:
    # Not saved: what superusers may is not looked up.
    return User(username="root", is_staff=True, is_superuser=True)


@pytest.mark.django_db
def test_below_the_least_role_everybody_is_refused_and_nothing_changes(stage: Stage) -> None:
    wrong: list[Any] = []
    num_tried = 0
    for row in matrix.rows():
        for who in row.visitors:
            if who not in row.least:
                response, written = stage.send(who, row)
                num_tried += 1
                is_told_so = not row.is_for_programs or "problem+json" in response.headers["Content-Type"]
                if not is_refused(response) or written or not is_told_so:
                    wrong.append((row.method, row.path, who, response.status_code, written))
    assert wrong == []
    assert num_tried > 1000


@pytest.mark.django_db
def test_at_the_least_role_everybody_gets_what_there_is(stage: Stage) -> None:
    wrong: list[Any] = []
    for row in matrix.rows():
        for who in row.least & set(row.visitors):
            response, _ = stage.send(who, row)
            if response.status_code not in row.status or (is_refused(response) and row.least != matrix.PUBLIC):
                wrong.append((row.method, row.path, who, response.status_code, response.content[:300]))
    assert wrong == []


@pytest.mark.django_db
def test_methods_without_a_row_change_nothing_and_open_nothing(stage: Stage) -> None:
    wrong: list[Any] = []
    rows = list(matrix.rows())
    for route in matrix.routes():
        of_route = [row for row in rows if row.route == route]
        listed = {row.method for row in of_route}
        for method in METHODS - listed:
            for who in ("viewer", "superuser"):
                may_look = any(who in row.least for row in of_route if row.method == "GET")
                if may_look and who == "viewer":
                    # May see what is there, and a superuser, who may do more, changes nothing by it.
                    continue
                response, written = stage.send(who, of_route[0]._replace(method=method, body=None))
                is_open = response.status_code < 300 and response.content and not may_look
                if written or is_open or response.status_code >= 500:
                    wrong.append((method, of_route[0].path, who, response.status_code, written))
    assert wrong == []


@pytest.mark.django_db
def test_actions_of_the_admin_below_the_least_role_change_nothing(stage: Stage) -> None:
    wrong: list[Any] = []
    for action in ACTIONS:
        row = action.row()
        for who in row.visitors:
            response, written = stage.send(who, row)
            # Somebody who sees the list and may not do this is told that nothing was chosen.
            if who not in row.least and written:
                wrong.append((action.model, action.name, who, written))
            if who in row.least and response.status_code not in row.status:
                wrong.append((action.model, action.name, who, response.status_code))
    assert wrong == []

"""The matrix of who may do what: a row for every route and method, with the least that it takes, and who there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver

from dispatcher.live.routing import websocket_urlpatterns
from dispatcher.scopes import Scope

# --- Who there is: people with a session, programs with a token --------------------------------------

PEOPLE = ("nobody", "switched off", "viewer", "operator", "admin", "staff", "staff admin", "superuser")
#: One for each scope, of a superuser's account; and tokens that are worth less than they say.
SCOPED = {scope: f"token for {scope}" for scope in Scope}
TOKENS = (*SCOPED.values(), "no scope", "lost role", "revoked", "expired", "of one switched off")
NODES = ("node", "disabled node", "enrolment")
EVERYBODY = (*PEOPLE, *TOKENS, *NODES)
#: Pages take no tokens: the strongest of each kind stand for all.
AT_PAGES = (*PEOPLE, SCOPED[Scope.ADMIN], "node")
#: How the addresses begin that programs call.
FOR_PROGRAMS = ("/api/", "/task", "/register", "/heartbeat", "/result")

# --- What it takes, as those who have it -------------------------------------------------------------

Least = frozenset[str]

PUBLIC: Least = frozenset(EVERYBODY)
SIGNED_IN: Least = frozenset(PEOPLE) - {"nobody", "switched off"}
OPERATOR: Least = SIGNED_IN - {"viewer"}
ADMIN: Least = frozenset({"admin", "staff admin", "superuser"})
#: The admin's pages open for staff alone; staff are operators.
STAFF: Least = frozenset({"staff", "staff admin", "superuser"})
STAFF_ADMIN: Least = STAFF & ADMIN
SUPERUSER: Least = frozenset({"superuser"})
NOT_AT_ALL: Least = frozenset()
NODE: Least = frozenset({"node"})
ENROLLING: Least = NODE | {"enrolment"}

#: A scope: the role that allows it, or a token that has it, of an account of that role.
LEAST_FOR: dict[Scope, Least] = {
    # The token that names all scopes, of an account that is no more than a viewer by now.
    Scope.TASKS_READ: SIGNED_IN | {SCOPED[Scope.TASKS_READ], "lost role"},
    Scope.NODES_READ: SIGNED_IN | {SCOPED[Scope.NODES_READ], "lost role"},
    Scope.TASKS_WRITE: OPERATOR | {SCOPED[Scope.TASKS_WRITE]},
    Scope.OPERATE: OPERATOR | {SCOPED[Scope.OPERATE]},
    Scope.ADMIN: ADMIN | {SCOPED[Scope.ADMIN]},
}
TASKS_READ, TASKS_WRITE, NODES_READ, OPERATE, ADMINISTER = (LEAST_FOR[scope] for scope in Scope)


class Row(NamedTuple):
    """One method of one route. ``path`` and ``body`` are filled in for the caller: see ``test_roles.Stage``."""

    route: str
    method: str
    least: Least
    path: str
    body: dict[str, Any] | None = None
    #: What those get who may.
    status: tuple[int, ...] = (200,)

    @property
    def is_for_programs(self) -> bool:
        """Whether it takes tokens, and bodies in JSON."""
        return self.path.startswith(FOR_PROGRAMS) and not self.path.startswith("/tasks/")

    @property
    def visitors(self) -> tuple[str, ...]:
        """Who tries it."""
        return EVERYBODY if self.is_for_programs else AT_PAGES


#: By its route: (method, least, body, status) for each method; the path follows from the route.
_API: dict[str, list[tuple[str, Least, dict[str, Any] | None, int]]] = {
    "tasks": [("GET", TASKS_READ, None, 200), ("POST", TASKS_WRITE, {"type": "t"}, 201)],
    "tasks/cancel": [("POST", TASKS_WRITE, {"ids": ["{queued}"]}, 200)],
    "tasks/retry": [("POST", TASKS_WRITE, {"ids": ["{done}"]}, 201)],
    "tasks/<str:task_id>": [("GET", TASKS_READ, None, 200)],
    "tasks/<str:task_id>/events": [("GET", TASKS_READ, None, 200)],
    "tasks/<str:task_id>/logs": [("GET", TASKS_READ, None, 200)],
    "tasks/<str:task_id>/cancel": [("POST", TASKS_WRITE, None, 200)],
    "tasks/<str:task_id>/retry": [("POST", TASKS_WRITE, None, 201)],
    "bulk": [
        ("GET", TASKS_READ, None, 200),
        ("POST", TASKS_WRITE, {"action": "cancel", "q": "state:queued"}, 201),
    ],
    "bulk/preview": [("POST", TASKS_READ, {"action": "retry", "q": "state:failed"}, 200)],
    "bulk/<str:job_id>": [("GET", TASKS_READ, None, 200)],
    "bulk/<str:job_id>/pause": [("POST", TASKS_WRITE, None, 200)],
    "bulk/<str:job_id>/resume": [("POST", TASKS_WRITE, None, 200)],
    "bulk/<str:job_id>/cancel": [("POST", TASKS_WRITE, None, 200)],
    "nodes": [("GET", NODES_READ, None, 200)],
    "nodes/register": [("POST", ENROLLING, {"name": "{me}", "url": "http://127.0.0.1:9000", "boot_id": "b"}, 200)],
    "nodes/heartbeat": [("POST", NODE, {"boot_id": "boot-n-1"}, 200)],
    "nodes/results": [("POST", NODE, {"boot_id": "boot-n-1"}, 200)],
    "nodes/credential": [("POST", NODE, None, 200)],
    "nodes/enrolment-tokens": [("POST", ADMINISTER, {"label": "l"}, 201)],
    "nodes/<str:name>": [("GET", NODES_READ, None, 200)],
    "nodes/<str:name>/rotate": [("POST", ADMINISTER, None, 200)],
    "queues": [("GET", TASKS_READ, None, 200), ("POST", OPERATE, {"name": "new"}, 201)],
    "queues/<str:name>": [("GET", TASKS_READ, None, 200), ("PATCH", OPERATE, {"description": "d"}, 200)],
    "queues/<str:name>/pause": [("POST", OPERATE, {"reason": "r"}, 200)],
    "queues/<str:name>/resume": [("POST", OPERATE, {}, 200)],
    "views": [("GET", TASKS_READ, None, 200), ("POST", TASKS_WRITE, {"name": "new"}, 201)],
    "views/<str:view_id>": [
        ("GET", TASKS_READ, None, 200),
        ("PATCH", TASKS_WRITE, {"name": "other"}, 200),
        ("DELETE", TASKS_WRITE, None, 200),
    ],
    "types": [("GET", TASKS_READ, None, 200)],
    "types/<path:name>": [("GET", TASKS_READ, None, 200)],
    "counts": [("GET", TASKS_READ, None, 200)],
    "series": [("GET", TASKS_READ, None, 200)],
    "changes": [("GET", TASKS_READ, None, 200)],
    "openapi.json": [("GET", TASKS_READ, None, 200)],
}
_ACTION = "api/v1/nodes/<str:name>/"
_LOST = "(?:task|register|heartbeat|result)/"
_OTHERS = [
    *(Row(_ACTION + word, "POST", OPERATE, f"/api/v1/nodes/{name}/{word}", {})
      for name, word in (("n-1", "drain"), ("n-2", "resume"), ("n-1", "disable"))),
    # To see what secrets a task holds takes an operator, whoever may see the task.
    *(Row(f"api/v1/tasks/<str:task_id>{logs}", "GET", OPERATOR | {SCOPED[Scope.TASKS_READ]},
        f"/api/v1/tasks/{{done}}{logs}?unmasked=true") for logs in ("", "/logs")),
    *(Row("api(?:/|)", method, PUBLIC, "/api/no-such-route", status=(404,)) for method in ("GET", "POST")),
    *(Row(_LOST, method, PUBLIC, "/task/1", status=(404,)) for method in ("GET", "POST")),
    # 503: no engine is there.
    Row("healthz", "GET", PUBLIC, "/healthz"), Row("readyz", "GET", PUBLIC, "/readyz", status=(200, 503)),
    Row("task", "POST", TASKS_WRITE, "/task", {"taskId": "1"}, (201,)),
    Row("register", "POST", ENROLLING, "/register", {"nodeId": "{me}", "url": "http://127.0.0.1:9000"}),
    Row("heartbeat", "POST", NODE, "/heartbeat", {"nodeId": "n-1"}),
    Row("result", "POST", NODE, "/result", {"taskId": "{running}", "nodeId": "n-1", "result": 1}),
    Row("live/snapshot", "GET", SIGNED_IN, "/live/snapshot?topic=overview"),
]  # fmt: skip
_PAGES = [
    *(
        Row(path, "GET", SIGNED_IN, f"/{path}")
        for path in (
            "",
            "tasks/",
            "tasks/tasks.csv",
            "tasks/suggestions/",
            "nodes/",
            "queues/",
            "submit/",
            "activity/",
            "types/",
        )
    ),
    Row("tasks/rows/", "GET", SIGNED_IN, "/tasks/rows/"),
    Row("tasks/views/", "GET", SIGNED_IN, "/tasks/views/", status=(302,)),
    Row("tasks/views/", "POST", SIGNED_IN, "/tasks/views/", {"name": "new"}, (302,)),
    Row("tasks/views/(?P<view_id>[0-9]{1,18})/", "GET", SIGNED_IN, "/tasks/views/{view}/", status=(302,)),
    Row("tasks/views/(?P<view_id>[0-9]{1,18})/", "POST", SIGNED_IN, "/tasks/views/{view}/", {"name": "o"}, (302,)),
    Row("tasks/views/(?P<view_id>[0-9]{1,18})/delete/", "POST", SIGNED_IN, "/tasks/views/{view}/delete/", {}, (302,)),
    Row("bulk/", "GET", SIGNED_IN, "/bulk/"),
    Row("bulk/(?P<job_id>[0-9]{1,19})/", "GET", SIGNED_IN, "/bulk/{going}/"),
    Row("activity/export/", "GET", SIGNED_IN, "/activity/export/"),
    Row("tasks/(?P<task_id>[0-9]{1,19})/", "GET", SIGNED_IN, "/tasks/{done}/"),
    Row("tasks/(?P<task_id>[0-9]{1,19})/(?P<part>payload|result)/", "GET", SIGNED_IN, "/tasks/{done}/payload/"),
    Row("tasks/(?P<task_id>[0-9]{1,19})/log\\.txt", "GET", SIGNED_IN, "/tasks/{done}/log.txt"),
    # Whoever may not see its secrets gets the page without them.
    Row("tasks/(?P<task_id>[0-9]{1,19})/log\\.txt", "GET", SIGNED_IN, "/tasks/{done}/log.txt?unmasked=true"),
    Row("tasks/(?P<task_id>[0-9]{1,19})/", "GET", SIGNED_IN, "/tasks/{done}/?unmasked=true"),
    Row("submit/", "GET", SIGNED_IN, "/submit/?from={done}&unmasked=true"),
    Row("submit/", "POST", OPERATOR, "/submit/", {"type": "echo"}, (302,)),
    Row("nodes/<str:name>/", "GET", SIGNED_IN, "/nodes/n-1/"),
    Row("types/<path:name>/", "GET", SIGNED_IN, "/types/echo/"),
    Row("queues/<str:name>/", "GET", SIGNED_IN, "/queues/default/"),
    Row("jump/", "GET", SIGNED_IN, "/jump/?q=1", status=(302,)),
    Row("settings/", "GET", SIGNED_IN, "/settings/"),
    Row("settings/", "POST", SIGNED_IN, "/settings/", {"theme": "dark"}, (302,)),
    Row("language/", "POST", PUBLIC, "/language/", {"language": "zh-hans"}, (302,)),
    Row("tokens/", "GET", SIGNED_IN, "/tokens/"),
    Row("tokens/", "POST", SIGNED_IN, "/tokens/", {"label": "l", "scopes": ["tasks:read"], "days": "7"}),
    Row("tokens/(?P<token_id>[0-9]{1,18})/revoke/", "POST", SIGNED_IN, "/tokens/{own}/revoke/", {}, (302,)),
    Row("login/", "GET", PUBLIC, "/login/", status=(200, 302)),
    Row("login/", "POST", PUBLIC, "/login/", {"username": "x", "password": "wrong"}, (200, 302)),
    Row("logout/", "POST", PUBLIC, "/logout/", {}, (302,)),
]
_PASSWORDS = {"old_password": "{password}", "new_password1": "neun-hecken-7", "new_password2": "neun-hecken-7"}
_FIND = "/admin/autocomplete/?app_label={}&model_name={}&field_name={}&term="
_ADMIN_SITE = [
    Row("admin/login/", "GET", PUBLIC, "/admin/login/", status=(200, 302)),
    Row("admin/login/", "POST", PUBLIC, "/admin/login/", {"username": "x", "password": "wrong"}, (200, 302)),
    Row("admin/", "GET", STAFF, "/admin/"),
    Row("admin/logout/", "POST", PUBLIC, "/admin/logout/", {}, (200, 302)),
    Row("admin/password_change/", "GET", STAFF, "/admin/password_change/"),
    Row("admin/password_change/", "POST", STAFF, "/admin/password_change/", _PASSWORDS, (302,)),
    Row("admin/password_change/done/", "GET", STAFF, "/admin/password_change/done/"),
    Row("admin/autocomplete/", "GET", SUPERUSER, _FIND.format("auth", "user", "groups")),
    Row("admin/autocomplete/", "GET", SUPERUSER, _FIND.format("dispatcher", "credential", "user")),
    Row("admin/autocomplete/", "GET", STAFF, _FIND.format("dispatcher", "task", "node")),
    Row("admin/jsi18n/", "GET", STAFF, "/admin/jsi18n/"),
    # No model of the admin has an address of its own.
    Row("admin/r/<path:content_type_id>/<path:object_id>/", "GET", STAFF, "/admin/r/1/1/", status=(404,)),
    Row("admin/(?P<app_label>auth|dispatcher)/", "GET", STAFF, "/admin/dispatcher/"),
    Row("admin/(?P<url>.*)", "GET", STAFF, "/admin/no-such-page/", status=(404,)),
    Row("admin/auth/user/<id>/password/", "GET", SUPERUSER, "/admin/auth/user/{victim}/password/"),
    Row("admin/auth/user/<id>/password/", "POST", SUPERUSER, "/admin/auth/user/{victim}/password/",
        {"password1": "neun-hecken-7", "password2": "neun-hecken-7", "usable_password": "true"}, (302,)),
]  # fmt: skip
_NEW_USER = {"username": "new", "password1": "neun-hecken-7", "password2": "neun-hecken-7", "usable_password": "true"}
_SAME_USER = {"username": "victim", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
_QUEUE = {"name": "new", "policy": "fastest", "description": ""}


class Model(NamedTuple):
    """Django's pages of a model: who may, one of its rows, and what is filled in to add one and to change one."""

    name: str
    pk: str
    see: Least
    add: Least = NOT_AT_ALL
    change: Least = NOT_AT_ALL
    delete: Least = NOT_AT_ALL
    new: dict[str, Any] | None = None
    edit: dict[str, Any] | None = None


_MODELS = [
    Model("auth/group", "{group}", *[SUPERUSER] * 4, {"name": "new"}, {"name": "renamed"}),
    Model("auth/user", "{victim}", *[SUPERUSER] * 4, _NEW_USER, _SAME_USER),
    Model("dispatcher/task", "{done}", STAFF),
    Model("dispatcher/attempt", "{attempt}", STAFF),
    Model("dispatcher/change", "{change}", STAFF),
    Model("dispatcher/node", "{node}", STAFF),
    Model("dispatcher/queue", "{queue}", STAFF, STAFF, STAFF, NOT_AT_ALL, _QUEUE, _QUEUE),
    Model("dispatcher/credential", "{credential}", STAFF_ADMIN),
]
_ISSUES: dict[str, dict[str, Any]] = {
    "api": {"user": "{victim}", "label": "l", "scopes": ["tasks:read"], "days": "7"},
    "enrolment": {"label": "l", "uses": "1", "hours": "1"},
    "node": {"name": "n-1"},
}


class Action(NamedTuple):
    """An entry of the admin's menus, and a row to try it on."""

    model: str
    name: str
    least: Least
    pk: str

    def row(self) -> Row:
        """The request that does it, confirmed."""
        body = {"action": self.name, "_selected_action": self.pk, "index": "0", "confirmed": "yes", "post": "yes"}
        where = f"admin/{self.model}/"
        return Row(where, "POST", self.least, f"/{where}", body | {"hours": "1"}, (200, 302))


ACTIONS = [
    Action("dispatcher/node", "drain", STAFF, "{node}"),
    Action("dispatcher/node", "resume", STAFF, "{shut_node}"),
    Action("dispatcher/node", "disable", STAFF, "{node}"),
    Action("dispatcher/node", "rotate_credentials", STAFF_ADMIN, "{node}"),
    Action("dispatcher/node", "revoke_credentials", STAFF_ADMIN, "{node}"),
    Action("dispatcher/node", "issue_enrolment_token", STAFF_ADMIN, "{node}"),
    Action("dispatcher/queue", "pause", STAFF, "{queue}"),
    Action("dispatcher/queue", "resume", STAFF, "{shut}"),
    Action("dispatcher/credential", "revoke", STAFF_ADMIN, "{credential}"),
    Action("auth/user", "delete_selected", SUPERUSER, "{victim}"),
    Action("auth/group", "delete_selected", SUPERUSER, "{group}"),
]

#: Websockets: a session opens them, and no token does.
WEBSOCKETS: dict[str, Least] = {"ws/v1/live": SIGNED_IN}


def rows() -> Iterator[Row]:
    """The whole matrix."""
    for route, methods in _API.items():
        for method, least, body, status in methods:
            yield Row(f"api/v1/{route}", method, least, "/api/v1/" + _filled(route), body, (status,))
    yield from _OTHERS
    yield from _PAGES
    yield from _ADMIN_SITE
    for kind, body in _ISSUES.items():
        route = f"admin/dispatcher/credential/issue/{kind}/"
        yield Row(route, "GET", STAFF_ADMIN, f"/{route}")
        yield Row(route, "POST", STAFF_ADMIN, f"/{route}", body)
    for model in _MODELS:
        yield from _of_model(model)


def _of_model(model: Model) -> Iterator[Row]:
    table, add = f"admin/{model.name}/", f"admin/{model.name}/add/"
    one, where = f"{table}<path:object_id>/", f"/{table}{model.pk}/"
    yield Row(table, "GET", model.see, f"/{table}")
    # Without an action; those have rows of their own.
    yield Row(table, "POST", model.see, f"/{table}", {}, (200, 302))
    yield Row(add, "GET", model.add, f"/{add}")
    yield Row(add, "POST", model.add, f"/{add}", model.new, (302,))
    yield Row(one, "GET", STAFF, where, status=(302,))
    yield Row(f"{one}history/", "GET", model.see, f"{where}history/")
    yield Row(f"{one}change/", "GET", model.see, f"{where}change/")
    yield Row(f"{one}change/", "POST", model.change, f"{where}change/", model.edit, (302,))
    yield Row(f"{one}delete/", "GET", model.delete, f"{where}delete/")
    yield Row(f"{one}delete/", "POST", model.delete, f"{where}delete/", {"post": "yes"}, (302,))


def _filled(route: str) -> str:
    name = "n-1" if route.startswith("nodes") else "shut" if route.endswith("resume") else "default"
    task = {"cancel": "{queued}"}.get(route.rpartition("/")[2], "{done}")
    job = "{resting}" if route.endswith("resume") else "{going}"
    for part, value in (
        ("<str:task_id>", task),
        ("<str:name>", name),
        ("<path:name>", "echo"),
        ("<str:job_id>", job),
        ("<str:view_id>", "{view}"),
    ):
        route = route.replace(part, value)
    return route


def routes() -> dict[str, URLPattern]:
    """Every route there is, by its whole pattern."""
    found: dict[str, URLPattern] = {}
    for text, pattern in _walk(get_resolver().url_patterns):
        # The first of two with the same pattern is the one that is reached.
        found.setdefault(re.sub(r"(?<!\[)\^|\$|\\Z", "", text), pattern)
    return found


def websockets() -> set[str]:
    """The patterns of all websockets."""
    return {str(pattern.pattern) for pattern in websocket_urlpatterns}


def _walk(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        text = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, text)
        else:
            yield text, pattern

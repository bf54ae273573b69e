"""Every page there is, found by the routes: one that nobody has entered here is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.urls import URLPattern, get_resolver

from tests.security.hostile import ADDRESS, LONG, NAME

#: Routes for programs begin like this, or are these. They answer JSON, whatever a browser would like.
_FOR_PROGRAMS = ("api/", "^api", "healthz", "readyz", "^(?:task|", "live/")
_TUTORIAL = frozenset({"task", "register", "heartbeat", "result"})


def routes() -> list[str]:
    """Every route of the site."""
    return sorted(set(_routes(get_resolver().url_patterns)))


def _routes(patterns: Sequence[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from _routes(pattern.url_patterns, route)


def is_for_programs(route: str) -> bool:
    """Whether the route belongs to the API, the tutorial's routes, the health checks or the live snapshots."""
    return route in _TUTORIAL or route.startswith(_FOR_PROGRAMS)


def pages(world: Mapping[str, str]) -> dict[str, list[str]]:
    """Route → addresses that show what is in the world (``tests.security.hostile``), and what an address brings."""
    node = quote(world["node_name"], safe="")
    task = f"/tasks/{world['failed']}/"
    found = {
        "": ["/"],
        "tasks/": [
            "/tasks/", f"/tasks/?{urlencode(dict.fromkeys(('type', 'queue', 'node', 'tag'), LONG))}",
            *_asked("/tasks/", (LONG, "state", "after", "q", "sort", "cols"), LONG), f"/tasks/?view={world['view']}",
        ],
        "tasks/tasks.csv": ["/tasks/tasks.csv", *_asked("/tasks/tasks.csv", ("q",), LONG)],
        "tasks/rows/": ["/tasks/rows/", *_asked("/tasks/rows/", ("q", "sort", "after"), LONG)],
        "tasks/views/": ["/tasks/views/"],
        "^tasks/views/(?P<view_id>[0-9]{1,18})/$": [f"/tasks/views/{world['view']}/"],
        "^tasks/views/(?P<view_id>[0-9]{1,18})/delete/$": [f"/tasks/views/{world['view']}/delete/"],
        "tasks/suggestions/": ["/tasks/suggestions/"],
        "^tasks/(?P<task_id>[0-9]{1,19})/$": [
            task, f"/tasks/{world['succeeded']}/", f"/tasks/{'9' * 19}/", f"{task}?unmasked=true",
            f"/tasks/{world['queued']}/", f"/tasks/{world['running']}/",
        ],
        "^tasks/(?P<task_id>[0-9]{1,19})/(?P<part>payload|result)/$": [
            f"{task}payload/", f"{task}payload/?unmasked=true", f"/tasks/{world['succeeded']}/result/",
            *_asked(f"{task}payload/", ("at", "first"), LONG),
        ],
        "^tasks/(?P<task_id>[0-9]{1,19})/log\\.txt$": [
            f"{task}log.txt", f"{task}log.txt?unmasked=true", f"{task}log.txt?attempt=1&line=1",
        ],
        "nodes/": [
            "/nodes/", "/nodes/?view=list", *(f"/nodes/?shape={shape}" for shape in ("cards", "lines", "squares")),
            *_asked("/nodes/", ("q", "view", "shape", "all"), LONG),
        ],
        "nodes/<str:name>/": [f"/nodes/{node}/", f"/nodes/{quote(LONG, safe='')}/", f"/nodes/{node}x/"],
        "queues/": ["/queues/"],
        "types/": ["/types/"],
        "types/<path:name>/": [f"/types/{quote(LONG, safe='')}/", f"/types/{quote(NAME, safe='')}/", "/types/a/b/"],
        "queues/<str:name>/": [f"/queues/{quote(LONG, safe='')}/", "/queues/default/"],
        "bulk/": ["/bulk/", *_asked("/bulk/", ("after",), LONG)],
        "^bulk/(?P<job_id>[0-9]{1,19})/$": [f"/bulk/{world['bulk']}/", f"/bulk/{'9' * 19}/"],
        "activity/": ["/activity/", *_asked("/activity/", ("who", "about", "after"), LONG)],
        "activity/export/": _asked("/activity/export/", ("who", "about"), LONG),
        "submit/": [f"/submit/?from={world['failed']}", *_asked("/submit/", ("type", "from"), LONG)],
        "settings/": ["/settings/", *_asked("/settings/", (LONG, "saved"), LONG)],
        "language/": ["/language/"],
        "tokens/": ["/tokens/"],
        "^tokens/(?P<token_id>[0-9]{1,18})/revoke/$": [f"/tokens/{world['credential']}/revoke/"],
        "jump/": _asked("/jump/", ("q",), LONG),
        "login/": ["/login/", *_asked("/login/", ("next",), ADDRESS)],
        "logout/": ["/logout/"],
    }  # fmt: skip
    return found | _admin_pages(world)


def _asked(path: str, names: Sequence[str], value: str) -> list[str]:
    return [f"{path}?{urlencode({name: value})}" for name in names]


def _admin_pages(world: Mapping[str, str]) -> dict[str, list[str]]:
    found = {
        "admin/": ["/admin/"],
        "admin/login/": [f"/admin/login/?{urlencode({'next': ADDRESS})}"],
        "admin/logout/": ["/admin/logout/"],
        "admin/password_change/": ["/admin/password_change/"],
        "admin/password_change/done/": ["/admin/password_change/done/"],
        "admin/autocomplete/": _asked("/admin/autocomplete/", ("term",), LONG),
        "admin/jsi18n/": ["/admin/jsi18n/"],
        "admin/r/<path:content_type_id>/<path:object_id>/": [f"/admin/r/1/{quote(NAME)}/", "/admin/r/x/1/"],
        "admin/auth/user/<id>/password/": [f"/admin/auth/user/{world['user']}/password/"],
        "admin/^(?P<app_label>auth|dispatcher)/$": ["/admin/auth/", "/admin/dispatcher/"],
        "admin/(?P<url>.*)$": [f"/admin/{quote(LONG)}/"],
    }
    for kind in ("api", "enrolment", "node"):
        path = f"admin/dispatcher/credential/issue/{kind}/"
        found[path] = [f"/{path}"]
    for model, model_admin in admin.site._registry.items():
        label = f"{model._meta.app_label}/{model._meta.model_name}"
        name = str(model._meta.model_name)
        found |= _model_pages(f"admin/{label}/", world["failed" if name == "task" else name], model_admin)
    return found


def _model_pages(base: str, key: str, model_admin: Any) -> dict[str, list[str]]:
    filters = [str(getattr(one, "parameter_name", one)) for one in model_admin.list_filter]
    lists = [f"/{base}", *(f"/{base}?{urlencode(dict.fromkeys(names, LONG))}" for names in (["q", "o", "p"], filters))]
    one = f"{base}<path:object_id>/"
    return {
        base: lists,
        f"{base}add/": [f"/{base}add/", f"/{base}add/?_popup=1"],
        one: [f"/{base}{key}/"],
        f"{one}history/": [f"/{base}{key}/history/"],
        f"{one}delete/": [f"/{base}{key}/delete/"],
        f"{one}change/": [f"/{base}{key}/change/", f"/{base}{quote(NAME)}/change/"],
    }


def for_browsers(world: Mapping[str, str]) -> list[str]:
    """Those that somebody who is signed in finds something on: no redirects, and no refusals but the first."""
    downloads = (".csv", ".txt", "suggestions/", "export/")
    left_out = (
        *downloads, "rows/", "revoke/", "tasks/views/", "<view_id>[0-9]{1,18})/", "login/", "logout/", "language/",
        "jsi18n/", "autocomplete/", "jump/", "_id>/",
    )  # fmt: skip
    edited = ("auth/", "queue/")
    found: list[str] = []
    for route, addresses in pages(world).items():
        path = route.removesuffix("$")
        is_edited = any(word in path for word in edited)
        if path.endswith(left_out) or (path.endswith(("add/", "delete/", "history/")) and not is_edited):
            continue
        is_admin = path.startswith("admin/")
        found += addresses[: 1 if is_admin and not path.endswith("queue/") else 2 if is_admin else 3]
    return found

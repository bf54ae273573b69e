"""The document, put together from the table of operations, the URL resolver and the views."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.urls import URLResolver, get_resolver

from dispatcher.api import problems
from dispatcher.api.authentication import EnrollingNodeAuthentication
from dispatcher.api.node_wire import NodeRoute
from dispatcher.api.openapi import answers, parameters
from dispatcher.api.openapi.operations import CONDITIONS, GROUPS, PUSHED, Operation
from dispatcher.api.openapi.schemas import Schemas
from dispatcher.api.views import ApiView
from dispatcher.scopes import Scope
from workers import protocol

#: Of the API itself; it rises when a client written before would no longer be understood.
API_VERSION: Final = "1"

_MODULES: Final = ("dispatcher.api.urls", "dispatcher.api.seed_urls")
_ABOUT: Final = """\
JSON in, JSON out; every error is a problem document (RFC 9457). docs/api.md explains it with examples.

Here each operation names the errors that can come of it. What no operation names: a method that an address does not
have is answered 405 with `Allow`, an address that does not exist 404; both are problem documents. HEAD goes wherever
GET does, OPTIONS nowhere. Unknown query parameters of a GET are errors (400), and so are unknown members of a body
unless it comes from a node.
"""
_MEANINGS: Final = {
    400: "Malformed, or something in it is wrong; `errors` says what.",
    401: "No credential, or a bad one.",
    403: "Not with this role, this scope or this credential; from a session also: without the CSRF token.",
    404: "There is no such thing.",
    405: "Not with this method.",
    409: "It contradicts what is there: `type` says how.",
    411: "Send the header Content-Length.",
    413: "Too large, or too many in one request.",
    415: "Not `application/json` in UTF-8, or compressed.",
    422: "A payload does not fit the schema of its task type; `errors` says where. Nothing was stored.",
    429: "Too many requests, bad tokens from this address, or tasks in the queue.",
    500: "A fault of the server; it was logged.",
    503: "The database is away, or there is too much to do: nothing was changed.",
}
_ALWAYS: Final = (400, 500, 503)
_WITH_CREDENTIAL: Final = (401, 403, 429)
_WITH_BODY: Final = (411, 413, 415)
_COMES_BACK: Final = frozenset({429, 503})
_JSON: Final = "application/json"


class Route(NamedTuple):
    """One method of one address, and what answers it."""

    method: str
    path: str
    callback: Any

    @property
    def key(self) -> str:
        """As in the table of operations."""
        return f"{self.method} {self.path}"

    @property
    def view(self) -> type[ApiView] | None:
        """The class; None of what is answered by a function, without any credential."""
        found: type[ApiView] | None = getattr(self.callback, "cls", None)
        return found

    @property
    def text(self) -> str:
        """What is said of it in the code."""
        what = self.callback if self.view is None else getattr(self.view, self.method.lower())
        return " ".join((inspect.getdoc(what) or "").split()).replace("``", "`")


def routes() -> Iterator[Route]:
    """All routes of the API that the resolver knows, with the methods that they are answered by."""
    for module in _MODULES:
        yield from _below(get_resolver(module), "/")


def _below(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for each in resolver.url_patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(each.pattern))
        if isinstance(each, URLResolver):
            yield from _below(each, path)
        elif each.callback is not problems.not_found:
            view = getattr(each.callback, "cls", None)
            names = [name for name in view.http_method_names if hasattr(view, name)] if view else ["get"]
            yield from (Route(name.upper(), path, each.callback) for name in names if name != "head")


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document. Raises ``LookupError`` for a route that the table of operations has not."""
    schemas = Schemas(CONDITIONS)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "taskdist", "version": API_VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, (text, _) in GROUPS.items()],
        "paths": paths,
        "webhooks": {f"node {name}": _pushed(name, schemas) for name in PUSHED},
        "components": {
            "securitySchemes": _security_schemes(),
            "responses": {str(status): _error(status, schemas) for status in _MEANINGS},
            "schemas": schemas.components,
        },
    }


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    tag, operation = _found(route)
    made: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": route.text.partition(".")[0],
        "description": route.text,
        "security": _security(route),
        "parameters": [
            *(parameters.in_path(name) for name in re.findall(r"{(\w+)}", route.path)),
            *operation.parameters,
        ],
        "responses": _responses(route, operation, schemas),
    }
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas.of(*_alternatives(operation.body))}
        if operation.examples:
            content["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
        is_required = route.view is not None and route.view.body_required
        made["requestBody"] = {"required": is_required, "content": {_JSON: content}}
    return made


def _found(route: Route) -> tuple[str, Operation]:
    for tag, (_, table) in GROUPS.items():
        if route.key in table:
            return tag, table[route.key]
    raise LookupError(f"{route.key} is not in the table of operations")


def _responses(route: Route, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, what in operation.answers.items():
        found[str(status)] = _success(status, what, schemas)
        if operation.location != "never":
            where = _header("Where it is read from now on.", is_sure=operation.location == "always")
            found[str(status)]["headers"] = {"Location": where}
    errors = {*_ALWAYS, *operation.errors}
    if route.view is not None:
        errors |= {*_WITH_CREDENTIAL}
    if operation.body is not None:
        errors |= {*_WITH_BODY}
    found |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(errors)}
    for status, what in (operation.other_errors or {}).items():
        error = _error(status, schemas)
        error["content"][_JSON] = {"schema": schemas.of(*_alternatives(what))}
        found[str(status)] = error
    return found


def _success(status: int, what: Any, schemas: Schemas) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {_JSON: {"schema": schemas.of(*_alternatives(what))}},
    }


def _error(status: int, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {problems.CONTENT_TYPE: {"schema": schemas.of(answers.Problem)}},
    }
    if status in _COMES_BACK:
        made["headers"] = {"Retry-After": _header("Seconds after which to try again.", "^[0-9]+$")}
    if status == HTTPStatus.UNAUTHORIZED:
        made["headers"] = {"WWW-Authenticate": _header("How to authorize.")}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        made["headers"] = {"Allow": _header("The methods that there are.")}
    return made


def _header(description: str, pattern: str = "", *, is_sure: bool = True) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return {"description": description, "required": is_sure, "schema": schema}


def _alternatives(types: Any) -> tuple[Any, ...]:
    return types if isinstance(types, tuple) else (types,)


def _security(route: Route) -> list[dict[str, list[str]]]:
    """The ways to be let in, each enough by itself."""
    view = route.view
    if view is None:
        return []
    if issubclass(view, NodeRoute):
        schemes = ["node"]
        if EnrollingNodeAuthentication in view.authentication_classes:
            schemes.append("enrolment")
        return [{scheme: []} for scheme in schemes]
    scope = view.reads if route.method == "GET" else view.writes
    scopes = [scope.value] if scope else []
    return [{"token": scopes}, {"session": scopes} | ({} if route.method == "GET" else {"csrf": []})]


def _security_schemes() -> dict[str, Any]:
    scopes = "; ".join(f"`{scope}`: {scope.meaning}" for scope in Scope)
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": f"An API token (tdk_…). It does what its scopes name, as far as the role of its account "
            f"goes. {scopes}.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The session of a browser that is signed in, with the rights of its account.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": f"The value of the cookie {settings.CSRF_COOKIE_NAME}; goes with a session.",
        },
        "node": {"type": "http", "scheme": "bearer", "description": "A node's own credential (tdn_…)."},
        "enrolment": {
            "type": "http",
            "scheme": "bearer",
            "description": "An enrolment token (tde_…), which lets a new node in.",
        },
        "nodeSignature": {
            "type": "apiKey",
            "in": "header",
            "name": protocol.HEADER_SIGNATURE,
            "description": "What the dispatcher sends to a node is signed with the node's push key: `v1=` and the hex "
            "HMAC-SHA256 of `id.timestamp.METHOD path.body`, with the headers "
            f"{protocol.HEADER_ID} and {protocol.HEADER_TIMESTAMP}.",
        },
    }


def _pushed(name: str, schemas: Schemas) -> dict[str, Any]:
    """One address of a node, as the dispatcher calls it."""
    method, text, body, answered = PUSHED[name]
    made: dict[str, Any] = {
        "operationId": f"node_{name}",
        "summary": text.partition(".")[0],
        "description": f"{method} {{url}}/{name} on a node. {text}",
        "security": [{"nodeSignature": []}],
        "responses": {str(status): _success(status, what, schemas) for status, what in answered.items()},
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas.of(body)}}}
    return {method.lower(): made}

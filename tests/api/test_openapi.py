"""The OpenAPI document: of every route, of nothing else, and true of what is answered."""

from __future__ import annotations

import io
import json
import re
import shlex
from typing import Any

import jsonschema_rs
import pytest
from django.core.management import call_command

from dispatcher.api.openapi import operations as table
from dispatcher.api.openapi.document import Route, document, routes
from dispatcher.api.openapi.schemas import Schemas
from dispatcher.models import Node
from tests.api import test_docs
from tests.api.conftest import Caller
from tests.api.schema_checks import answer_complaints, closed_document, complaints, operations
from tests.factories import make_engine

URL = "/api/v1/openapi.json"
OPERATIONS = operations(document())
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def filled(path: str) -> str:
    return path.replace("{task_id}", "1").replace("{job_id}", "1").replace("{name}", "n-1")


def test_every_method_of_every_route_is_documented_and_nothing_else() -> None:
    known = {route.key for route in routes()}
    listed = [key for _, operations in table.GROUPS.values() for key in operations]
    assert sorted(known) == sorted(listed)
    assert known == {f"{method} {path}" for method, path in OPERATIONS}
    assert len(known) > 30


def test_a_route_without_a_place_in_the_table_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(table.GROUPS["tasks"][1], "POST /api/v1/tasks/{task_id}/retry")
    with pytest.raises(LookupError, match=r"POST /api/v1/tasks/\{task_id\}/retry"):
        document.__wrapped__()


def test_the_routes_of_the_document_are_those_of_the_urls() -> None:
    """Read apart from the document's own reader, which could overlook one."""
    expected = {
        re.sub(r"<>", "{}", where)
        for module in ("dispatcher.api.urls", "dispatcher.api.seed_urls")
        for where in test_docs.patterns(test_docs.get_resolver(module))
    }
    assert {re.sub(r"{\w+}", "{}", path) for path in document()["paths"]} == expected


@pytest.mark.parametrize("path", sorted(document()["paths"]))
def test_methods_that_are_not_documented_are_not_allowed(admin: Caller, node_caller: Caller, path: str) -> None:
    for method in METHODS:
        if (method, path) in OPERATIONS:
            continue
        ways = next(o["security"] for (_, where), o in OPERATIONS.items() if where == path)
        caller = node_caller if {"node": []} in ways else admin
        answer = caller.send(method, filled(path), {} if method not in ("GET", "OPTIONS", "TRACE") else None)
        assert answer.status == 405, (method, path, answer)
        assert answer.is_problem
        allowed = {word.strip() for word in answer.headers["Allow"].split(",")}
        assert allowed - {"HEAD"} == {method for method, where in OPERATIONS if where == path}


def test_all_references_lead_somewhere_and_all_schemas_are_schemas() -> None:
    made = document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(made)):
        here = made
        for part in reference.split("/"):
            here = here[part]
    for schema in made["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("key", sorted(OPERATIONS))
def test_examples_are_what_they_are_examples_of(key: tuple[str, str]) -> None:
    operation = OPERATIONS[key]
    assert operation["summary"]
    if "requestBody" not in operation:
        assert key[0] == "GET"
        return
    content = operation["requestBody"]["content"]["application/json"]
    assert content.get("examples") or content["schema"] == {"$ref": "#/components/schemas/NoFields"}
    for example in content.get("examples", {}).values():
        assert complaints(content["schema"], example["value"]) == []
    assert complaints(content["schema"], "no body of any route") != []


def test_defaults_are_what_they_are_defaults_of() -> None:
    seen = 0
    for name, schema in document()["components"]["schemas"].items():
        for member, inner in schema.get("properties", {}).items():
            if "default" in inner:
                assert complaints(inner, inner["default"]) == [], (name, member)
                seen += 1
    assert seen > 50


#: Bodies that the server refuses for more than their types.
REFUSED = [
    ("POST /api/v1/tasks", {"type": "no blanks"}),
    ("POST /api/v1/tasks", {"type": "t", "queue": "a/b"}),
    ("POST /api/v1/tasks", {"type": "t", "tags": ["two\nlines"]}),
    ("POST /api/v1/tasks", {"type": "t", "labels": {"-": "x"}}),
    ("POST /api/v1/tasks", {"type": "t", "unknown": 1}),
    ("POST /api/v1/tasks", []),
    ("POST /api/v1/tasks/cancel", {"ids": ["a"]}),
    ("POST /api/v1/tasks/cancel", {"ids": [0]}),
    ("POST /api/v1/bulk", {"action": "delete", "q": ""}),
    ("POST /api/v1/bulk", {"action": "retry", "q": 5}),
    ("POST /api/v1/bulk", {"action": "retry", "q": "", "batch_size": 0}),
    ("POST /api/v1/bulk", {"action": "retry", "q": "", "per_second": 0}),
    ("POST /api/v1/bulk/preview", {"action": "retry"}),
    ("POST /api/v1/queues", {"name": "q", "policy": "random"}),
    ("POST /api/v1/nodes/{name}/drain", {"reason": "a\tb"}),
    ("POST /task", {"taskId": "\u200b"}),
    ("POST /register", {"nodeId": "n-1", "url": "n-1:80"}),
    ("POST /register", {"nodeId": "n-1", "url": "http://127.0.0.1:9", "slots": 0}),
    ("POST /api/v1/nodes/register", {"name": "n-1", "url": "http://127.0.0.1:9", "boot_id": ""}),
    ("POST /api/v1/nodes/register", {"name": "n-1", "url": "ftp://127.0.0.1:9", "boot_id": "b"}),
    ("POST /api/v1/nodes/register", {"name": "n-1", "url": "http://127.0.0.1:9", "boot_id": "b", "protocol": 3}),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("key", "body"), REFUSED)
def test_the_document_refuses_what_the_server_refuses(
    admin: Caller, node_caller: Caller, key: str, body: dict[str, Any]
) -> None:
    method, _, path = key.partition(" ")
    operation = OPERATIONS[method, path]
    caller = node_caller if {"node": []} in operation["security"] else admin
    assert caller.send(method, filled(path), body).status == 400
    assert complaints(operation["requestBody"]["content"]["application/json"]["schema"], body) != []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["größe", "数", "a.b:c@d+e-f_9", "٣"])
def test_names_of_any_script_are_allowed_by_both(admin: Caller, name: str) -> None:
    body = {"type": name, "queue": name, "labels": {name: "é ✓"}, "tags": ["日本 語"]}
    assert admin.post("/api/v1/tasks", body).status == 201
    schema = OPERATIONS["POST", "/api/v1/tasks"]["requestBody"]["content"]["application/json"]["schema"]
    assert complaints(schema, body) == []


def test_two_types_of_one_name_are_an_error() -> None:
    from dispatcher.queries import shapes

    class TaskPage(shapes.TaskPage):
        """Another one."""

    schemas = Schemas()
    schemas.of(shapes.TaskPage)
    with pytest.raises(TypeError, match="two types are called TaskPage"):
        schemas.of(TaskPage)


@pytest.mark.django_db
def test_every_example_of_the_page_is_answered_as_documented() -> None:
    make_engine(now=test_docs.now())
    names = test_docs.names_for_the_page()
    for command in test_docs.examples():
        if "/result" in command and "gpu-1" in command:
            names["TUTORIAL_ID"] = test_docs._given_to(Node.objects.get(name="gpu-1"))
        answer = test_docs.run(command, names)
        test_docs.note_ids(names, command, answer)
        method, path = asked(command, names)
        assert answer_complaints(method, path, answer) == [], (command, answer)


def asked(command: str, names: dict[str, str]) -> tuple[str, str]:
    """Method and path of a command of the page."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda match: names[match[1]], command))
    url = next(word for word in words if word.startswith("http"))
    default = "POST" if "-d" in words else "GET"
    method = words[words.index("-X") + 1] if "-X" in words else default
    return method, url.removeprefix("http://testserver").partition("?")[0]


def test_an_answer_that_is_not_documented_is_found() -> None:
    class Odd:
        status, type, headers = 200, "application/json", {}
        json: Any = {"tasks": [], "next": None, "searched_to": None}

    assert answer_complaints("GET", "/api/v1/tasks", Odd()) == []
    Odd.json = {"tasks": [], "next": None, "more": 1}
    assert answer_complaints("GET", "/api/v1/tasks", Odd()) != []
    Odd.json = {"tasks": []}
    assert answer_complaints("GET", "/api/v1/tasks", Odd()) != []
    Odd.status = 418
    assert answer_complaints("GET", "/api/v1/tasks", Odd()) == ["the status 418 is not documented"]
    assert closed_document() != document()


def test_it_is_served_to_whoever_may_read(viewer: Caller, nobody: Caller, node_caller: Caller) -> None:
    answer = viewer.read(URL)
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")
    assert nobody.read(URL).status == 401
    assert node_caller.read(URL).status == 403
    assert viewer.read(URL, format="yaml").status == 400


def test_the_command_prints_what_is_served(viewer: Caller) -> None:
    out = io.StringIO()
    call_command("openapi", stdout=out)
    assert json.loads(out.getvalue()) == viewer.read(URL).json


def test_rights_are_those_of_the_views() -> None:
    assert OPERATIONS["GET", "/api/v1/tasks"]["security"] == [{"token": ["tasks:read"]}, {"session": ["tasks:read"]}]
    steering = OPERATIONS["POST", "/api/v1/nodes/{name}/drain"]["security"]
    assert steering == [{"token": ["operate"]}, {"session": ["operate"], "csrf": []}]
    assert OPERATIONS["POST", "/register"]["security"] == [{"node": []}, {"enrolment": []}]
    assert OPERATIONS["POST", "/api/v1/nodes/results"]["security"] == [{"node": []}]
    assert OPERATIONS["GET", "/healthz"]["security"] == []


def test_a_route_is_described_in_its_own_words() -> None:
    route = next(route for route in routes() if route.key == "GET /healthz")
    assert isinstance(route, Route)
    assert route.text == "200 as long as this process answers."

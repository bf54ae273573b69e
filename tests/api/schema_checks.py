"""Answers held against the OpenAPI document, more strictly than clients should: no member that it does not name."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import jsonschema_rs

from dispatcher.api.openapi.document import document


@cache
def closed_document() -> dict[str, Any]:
    """The document with answers that have no further members. What is also sent keeps those that it may have."""
    made = copy.deepcopy(document())
    schemas = made["components"]["schemas"]
    sent = reachable(made, [o.get("requestBody") for o in operations(made).values()])
    for name, schema in schemas.items():
        if name not in sent and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return made


def operations(made: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The operations by method and address."""
    return {(m.upper(), path): o for path, methods in made["paths"].items() for m, o in methods.items()}


def reachable(made: dict[str, Any], start: Any) -> set[str]:
    """The names of the schemas that something refers to, also by way of others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            name = str(here.get("$ref", "")).rpartition("/")[2]
            if name in made["components"]["schemas"] and name not in found:
                found.add(name)
                waiting.append(made["components"]["schemas"][name])
            waiting += here.values()
    return found


def template_of(path: str) -> str:
    """The address in the document that a path is answered by; literal ones win."""
    known = document()["paths"]
    if path in known:
        return path
    for template in known:
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            return str(template)
    raise LookupError(path)


def complaints(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value by a schema of the closed document."""
    whole = {**schema, "components": closed_document()["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{list(error.instance_path)}: {error.message}"[:300] for error in validator.iter_errors(value)]


def answer_complaints(method: str, path: str, answer: Any) -> list[str]:
    """What is undocumented about an ``Answer``: its status, type, headers, body."""
    made = closed_document()
    responses = operations(made)[method, template_of(path)]["responses"]
    response = responses.get(str(answer.status))
    if response is None:
        return [f"the status {answer.status} is not documented"]
    if "$ref" in response:
        response = made["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found = [
        f"no header {name}"
        for name, header in response.get("headers", {}).items()
        if header["required"] and name not in answer.headers
    ]
    content = response["content"].get(answer.type)
    return (
        [*found, f"the type {answer.type}"] if content is None else found + complaints(content["schema"], answer.json)
    )

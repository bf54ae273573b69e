"""A JSON Schema as people read it: one row per member, with its kind, its bounds and its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: Rows shown, and how deep; the schema itself stands below them whole.
MAX_ROWS: Final = 100
MAX_DEPTH: Final = 4
_MAX_CHARS: Final = 200

_KINDS: Final = {
    "string": gettext_lazy("text"),
    "integer": gettext_lazy("whole number"),
    "number": gettext_lazy("number"),
    "boolean": gettext_lazy("true or false"),
    "array": gettext_lazy("list"),
    "object": gettext_lazy("object"),
    "null": gettext_lazy("null"),
}


class SchemaRow(NamedTuple):
    """One member. ``name`` has its place in it, such as "size.width"."""

    name: str
    kind: str
    is_required: bool
    default: str
    limits: str
    description: str


def schema_rows(schema: Mapping[str, Any]) -> list[SchemaRow]:
    """The members of the payload, and those within them. Empty for payloads that are no objects."""
    rows: list[SchemaRow] = []
    _add(rows, schema, schema, "", MAX_DEPTH)
    return rows[:MAX_ROWS]


def resolved(root: Mapping[str, Any], schema: object) -> Mapping[str, Any]:
    """What a part of the schema stands for: a reference followed, the one form beside null taken for both."""
    for _step in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        ref, forms = schema.get("$ref"), schema.get("anyOf")
        if isinstance(ref, str) and ref.startswith("#/"):
            schema = {**_pointed(root, ref), **{name: part for name, part in schema.items() if name != "$ref"}}
        elif isinstance(forms, list) and len(others := [form for form in forms if form != {"type": "null"}]) == 1:
            rest = {name: part for name, part in schema.items() if name != "anyOf"}
            schema = {**others[0], **rest} if isinstance(others[0], Mapping) else rest
        else:
            return schema
    return schema if isinstance(schema, Mapping) else {}


def _pointed(root: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
    part: object = root
    for step in ref[2:].split("/"):
        part = part.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _add(rows: list[SchemaRow], root: Mapping[str, Any], schema: object, place: str, depth: int) -> None:
    found = resolved(root, schema)
    members, required = found.get("properties"), found.get("required")
    if not isinstance(members, Mapping) or depth == 0:
        return
    needed = required if isinstance(required, list) else []
    for name, given in members.items():
        if len(rows) >= MAX_ROWS:
            return
        part = resolved(root, given)
        rows.append(
            SchemaRow(
                name=f"{place}{name}"[:_MAX_CHARS],
                kind=_kind(root, part),
                is_required=name in needed,
                default=_json(part["default"]) if "default" in part else "",
                limits=_limits(part),
                description=str(part.get("description", part.get("title", "")))[:_MAX_CHARS],
            )
        )
        _add(rows, root, part, f"{place}{name}.", depth - 1)
        _add(rows, root, part.get("items"), f"{place}{name}[].", depth - 1)


def _kind(root: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    if isinstance(part.get("enum"), list):
        return _("one of %s") % ", ".join(map(_json, part["enum"][:20]))
    kinds = part.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    words = [str(_KINDS[kind]) for kind in kinds if isinstance(kind, str) and kind in _KINDS]
    if kinds == ["array"] and isinstance(part.get("items"), Mapping):
        inner = resolved(root, part["items"]).get("type")
        if isinstance(inner, str) and inner in _KINDS:
            return _("list, each item: %s") % _KINDS[inner]
    return ", ".join(words) or _("anything")


def _limits(part: Mapping[str, Any]) -> str:
    found = [
        text % {"n": _json(part[name])}
        for name, text in (
            ("minimum", _("at least %(n)s")),
            ("exclusiveMinimum", _("more than %(n)s")),
            ("maximum", _("at most %(n)s")),
            ("exclusiveMaximum", _("less than %(n)s")),
            ("multipleOf", _("a multiple of %(n)s")),
            ("minLength", _("at least %(n)s characters")),
            ("maxLength", _("at most %(n)s characters")),
            ("minItems", _("at least %(n)s items")),
            ("maxItems", _("at most %(n)s items")),
            ("pattern", _("matches %(n)s")),
            ("format", _("format %(n)s")),
        )
        if name in part
    ]
    return ", ".join(found)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:_MAX_CHARS]

"""Payloads against the schemas that nodes send: never stricter than JSON Schema, and never slow."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.payload_schemas import CompiledSchema, Effort, compile_schema, schema_error
from dispatcher.payload_schemas.texts import safe_pattern
from workers.protocol import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH

FRAME = {
    "type": "object",
    "properties": {
        "scene": {"type": "string", "pattern": "^s3://", "maxLength": 20},
        "frame": {"type": "integer", "minimum": 1, "maximum": 9999},
        "quality": {"enum": ["low", "high"], "default": "low"},
        "scale": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
        "at": {"type": "string", "format": "date-time"},
        "layers": {"type": "array", "items": {"$ref": "#/$defs/Layer"}, "minItems": 1},
    },
    "required": ["scene", "frame"],
    "additionalProperties": False,
    "$defs": {
        "Layer": {"type": "object", "properties": {"x": {"type": "number", "multipleOf": 2}, "in": {"$ref": "#"}}}
    },
}
GOOD = '{"scene":"s3://a","frame":3}'


def errors(schema: Any, payload: str) -> list[tuple[str, str]]:
    return compile_schema(schema).errors(payload)


@pytest.mark.parametrize(
    ("payload", "field", "message"),
    [
        ("{}", "payload.scene", "is required"),
        ("5", "payload", "must be an object, not a whole number"),
        ('{"scene":"s3://a","frame":0}', "payload.frame", "must be at least 1"),
        ('{"scene":"s3://a","frame":12345678901234567890123}', "payload.frame", "must be at most 9999"),
        ('{"scene":"s3://a","frame":1.5}', "payload.frame", "must be a whole number, not a decimal number"),
        ('{"scene":"s3://a","frame":true}', "payload.frame", "must be a whole number, not true or false"),
        ('{"scene":"file:a","frame":1}', "payload.scene", "must match ^s3://"),
        ('{"scene":"s3://6789012345678901","frame":1}', "payload.scene", "must be at most 20 characters long"),
        ('{"scene":"s3://a","frame":1,"quality":"mid"}', "payload.quality", 'must be one of "low", "high"'),
        ('{"scene":"s3://a","frame":1,"scale":"a"}', "payload.scale", "must be a number or null, not text"),
        ('{"scene":"s3://a","frame":1,"scale":-1}', "payload.scale", "must be more than 0"),
        ('{"scene":"s3://a","frame":1,"at":"soon"}', "payload.at", "must be a time, such as 2026-11-24T02:00:00Z"),
        ('{"scene":"s3://a","frame":1,"layers":[]}', "payload.layers", "must not be empty"),
        ('{"scene":"s3://a","frame":1,"layers":[{},{"x":3}]}', "payload.layers[1].x", "must be a multiple of 2"),
        ('{"scene":"s3://a","frame":1,"layers":[{"in":{"scene":"s3:"}}]}', "payload.layers[0].in.frame", "is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words_at_its_place(payload: str, field: str, message: str) -> None:
    assert (field, message) in errors(FRAME, payload)


@pytest.mark.parametrize(
    "payload",
    [
        GOOD,
        '{"scene":"s3://a","frame":1.0,"quality":"high","scale":null,"at":"2026-11-24T02:00:00"}',
        '{"scene":"s3://a","frame":9999,"layers":[{"x":4,"in":{"scene":"s3://b","frame":1}}]}',
    ],
)
def test_what_is_right_passes(payload: str) -> None:
    assert errors(FRAME, payload) == []


def test_an_unknown_member_is_told_what_there_is() -> None:
    assert errors({"properties": {"a": {}, "b": {}}, "additionalProperties": False}, '{"c":1}') == [
        ("payload.c", "is not known; there is a, b")
    ]


def test_no_payload_is_an_object_without_members_unless_null_is_meant() -> None:
    assert errors({"type": "object"}, "null") == []
    assert errors(FRAME, "null")[0] == ("payload.scene", "is required")
    assert errors({"type": ["null", "object"], "required": ["a"]}, "null") == []


def test_values_of_the_payload_are_in_no_message() -> None:
    found = errors(FRAME, '{"scene":"hunter2","frame":"hunter2","quality":"hunter2","scale":"hunter2","at":"hunter2"}')
    assert len(found) == 5
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"type": "string"}},
        {"if": {"type": "string"}, "then": False},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#anchor"},
        {"type": "text"},
        {"type": []},
        {"minimum": "1", "maximum": True, "minLength": -1, "enum": [], "required": "a", "properties": [], "anyOf": {}},
        {"pattern": "(a+)+$"},
        {"pattern": "("},
        {"format": "hostname"},
        {"additionalProperties": False, "patternProperties": {"^a": {}}},
    ],
)
def test_what_is_not_understood_refuses_nothing_and_is_named(schema: dict[str, Any]) -> None:
    compiled = compile_schema(schema)
    for payload in ('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"', "0", '{"a":1}'):
        assert compiled.errors(payload) == []
    assert compiled.unchecked & schema.keys()


#: Everything in these is checked here, and by a library that is known to be right.
SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]},
    {"properties": {"a": {"type": ["integer", "null"], "maximum": 3}}, "additionalProperties": {"type": "boolean"}},
    {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "array", "items": {"$ref": "#"}, "uniqueItems": True}]},
    {"enum": [1, None, [1], {"a": 2.0}, "x", False]},
    {"const": {"a": [0]}},
    {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 1},
    {"allOf": [{"minProperties": 1}, {"maxProperties": 2}], "minLength": 1, "maxLength": 2, "multipleOf": 2},
    {"exclusiveMinimum": 0, "exclusiveMaximum": 3, "type": ["number", "string"], "pattern": "^[a-b]+$"},
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from([0.5, 1.0, 2.0, -1.5])
    | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SCHEMAS), JSON)
def test_it_judges_as_json_schema_does(schema: dict[str, Any], value: Any) -> None:
    compiled = compile_schema(schema)
    assert compiled.unchecked == frozenset()
    if value is None:
        return
    is_right = jsonschema_rs.Draft202012Validator(schema).is_valid(value)
    assert (compiled.errors(msgspec.json.encode(value)) == []) == is_right


def steps_for(schema: dict[str, Any], payload: str) -> int:
    effort = Effort()
    before = effort.steps
    compile_schema(schema).errors(payload, effort)
    return before - effort.steps


def branching(levels: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 4} for n in range(levels)} | {
        f"d{levels}": False
    }
    return {"$ref": "#/$defs/d0", "$defs": definitions}


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ({"$ref": "#"}, "1"),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "1"),
        (branching(30), "1"),
        ({"properties": {"a": {"anyOf": [{"$ref": "#"}] * 5}}, "required": ["b"]}, '{"a":' * 60 + "{}" + "}" * 60),
        (
            {"items": {"type": "string", "pattern": "^[a]*[a]*$"}},
            msgspec.json.encode(["a" * 499 + "!"] * 5000).decode(),
        ),
    ],
)
def test_a_hostile_schema_costs_a_bounded_effort(schema: dict[str, Any], payload: str) -> None:
    assert steps_for(schema, payload) <= 100_000


def test_the_effort_of_a_request_is_shared_and_then_nothing_more_is_refused() -> None:
    effort, compiled = Effort(steps=50), compile_schema({"items": {"type": "string"}})
    assert len(compiled.errors(msgspec.json.encode([1] * 40), effort)) == 20
    compiled.errors(msgspec.json.encode(["a"] * 40), effort)
    assert effort.steps == 0
    assert compiled.errors("[1]", effort) == []


def test_references_in_thousands_do_not_exhaust_the_stack() -> None:
    schema = {"$ref": "#/$defs/d0", "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(3000)}}
    assert isinstance(compile_schema(schema), CompiledSchema)


def test_a_schema_has_a_size_and_a_depth() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_SCHEMA_DEPTH - 1):
        deep = {"items": deep}
    assert schema_error(deep) == ""
    assert "nested deeper" in schema_error({"items": deep})
    assert "the most is 65536" in schema_error({"title": "x" * MAX_SCHEMA_BYTES})


@pytest.mark.parametrize(
    ("pattern", "is_safe"),
    [
        (r"^[A-Z]{2,5}-\d+$", True), ("^[^@]+@[^@]+$", True), ("^s3://", True), ("^[1-9][0-9]{0,17}$", True),
        ("(a+)+$", False), ("^(a|aa)+$", False), (r"^(a)\1$", False), (r"[\w.]+@\w+", False), ("^a*a*a*$", False),
        ("^" + "a?" * 40 + "a" * 40, False), ("a{1,999}b*", False), ("^[a-z&&[b]]$", False), ("(?=a)", False),
        ("x" * 201, False), ("a{99999}", False), ("^[", False),
    ],
)  # fmt: skip
def test_only_patterns_that_cannot_run_away_are_matched(pattern: str, is_safe: bool) -> None:
    assert (safe_pattern(pattern) is not None) == is_safe

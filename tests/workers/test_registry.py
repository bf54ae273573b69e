"""What ``@task`` accepts and refuses, and how payloads reach handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from workers import TaskContext, task
from workers.notes import Notes
from workers.registry import RegistrationError, Registry, type_infos
from workers.signature import PayloadError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes


def a_context() -> TaskContext:
    return TaskContext("t", 1, 3, Notes())


def call(handler: Callable[..., Any], payload: Any) -> Any:
    registry = Registry()
    task(name="t", registry=registry)(handler)
    return registry.types["t"].binding.call(a_context(), msgspec.json.encode(payload))


def test_fields_become_keyword_arguments_with_pythons_own_defaults() -> None:
    marker = object()

    def handler(a: int, b: list[str] | None = None, *, c: Any = marker) -> Any:
        return a, b, c is marker

    assert call(handler, {"a": 1}) == (1, None, True)
    assert call(handler, {"a": 1, "b": ["x"], "c": 2}) == (1, ["x"], False)


def test_a_payload_parameter_gets_the_payload_whole() -> None:
    def handler(context: TaskContext, payload: list[int]) -> Any:
        return context.task_id, payload

    assert call(handler, [1, 2]) == ("t", [1, 2])
    with pytest.raises(PayloadError):
        call(handler, {"a": 1})


def test_a_handler_without_parameters_takes_an_empty_payload_only() -> None:
    assert call(lambda_free_nothing, None) == "ran"
    assert call(lambda_free_nothing, {}) == "ran"
    with pytest.raises(PayloadError, match="unknown field `x`"):
        call(lambda_free_nothing, {"x": 1})


def lambda_free_nothing() -> str:
    return "ran"


@pytest.mark.parametrize(
    ("payload", "words"),
    [({}, "missing required field `a`"), ({"a": "1"}, "Expected `int`"), ({"a": 1, "z": 1}, "unknown field `z`")],
)
def test_a_payload_that_does_not_fit_is_named(payload: Any, words: str) -> None:
    def handler(a: int) -> int:
        return a

    with pytest.raises(PayloadError, match=words):
        call(handler, payload)


def test_other_fields_go_to_keyword_parameters() -> None:
    def handler(a: int, **more: Any) -> Any:
        return a, more

    assert call(handler, {"a": 1, "b": {"c": 2}}) == (1, {"b": {"c": 2}})


def test_the_schema_of_the_payload_goes_out() -> None:
    registry = Registry()

    @task(name="resize", timeout=5, version="2", registry=registry)
    def resize(context: TaskContext, file: str, size: int = 128) -> None:
        """Make it smaller.

        More words.
        """

    info = type_infos(registry.types)["resize"]
    assert (info.timeout_seconds, info.version, info.description) == (5, "2", "Make it smaller.")
    assert info.schema == {
        "type": "object",
        "properties": {"file": {"type": "string"}, "size": {"type": "integer", "default": 128}},
        "required": ["file"],
        "additionalProperties": False,
    }


def test_a_schema_that_is_given_goes_out_instead() -> None:
    registry, schema = Registry(), {"type": "object", "properties": {"file": {"type": "string", "format": "uri"}}}

    @task(name="fetch", schema=schema, registry=registry)
    def fetch(file: str) -> None: ...

    assert type_infos(registry.types)["fetch"].schema == schema
    # It says what to send; what arrives is checked by the signature as before.
    with pytest.raises(PayloadError):
        registry.types["fetch"].binding.call(a_context(), b'{"file": 1}')


def positional_only(a: int, /) -> None: ...
def any_number(*a: int) -> None: ...
def late_context(a: int, context: TaskContext) -> None: ...
def no_json(a: complex) -> None: ...
def only_checked(a: OnlyForTypes) -> None: ...
def generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("handler", "options", "words"),
    [
        (positional_only, {}, "positional-only"),
        (any_number, {}, "payload, whose fields have names"),
        (late_context, {}, "must be the first parameter"),
        (no_json, {}, "no type that JSON has"),
        (only_checked, {}, "OnlyForTypes.*run time"),
        (generator, {}, "cannot be a generator"),
        (lambda_free_nothing, {"name": "no blanks"}, "cannot name a task type"),
        (lambda_free_nothing, {"timeout": 0}, "positive number"),
        (lambda_free_nothing, {"executor": "gpu"}, "'thread' or 'process'"),
        (lambda_free_nothing, {"retry_on": ["ValueError"]}, "exception classes"),
        (lambda_free_nothing, {"schema": ["object"]}, "JSON Schema, an object"),
        (lambda_free_nothing, {"schema": {"enum": [object()]}}, "JSON Schema, an object"),
        (lambda_free_nothing, {"schema": {"title": "x" * 70_000}}, "70012 bytes of JSON; the most is 65536"),
        (Registry, {}, "goes on a function"),
    ],
)
def test_what_cannot_work_is_refused_at_import(handler: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistrationError, match=words):
        task(registry=Registry(), **options)(handler)


def test_two_functions_of_one_name_are_refused_a_reload_is_not() -> None:
    registry = Registry()
    task(name="t", registry=registry)(positional_free)
    task(name="t", registry=registry)(positional_free)
    with pytest.raises(RegistrationError, match="defined twice"):
        task(name="t", registry=registry)(lambda_free_nothing)


def positional_free(a: int = 1) -> int:
    return a


def test_the_name_defaults_to_module_and_function() -> None:
    registry = Registry()
    task(registry=registry)(positional_free)
    assert list(registry.types) == ["tests.workers.test_registry.positional_free"]


def test_which_errors_are_retried() -> None:
    registry = Registry()
    task(name="t", retry_on=(OSError, KeyError), fail_on=FileNotFoundError, registry=registry)(positional_free)
    kind = registry.types["t"]
    assert kind.is_retryable(ConnectionError())
    assert not kind.is_retryable(FileNotFoundError())
    assert not kind.is_retryable(ValueError())

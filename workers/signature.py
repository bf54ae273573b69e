"""From a handler's signature to a call: which arguments the payload gives, and of what JSON types."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import msgspec

from workers.context import TaskContext

#: Defaults of these types go into the schema; any other is kept to the call itself.
_PLAIN = (type(None), bool, int, float, str)


class BindError(Exception):
    """The signature cannot take a payload; the message says why."""


class PayloadError(Exception):
    """The payload does not fit the handler's signature; another attempt would not help."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How to call one handler with a raw JSON payload. ``schema`` is the payload's JSON Schema."""

    call: Callable[[TaskContext, bytes | msgspec.Raw], Any]
    schema: dict[str, Any] | None


def bind(handler: Callable[..., Any]) -> Binding:
    """Work out how the payload reaches ``handler``; raises ``BindError`` for a signature that cannot work.

    The context is the first parameter if it is annotated ``TaskContext`` or named ``context`` or ``ctx``. A handler
    whose only other parameter is called ``payload`` gets the payload whole; any other gets its fields by name.
    """
    parameters = list(inspect.signature(handler).parameters.values())
    hints = _hints(handler)
    has_context = bool(parameters) and _is_context(parameters[0], hints)
    if has_context:
        parameters = parameters[1:]
    for parameter in parameters:
        _check(parameter, hints)
    if len(parameters) == 1 and parameters[0].name == "payload":
        return _bind_whole(handler, hints.get("payload", Any), parameters[0], has_context)
    return _bind_fields(handler, parameters, hints, has_context)


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(handler, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise BindError(f"its annotations cannot be read: {error}. Import the names they use at run time.") from None


def _is_context(parameter: Parameter, hints: dict[str, Any]) -> bool:
    hint = hints.get(parameter.name)
    return hint is TaskContext or (hint is None and parameter.name in ("context", "ctx"))


def _check(parameter: Parameter, hints: dict[str, Any]) -> None:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        raise BindError(f"*{parameter.name} cannot be filled from a payload, whose fields have names.")
    if parameter.kind is Parameter.POSITIONAL_ONLY:
        raise BindError(f"parameter {parameter.name!r} is positional-only; payload fields are passed by name.")
    if hints.get(parameter.name) is TaskContext:
        raise BindError(f"the TaskContext must be the first parameter, not {parameter.name!r} further on.")


def _bind_whole(handler: Callable[..., Any], hint: Any, parameter: Parameter, has_context: bool) -> Binding:
    has_default = parameter.default is not Parameter.empty
    if hint is msgspec.Raw:
        decode: Callable[[bytes | msgspec.Raw], Any] = msgspec.Raw
    else:
        decode = _decoder(hint, "payload").decode

    def call(context: TaskContext, payload: bytes | msgspec.Raw) -> Any:
        arguments: dict[str, Any] = {}
        if not has_default or bytes(payload) != b"null":
            try:
                arguments["payload"] = decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise PayloadError(str(error)) from None
        return handler(context, **arguments) if has_context else handler(**arguments)

    return Binding(call, None if hint in (msgspec.Raw, Any) else _schema(hint, "payload"))


def _bind_fields(
    handler: Callable[..., Any], parameters: list[Parameter], hints: dict[str, Any], has_context: bool
) -> Binding:
    named = [parameter for parameter in parameters if parameter.kind is not Parameter.VAR_KEYWORD]
    takes_more = len(named) != len(parameters)
    for parameter in named:
        hint = hints.get(parameter.name, Any)
        _decoder(hint, parameter.name)
        _schema(hint, parameter.name)
    shape = msgspec.defstruct(
        "Payload",
        [(parameter.name, hints.get(parameter.name, Any), _default(parameter)) for parameter in named],
        kw_only=True,
        forbid_unknown_fields=not takes_more,
    )
    decode = msgspec.json.Decoder(shape).decode
    decode_any = msgspec.json.Decoder(dict[str, Any]).decode
    asdict = msgspec.structs.asdict
    names = {parameter.name for parameter in named}

    def call(context: TaskContext, payload: bytes | msgspec.Raw) -> Any:
        if bytes(payload) == b"null":
            payload = b"{}"
        try:
            arguments = asdict(decode(payload))
            if takes_more:
                arguments.update((k, v) for k, v in decode_any(payload).items() if k not in names)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PayloadError(str(error)) from None
        return handler(context, **arguments) if has_context else handler(**arguments)

    return Binding(call, _schema(shape, "payload"))


def _default(parameter: Parameter) -> Any:
    default = parameter.default
    if default is Parameter.empty:
        return msgspec.field()
    if isinstance(default, _PLAIN):
        return msgspec.field(default=default)
    return msgspec.field(default_factory=lambda: default)


def _decoder(hint: Any, name: str) -> msgspec.json.Decoder[Any]:
    try:
        return msgspec.json.Decoder(hint)
    except TypeError as error:
        raise BindError(f"parameter {name!r} cannot be read from JSON: {error}.") from None


def _schema(hint: Any, name: str) -> dict[str, Any]:
    try:
        schema = msgspec.json.schema(hint)
    except TypeError:
        raise BindError(
            f"parameter {name!r}: {hint!r} is no type that JSON has. Take a str or a number, and convert."
        ) from None
    # A one-off name for the payload itself is noise to a reader: put its definition at the top.
    if schema.get("$ref") == "#/$defs/Payload":
        definitions = schema.pop("$defs")
        schema = {**definitions.pop("Payload"), **({"$defs": definitions} if definitions else {})}
        schema.pop("title", None)
    return schema

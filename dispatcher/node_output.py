"""What worker nodes send, by whichever road it comes: made fit for every database and every page, item by item.

Reports, statuses, answers to pushes and to orders are read here and nowhere else. What a handler computed is worth more
than its tidiness: nothing is refused because of one item, and no result is thrown away that names its attempt. What no
row may hold is replaced (U+FFFD), what is nested too deeply becomes its JSON text, an item that breaks the contract is
kept as far as it can be understood; a result that was touched says so (``sanitized``).

Both readers raise ``msgspec.DecodeError`` (or its ``ValidationError``) for what makes no sense as a whole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec

from dispatcher import json_text
from workers import protocol

Message = TypeVar("Message", bound=msgspec.Struct)

#: Levels around each result, by kind of message.
_ENVELOPE_DEPTH: Final = {protocol.Report: 3, protocol.NodeStatus: 3, protocol.PushReply: 4, protocol.ControlReply: 4}
#: Deeper than this no parser is led.
_DEEPEST: Final = 100
#: How much of what could not be understood an error quotes, in characters.
_QUOTED_CHARS: Final = 2_000

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def read(body: bytes, decoder: msgspec.json.Decoder[Message]) -> tuple[Message, bool]:
    """A message with at most one result in it, and whether something in the body had to be changed."""
    safe = json_text.made_safe(body)
    try:
        return decoder.decode(safe), safe is not body
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        return decoder.decode(_parseable(body, probe=False)), True


def read_items(body: bytes, decoder: msgspec.json.Decoder[Message]) -> Message:
    """A message with many results. One that does not name its attempt stays in its place, with an empty task id."""
    message, is_clean = _understood(body, decoder, probe=False)
    if not is_clean:
        other, _ = _understood(body, decoder, probe=True)
        for result, probed in zip(_results_in(message), _results_in(other), strict=False):
            result.sanitized = result.sanitized or result != probed
    if json_text.is_too_deep(body, json_text.MAX_DEPTH + _ENVELOPE_DEPTH[type(message)]):
        for result in _results_in(message):
            keep_flat(result)
    return message


def keep_flat(result: protocol.TaskResult) -> None:
    """Turn what is nested too deeply to be stored and shown safely into its JSON text."""
    text = bytes(result.result)
    if json_text.is_too_deep(text):
        result.result, result.sanitized = msgspec.Raw(json_text.flattened(text)), True


def _understood(body: bytes, decoder: msgspec.json.Decoder[Message], *, probe: bool) -> tuple[Message, bool]:
    """The message, and whether it could be taken as it came."""
    safe = json_text.made_safe(body, probe=probe)
    try:
        return decoder.decode(safe), safe is body
    except msgspec.ValidationError:
        return _loosely(safe, decoder.type), False
    except (msgspec.DecodeError, RecursionError):
        return _loosely(_parseable(body, probe=probe), decoder.type), False


def _parseable(body: bytes, *, probe: bool) -> bytes:
    text = json_text.mended(json_text.flattened(body, _DEEPEST), probe=probe)
    return json_text.made_safe(text, probe=probe)


def _loosely(text: bytes, kind: type[Message]) -> Message:
    """A message whose lists hold what could be understood of their items; all else has to be right."""
    members = _members.decode(text)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        raw = members.get(field.encode_name)
        if raw is None:
            if field.required:
                raise msgspec.ValidationError(f"Object missing required field `{field.encode_name}`")
            continue
        try:
            values[field.name] = _member(raw, field.type)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{error} - at `$.{field.encode_name}`") from None
    return kind(**values)


def _member(raw: msgspec.Raw, annotation: Any) -> Any:
    inner = get_args(annotation)[0] if get_origin(annotation) is list else None
    if not (isinstance(inner, type) and issubclass(inner, msgspec.Struct)):
        return _decoder(annotation).decode(raw)
    items = [_item(text, inner) for text in _list.decode(raw)]
    return [item for item in items if item is not None]


def _item(raw: msgspec.Raw, kind: type[msgspec.Struct]) -> msgspec.Struct | None:
    """One item of a list; what does not fit of it has its default. None: it does not say what it is about."""
    try:
        item: msgspec.Struct = _decoder(kind).decode(raw)
    except msgspec.ValidationError:
        return _result(raw) if kind is protocol.TaskResult else _fitting(raw, kind)
    return item


def _fitting(raw: msgspec.Raw, kind: type[msgspec.Struct]) -> msgspec.Struct | None:
    members = _members_of(raw)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = _fit(members, field)
        if value is not msgspec.UNSET:
            values[field.name] = value
        elif field.required:
            return None
        elif protocol.TaskResult in get_args(field.type) and field.encode_name in members:
            values[field.name] = _result(members[field.encode_name])
    return kind(**values)


def _result(raw: msgspec.Raw) -> protocol.TaskResult:
    """A result that breaks the contract, as far as it can be understood: as a failure, unless it says how it ended."""
    members = _members_of(raw)
    values: dict[str, Any] = {"task_id": "", "attempt": 0, "outcome": "failed"}
    for field in msgspec.structs.fields(protocol.TaskResult):
        value = _fit(members, field)
        if value is not msgspec.UNSET:
            values[field.name] = value
        elif field.name == "task_id" and "task_id" in members:
            # A number, as sloppy encoders make of it.
            values["task_id"] = _text(members["task_id"], 40)
        elif field.name == "outcome":
            values["error"] = _puzzle("UnknownOutcome", "The node reported an outcome that is not known", raw)
        elif field.name == "error" and "error" in members and "error" not in values:
            values["error"] = _puzzle("Error", "The node reported", members["error"])
    return protocol.TaskResult(**values | {"sanitized": True})


def _fit(members: dict[str, msgspec.Raw], field: msgspec.structs.FieldInfo) -> Any:
    """The field's value if it came and fits, else ``UNSET``."""
    if field.encode_name not in members:
        return msgspec.UNSET
    try:
        return _decoder(field.type).decode(members[field.encode_name])
    except msgspec.ValidationError:
        return msgspec.UNSET


def _puzzle(kind: str, text: str, raw: msgspec.Raw) -> protocol.TaskError:
    return protocol.TaskError(type=kind, message=f"{text}: {_text(raw, _QUOTED_CHARS)}")


def _text(raw: msgspec.Raw, most: int) -> str:
    return bytes(raw).decode(errors="replace")[:most]


def _members_of(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _members.decode(raw)
    except msgspec.ValidationError:
        return {}


@lru_cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _results_in(message: msgspec.Struct) -> list[protocol.TaskResult]:
    if isinstance(message, protocol.Report):
        return message.results
    if isinstance(message, protocol.NodeStatus):
        return message.finished
    if isinstance(message, protocol.PushReply):
        return [item.result for item in message.items if item.result is not None]
    if isinstance(message, protocol.ControlReply):
        return [item.result for item in message.resolved if item.result is not None]
    return []

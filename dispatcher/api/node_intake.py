"""What nodes send, held to what the tables can hold, so that a faulty node hurts nobody but itself.

Requests that make no sense as a whole are refused; single items of a report are dropped, cut or answered ``unknown``,
because everything else in the report is still worth having.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from django.db import transaction
from django.http import HttpRequest

from dispatcher import addresses, lifecycle, node_output, node_registry
from dispatcher.api import json_guard
from dispatcher.api.problems import FieldError, Problem, invalid
from dispatcher.api.validation import explain, name_error, text_error, type_name_error
from dispatcher.models import Credential, Node
from dispatcher.models.task import parse_task_id
from workers import protocol

Message = TypeVar("Message", bound=msgspec.Struct)

_INT32_MAX: Final = 2**31 - 1
MAX_SLOTS: Final = 10_000
_MAX_LABELS: Final = 64
MAX_PROTOCOL: Final = 1000
_MAX_NAMES: Final = 2_000
_MAX_TYPES_BYTES: Final = 1024 * 1024
_MAX_ITEMS: Final = 20_000
#: About thirty years: durations beyond it are nonsense, and overflow.
_MAX_MS: Final = 1e12

_report = msgspec.json.Decoder(protocol.Report)


def receive(request: HttpRequest, decoder: msgspec.json.Decoder[Message]) -> Message:
    """The body as a message of the wire contract; unknown fields are ignored. Raises ``Problem`` (400)."""
    return receive_noting(request, decoder)[0]


def receive_noting(request: HttpRequest, decoder: msgspec.json.Decoder[Message]) -> tuple[Message, bool]:
    """The same, and whether something in it had to be replaced to be stored."""
    with _as_problems():
        return node_output.read(json_guard.read_raw(request), decoder)


def receive_report(request: HttpRequest) -> protocol.Report:
    """The body as a report, item by item. Raises ``Problem`` (400) for what is none."""
    with _as_problems():
        return node_output.read_items(json_guard.read_raw(request), _report)


@contextmanager
def _as_problems() -> Iterator[None]:
    try:
        yield
    except msgspec.ValidationError as error:
        field, message = explain(error)
        raise invalid([FieldError(message, field)]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not valid JSON: {error}.") from None


def check_registration(message: protocol.Register) -> None:
    """Raise ``Problem`` (400) unless the registration makes sense and its address is one that may be pushed to."""
    found = [
        ("name", name_error(message.name) or _length_error(message.name, 100)),
        ("url", _address_error(message.url)),
        ("boot_id", text_error(message.boot_id) or _length_error(message.boot_id, 64, least=1)),
        ("slots", "" if 1 <= message.slots <= MAX_SLOTS else f"must be from 1 to {MAX_SLOTS}"),
        ("version", text_error(message.version) or _length_error(message.version, 50)),
        ("protocol", _protocol_error(message.protocol)),
        ("newest_protocol", "" if 1 <= message.newest_protocol <= MAX_PROTOCOL else f"must be 1 to {MAX_PROTOCOL}"),
        ("labels", "" if len(message.labels) <= _MAX_LABELS else f"must be at most {_MAX_LABELS}"),
        ("queues", "" if len(message.queues) <= _MAX_NAMES else f"must be at most {_MAX_NAMES}"),
    ]
    for name, value in message.labels.items():
        error = name_error(name) or _length_error(name, 63) or text_error(value) or _length_error(value, 100)
        found.append((f"labels.{name[:63]}", error))
    found += [(f"queues[{i}]", name_error(n) or _length_error(n, 100)) for i, n in enumerate(message.queues)]
    found += _type_errors(message)
    if errors := [FieldError(text, field) for field, text in found if text]:
        raise invalid(errors)


def admit(
    message: protocol.Register, credential: Credential, *, now: datetime, is_tutorial: bool = False
) -> tuple[Node, str | None]:
    """Register the node that the credential belongs to, or let a new one in; its new credential in that case.

    The name in the message has to be the credential's own: it decides nothing.
    """
    node = credential.node
    if node is not None and node.name != message.name:
        raise Problem(403, f"This token belongs to the node {node.name!r}, not to {message.name!r}.")
    if credential.kind == Credential.Kind.NODE and node is not None:
        version = credential.push_key_version
        return node_registry.register(message, node=node, now=now, is_tutorial=is_tutorial, key_version=version), None
    with transaction.atomic():
        node, token = node_registry.enrol(message, credential=credential, now=now)
        if is_tutorial:
            node = node_registry.register(message, node=node, now=now, is_tutorial=True)
    return node, token


def tidy_heartbeat(message: protocol.Heartbeat) -> protocol.Heartbeat:
    """The heartbeat without what cannot be an attempt."""
    _check_count(message.held, "held")
    _check_count(message.resolved, "resolved")
    message.held = [item for item in message.held if _is_attempt(item.task_id, item.attempt)]
    message.resolved = [item for item in message.resolved if _is_attempt(item.task_id, item.attempt)]
    return message


def record(report: protocol.Report, *, node: Node, now: datetime) -> protocol.ReportReply:
    """Take in a report; a verdict for every result, in order."""
    if len(report.results) > protocol.MAX_REPORT_RESULTS:
        raise Problem(413, f"{len(report.results)} results in one report; the most is {protocol.MAX_REPORT_RESULTS}.")
    for name in ("started", "progress", "logs"):
        _check_count(getattr(report, name), name)
    sent = report.results
    report.results = [item for item in sent if _is_attempt(item.task_id, item.attempt)]
    for item in report.results:
        item.run_ms = _clamped(item.run_ms)
    report.started = [item for item in report.started if _is_attempt(item.task_id, item.attempt)]
    reply = lifecycle.record_report(report, node_id=node.pk, now=now)
    if len(report.results) < len(sent):
        judged = iter(reply.verdicts)
        reply.verdicts = [
            next(judged)
            if _is_attempt(item.task_id, item.attempt)
            else protocol.Verdict(task_id=item.task_id, attempt=item.attempt, verdict="unknown")
            for item in sent
        ]
    return reply


def _is_attempt(task_id: str, attempt: int) -> bool:
    """Whether this can name an attempt at all."""
    return parse_task_id(task_id) is not None and 1 <= attempt <= _INT32_MAX


def _clamped(milliseconds: float) -> float:
    return min(max(milliseconds, 0.0), _MAX_MS)


def _check_count(items: list[Any], name: str) -> None:
    if len(items) > _MAX_ITEMS:
        raise Problem(413, f"{len(items)} items in {name}; the most is {_MAX_ITEMS}.")


def _length_error(text: str, most: int, *, least: int = 0) -> str:
    return "" if least <= len(text) <= most else f"must be {least} to {most} characters long"


def _protocol_error(version: int) -> str:
    newest = protocol.PROTOCOL_VERSION
    return "" if 1 <= version <= newest else f"is not spoken here: the newest is {newest}; update the dispatcher first"


def _address_error(url: str) -> str:
    try:
        addresses.resolve(addresses.parse(url))
    except addresses.AddressRefused as error:
        return str(error)
    return ""


def _type_errors(message: protocol.Register) -> list[tuple[str, str]]:
    types = message.types
    if types is None:
        return []
    if len(types) > _MAX_NAMES or len(msgspec.json.encode(types)) > _MAX_TYPES_BYTES:
        return [("types", f"must be at most {_MAX_NAMES} types and {_MAX_TYPES_BYTES} bytes of JSON")]
    return [(f"types.{name[:200]}", type_name_error(name) or _length_error(name, 200)) for name in types]

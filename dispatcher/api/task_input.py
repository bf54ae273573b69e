"""What a submitter may say of a task, and how many of them become what the lifecycle takes.

The good case is one pass of msgspec over the body and one short loop. Only a body in which something is wrong is read a
second time, slowly, to name every bad item by its index and field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, get_type_hints

import msgspec
from msgspec import Meta

from dispatcher import task_types
from dispatcher.api.problems import FieldError, Problem, invalid, unfit
from dispatcher.api.validation import (
    LINE,
    MAX_AHEAD_SECONDS,
    NAME,
    TASK_ID,
    TYPE_NAME,
    explain,
    name_error,
    text_error,
    time_error,
    type_name_error,
    unknown_field,
)
from dispatcher.conf import MAX_ATTEMPTS, conf
from dispatcher.lifecycle import TaskSpec
from dispatcher.models.queue import DEFAULT_QUEUE
from dispatcher.models.task import parse_task_id
from dispatcher.models.task_rules import HIGHEST_PRIORITY, LOWEST_PRIORITY
from dispatcher.payload_schemas import Effort

MAX_BACKOFF_SECONDS: Final = 7 * 86400.0
MAX_KEY_CHARS: Final = 128

_NULL: Final = msgspec.Raw(b"null")
#: Stands in for a type that is missing or wrong while the rest of the item is looked at.
_SOME_TYPE: Final = msgspec.Raw(b'"t"')

TypeName = Annotated[str, Meta(min_length=1, max_length=200), TYPE_NAME]
_Time = Annotated[datetime, Meta(tz=True)]
_Backoff = Annotated[float, Meta(ge=0, le=MAX_BACKOFF_SECONDS)]
_LabelName = Annotated[str, Meta(min_length=1, max_length=63), NAME]
_LabelValue = Annotated[str, Meta(max_length=100), LINE]
_Tag = Annotated[str, Meta(min_length=1, max_length=100), LINE]


class TaskInput(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One task as it is submitted. Fields that are left out get the configured defaults."""

    type: TypeName
    payload: msgspec.Raw = _NULL
    queue: Annotated[str, Meta(min_length=1, max_length=100), NAME] = DEFAULT_QUEUE
    priority: Annotated[int, Meta(ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)] = 0
    #: Not before then; or ``delay_seconds`` from now.
    run_at: _Time | None = None
    delay_seconds: Annotated[float, Meta(ge=0, le=MAX_AHEAD_SECONDS)] | None = None
    timeout_seconds: Annotated[float, Meta(gt=0)] | None = None
    #: Not started by then: expired.
    deadline: _Time | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)] | None = None
    backoff_seconds: _Backoff | None = None
    backoff_cap_seconds: _Backoff | None = None
    labels: Annotated[dict[_LabelName, _LabelValue], Meta(max_length=32)] = {}
    affinity_key: Annotated[str, Meta(max_length=200), LINE] = ""
    tags: Annotated[list[_Tag], Meta(max_length=32)] = []
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=MAX_KEY_CHARS), LINE] | None = None
    #: The task that this one is a changed copy of; it need not be there any more.
    clone_of: Annotated[str, TASK_ID] | None = None


class Batch(msgspec.Struct, frozen=True):
    """Tasks ready for the lifecycle. ``is_single``: the body was one task and no list."""

    specs: list[TaskSpec]
    is_single: bool


_encode = msgspec.json.Encoder().encode
_one = msgspec.json.Decoder(TaskInput)
_many = msgspec.json.Decoder(list[TaskInput])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_field_decoders: Final = {
    name: msgspec.json.Decoder(hint) for name, hint in get_type_hints(TaskInput, include_extras=True).items()
}


def parse(body: bytes, *, key: str | None, now: datetime) -> Batch:
    """The tasks in a guarded body: one object, ``{"tasks": […]}`` or a bare array. ``key``: header Idempotency-Key.

    Raises ``Problem``: 400 naming each bad item by index and field, 413 for too many.
    """
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
        raise invalid([FieldError(f"must be 1 to {MAX_KEY_CHARS} printable characters", "Idempotency-Key")])
    if not body:
        raise Problem(400, "The body is empty.")
    items = _list_in(body)
    if items is None:
        return Batch(_checked([_decode_one(body, now)], key, now, is_single=True), is_single=True)
    return Batch(_checked(_decode_many(items, now), key, now, is_single=False), is_single=False)


def specs_of(items: Sequence[TaskInput], now: datetime) -> list[TaskSpec]:
    """What the lifecycle takes. Call only for items without ``errors_of``."""
    return [
        TaskSpec(
            type=item.type,
            payload=bytes(item.payload).decode(),
            queue=item.queue,
            priority=item.priority,
            run_at=item.run_at if item.delay_seconds is None else now + timedelta(seconds=item.delay_seconds),
            timeout_seconds=item.timeout_seconds,
            expires_at=item.deadline,
            max_attempts=item.max_attempts,
            backoff_seconds=item.backoff_seconds,
            backoff_cap_seconds=item.backoff_cap_seconds,
            labels=item.labels,
            affinity_key=item.affinity_key,
            tags=item.tags,
            idempotency_key=item.idempotency_key,
            clone_of=None if item.clone_of is None else parse_task_id(item.clone_of),
        )
        for item in items
    ]


def errors_of(item: TaskInput, now: datetime) -> list[tuple[str, str]]:
    """(field, message) for what the types cannot say: names, sizes, times."""
    found = [
        ("type", type_name_error(item.type)),
        ("queue", name_error(item.queue)),
        ("payload", _size_error(item.payload)),
        ("affinity_key", text_error(item.affinity_key)),
        ("idempotency_key", text_error(item.idempotency_key or "")),
        ("clone_of", "is no task id" if item.clone_of is not None and parse_task_id(item.clone_of) is None else ""),
    ]
    found += _time_errors(item, now)
    for name, value in item.labels.items():
        found.append((f"labels.{name}", name_error(name) or text_error(value)))
    found += [(f"tags[{place}]", text_error(tag)) for place, tag in enumerate(item.tags)]
    return [(field, message) for field, message in found if message]


def _is_plain(item: TaskInput, max_payload_bytes: int) -> bool:
    """Whether an item is right and uses only what is quick to check. Most are and do; the others get ``errors_of``."""
    return not (
        type_name_error(item.type)
        or name_error(item.queue)
        or len(item.payload) > max_payload_bytes
        or item.run_at
        or item.deadline
        or item.timeout_seconds
        or item.labels
        or item.affinity_key
        or item.clone_of is not None
        or (item.tags and not "".join(item.tags).isprintable())
        or (item.idempotency_key and not item.idempotency_key.isprintable())
    )


def _time_errors(item: TaskInput, now: datetime) -> list[tuple[str, str]]:
    found = []
    if item.timeout_seconds is not None and item.timeout_seconds > conf().max_timeout_seconds:
        found.append(("timeout_seconds", f"must be at most {conf().max_timeout_seconds:g}"))
    if item.run_at is not None:
        found.append(("run_at", time_error(item.run_at, now)))
        if item.delay_seconds is not None:
            found.append(("delay_seconds", "give either run_at or delay_seconds"))
    if item.deadline is not None:
        found.append(("deadline", time_error(item.deadline, now)))
        if item.run_at is not None and item.deadline <= item.run_at:
            found.append(("deadline", "must be later than run_at"))
    return found


def _list_in(body: bytes) -> msgspec.Raw | bytes | None:
    """The JSON of the array of tasks; None if the body is one task."""
    start = body[:64].lstrip()[:1]
    if start == b"[":
        return body
    if b'"tasks"' not in body:
        return None
    try:
        members = _members.decode(body)
    except msgspec.ValidationError as error:
        raise invalid([FieldError(explain(error)[1])]) from None
    if "tasks" not in members:
        return None
    if extra := [name for name in members if name != "tasks"]:
        raise invalid([FieldError("unknown field beside tasks", name[:200]) for name in extra])
    return members["tasks"]


def _decode_one(body: bytes, now: datetime) -> TaskInput:
    try:
        return _one.decode(body)
    except msgspec.ValidationError as error:
        raise invalid([FieldError(message, field) for field, message in _complaints(body, error, now)]) from None


def _decode_many(items: msgspec.Raw | bytes, now: datetime) -> list[TaskInput]:
    try:
        tasks = _many.decode(items)
    except msgspec.ValidationError as error:
        raise _problem_of(items, error, now) from None
    _check_number(len(tasks))
    return tasks


def _check_number(number: int) -> None:
    if number == 0:
        raise invalid([FieldError("must hold at least one task", "tasks")])
    if number > conf().max_submit_tasks:
        raise Problem(413, f"{number} tasks in one request; the most is {conf().max_submit_tasks}.")


def _problem_of(items: msgspec.Raw | bytes, error: msgspec.ValidationError, now: datetime) -> Problem:
    """Every bad item of a list that did not decode, for whatever reason it is bad."""
    try:
        raws = _raw_items.decode(items)
    except msgspec.ValidationError:
        return invalid([FieldError(explain(error)[1], "tasks")])
    _check_number(len(raws))
    errors = []
    for index, raw in enumerate(raws):
        try:
            found = errors_of(_one.decode(raw), now)
        except msgspec.ValidationError as complaint:
            found = _complaints(raw, complaint, now)
        errors += [FieldError(message, field, index) for field, message in found]
    return invalid(errors)


def _complaints(raw: msgspec.Raw | bytes, error: msgspec.ValidationError, now: datetime) -> list[tuple[str, str]]:
    """Everything that is wrong with one item that did not decode: msgspec itself stops at the first."""
    try:
        members = _raw_object.decode(raw)
    except msgspec.ValidationError:
        return [explain(error)]
    found = [] if "type" in members else [("type", "is required")]
    right = {"type": _SOME_TYPE}
    for name, value in members.items():
        decoder = _field_decoders.get(name)
        if decoder is None:
            found.append((name[:200], unknown_field(name, _field_decoders)))
            continue
        try:
            decoder.decode(value)
        except msgspec.ValidationError as complaint:
            path, message = explain(complaint)
            found.append((f"{name}{path if path.startswith('[') else path and '.' + path}", message))
        else:
            right[name] = value
    found += errors_of(_one.decode(_encode(right)), now)
    return found or [explain(error)]


def _checked(items: list[TaskInput], key: str | None, now: datetime, *, is_single: bool) -> list[TaskSpec]:
    max_payload_bytes = conf().max_payload_bytes
    errors = [
        FieldError(message, field, None if is_single else index)
        for index, item in enumerate(items)
        if not _is_plain(item, max_payload_bytes)
        for field, message in errors_of(item, now)
    ]
    if errors:
        raise invalid(errors)
    if key is not None:
        _give_keys(items, key, is_single=is_single)
    check_payloads(items, is_single=is_single)
    return specs_of(items, now)


def check_payloads(items: Sequence[TaskInput], *, is_single: bool) -> None:
    """Raise ``Problem`` (422) unless every payload fits the schema of its type, where the nodes gave one."""
    types = task_types.with_schema()
    if not types:
        return
    effort = Effort()
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        known = types.get(item.type)
        if known is not None and known.compiled is not None:
            found = known.compiled.errors(item.payload, effort)
            errors += [FieldError(message, field, None if is_single else index) for field, message in found]
    if errors:
        raise unfit(errors)


def _give_keys(items: list[TaskInput], key: str, *, is_single: bool) -> None:
    """The header's key is the single task's, or with its place in the list that of each task without one of its own."""
    if not is_single:
        for index, item in enumerate(items):
            if item.idempotency_key is None:
                item.idempotency_key = f"{key}#{index}"
        return
    if items[0].idempotency_key not in (None, key):
        raise invalid([FieldError("differs from the header Idempotency-Key", "idempotency_key")])
    items[0].idempotency_key = key


def _size_error(payload: msgspec.Raw) -> str:
    limit = conf().max_payload_bytes
    return f"is {len(payload)} bytes of JSON; the most is {limit}" if len(payload) > limit else ""

"""What the form for new tasks is filled with."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.utils import timezone

from dispatcher import lifecycle
from dispatcher.api import json_guard, task_input
from dispatcher.api.problems import FieldError, Problem
from dispatcher.conf import conf
from dispatcher.queries.shapes import TaskDetail

_TEXTS = ("type", "queue", "affinity_key", "clone_of")
_NUMBERS = ("priority", "delay_seconds", "max_attempts", "backoff_seconds", "backoff_cap_seconds", "timeout_seconds")


def defaults() -> dict[str, Any]:
    """What a task gets for fields that are left empty, for their placeholders."""
    behaviour = conf()
    return {
        "max_attempts": behaviour.default_max_attempts,
        "backoff_seconds": f"{behaviour.default_backoff_seconds:g}",
        "backoff_cap_seconds": f"{behaviour.default_backoff_cap_seconds:g}",
        "timeout_seconds": f"{behaviour.default_timeout_seconds:g}",
    }


def initial_of(source: TaskDetail | None, *, type_name: str = "") -> dict[str, Any]:
    """The fields' texts: those of ``source``, or nothing but the type. Times are not taken over: they have passed."""
    if source is None:
        return {"type": type_name, "payload": "", "labels": "", "tags": "", "affinity_key": "", "has_more": False}
    return {
        "type": source["type"],
        "queue": source["queue"],
        "payload": source["payload"],
        "priority": source["priority"],
        "max_attempts": source["max_attempts"],
        "backoff_seconds": f"{source['backoff_seconds']:g}",
        "backoff_cap_seconds": f"{source['backoff_cap_seconds']:g}",
        "timeout_seconds": None if source["timeout_seconds"] is None else f"{source['timeout_seconds']:g}",
        "affinity_key": source["affinity_key"],
        "labels": ", ".join(f"{name}={value}" for name, value in source["labels"].items()),
        "tags": ", ".join(source["tags"]),
        "has_more": True,
    }


def new_key() -> str:
    """One form, one task: however often a browser without scripts sends it."""
    return secrets.token_hex(16)


def submit_fields(fields: Mapping[str, str], *, actor: str, now: datetime) -> int:
    """Submit what a browser without scripts has sent; the id of the task. Raises ``Problem``, as the API does."""
    body = _json(fields).encode()
    json_guard.check(body)
    batch = task_input.parse(body, key=fields.get("key") or None, now=now)
    try:
        return lifecycle.submit(batch.specs, submitted_by=actor, now=now)[0].task_id
    except lifecycle.IdempotencyConflict:
        raise Problem(409, "This form was sent before with other values: open it anew.") from None


def _zoned(text: str) -> str:
    """The time that a clock of the reader's zone shows as ``text``: the first of two; one that is jumped over counts as
    if it had not been. What is no time is left to be refused.
    """
    with contextlib.suppress(ValueError):
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=timezone.get_current_timezone())).isoformat()
    return text


def _json(fields: Mapping[str, str]) -> str:
    """The task as JSON. Numbers and the payload stay the text that was typed, for the API's own reading."""
    parts = {name: msgspec.json.encode(fields[name]).decode() for name in _TEXTS if fields.get(name)}
    parts |= {name: fields[name].strip() for name in _NUMBERS if fields.get(name, "").strip()}
    parts["payload"] = fields.get("payload", "").strip() or "null"
    if tags := [word.strip() for word in fields.get("tags", "").split(",") if word.strip()]:
        parts["tags"] = msgspec.json.encode(tags).decode()
    if pairs := [word.partition("=") for word in fields.get("labels", "").split(",") if word.strip()]:
        parts["labels"] = msgspec.json.encode({name.strip(): value.strip() for name, _, value in pairs}).decode()
    for name, text in parts.items():
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Problem(400, "", errors=[FieldError(f"is not JSON: {error}", name)]) from None
    for name in ("run_at", "deadline"):
        if fields.get(name):
            parts[name] = msgspec.json.encode(_zoned(fields[name])).decode()
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

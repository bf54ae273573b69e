"""What the form for new tasks is filled with."""

from __future__ import annotations

from typing import Any

from dispatcher.conf import conf
from dispatcher.queries.shapes import TaskDetail


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

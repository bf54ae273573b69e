"""Parameters in addresses, queries and headers."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from dispatcher.api.openapi.schemas import schema_of
from dispatcher.api.task_input import MAX_KEY_CHARS
from dispatcher.api.validation import NAME, TASK_ID
from dispatcher.api.views import DEFAULT_LIMIT, MAX_LIMIT
from dispatcher.queries.ranges import DEFAULT, RANGES
from dispatcher.queries.task_events import MAX_EVENTS
from dispatcher.queries.task_look import SORTS
from dispatcher.search import MAX_CHARS
from dispatcher.states import TaskState

Parameter = dict[str, Any]

_TASK_ID: Final = schema_of(Annotated[str, TASK_ID])
_NAME: Final = schema_of(Annotated[str, msgspec.Meta(max_length=100), NAME])
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "maxLength": 200}
_MOST: Final = 50


def query(name: str, description: str, schema: dict[str, Any]) -> Parameter:
    """A parameter of a query, which may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def in_path(name: str) -> Parameter:
    """A part of an address: ``task_id``, ``job_id``, or the name of a node or a queue."""
    return {"name": name, "in": "path", "required": True, "schema": _TASK_ID if name.endswith("_id") else _NAME}


def _several(name: str, description: str, items: dict[str, Any]) -> Parameter:
    description += ", several by repeating the parameter or with commas"
    return query(name, description, {"type": "array", "items": items, "maxItems": _MOST})


LIMIT: Final = query(
    "limit", "rows in the page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
)

_WISH: Final = {"type": "string", "enum": ["true", "false"], "default": "false"}

_CURSOR: Final = "^[1-9][0-9]{0,17}([.][1-9][0-9]{0,17})?$"

TASK_FILTERS: Final = (
    query("q", "what to search for, in the search language", {"type": "string", "maxLength": MAX_CHARS}),
    query("wider", "look through five times as many tasks where no index leads to those that match", _WISH),
    _several("state", "in one of these states", {"type": "string", "enum": [state.word for state in TaskState]}),
    _several("queue", "in one of these queues", _TEXT),
    _several("type", "of one of these types", _TEXT),
    query("node", "whose current or last attempt is on this node", _TEXT),
    query("tag", "with this tag", _TEXT),
    query("created_after", "submitted after this time, between the years 1970 and 2200", _TIME),
    query("created_before", "submitted before this time, likewise", _TIME),
    query("retry_of", "made by a retry of this task", _TASK_ID),
    query("sort", "in this order; without it the newest first", {"type": "string", "enum": ["", *SORTS]}),
    query("after", "`next` of the page before", {"type": "string", "pattern": _CURSOR}),
    LIMIT,
)

BULK_PAGE: Final = (query("after", "`next` of the page before", _TASK_ID), LIMIT)

_INT32: Final = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0}

UNMASKED: Final = query("unmasked", "show secrets; takes an operator, and is put on record", _WISH)

LOG_LINES: Final = (
    query("attempt", "of this attempt; 0: of the newest that has any", _INT32),
    query("after", "with numbers above this one", _INT32),
    LIMIT,
    UNMASKED,
)

EVENTS: Final = (
    query("before", "`before` of the page after", {"type": "string", "pattern": "^[0-9]{17}-[0-9]{10}-[0-9]{2}$"}),
    query(
        "limit",
        "events in the page",
        {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": MAX_EVENTS},
    ),
)

CHANGES: Final = (
    query(
        "after",
        "`next` of the page before",
        {"type": "string", "pattern": "^[0-9]{1,18}$", "default": "0"},
    ),
    LIMIT,
    query("audited", "only what someone did", _WISH),
)

SERIES: Final = (
    query("range", "the last so long", {"type": "string", "enum": [*RANGES], "default": DEFAULT}),
    query("from", "in place of `range`: where it begins, between the years 1971 and 2199", _TIME),
    query("to", "where it ends; without it, and at most: now", _TIME),
    query("queue", "only of this queue", _TEXT),
    query("type", "only of this type; not together with `queue`", _TEXT),
    query("node", "attempts that ended on this node, of the last hours; not together with the others", _TEXT),
)

IDEMPOTENCY_KEY: Final[Parameter] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body makes nothing a second time.",
    "schema": {"type": "string", "pattern": f"^[!-~]{{1,{MAX_KEY_CHARS}}}$"},
}

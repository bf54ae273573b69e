"""Which tasks someone wants to see: one object for API, pages and live topics, with one strict parser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from django.utils.dateparse import parse_datetime

from dispatcher.models.task import parse_task_id
from dispatcher.states import TaskState

NAMES = ("state", "queue", "type", "node", "tag", "created_after", "created_before", "retry_of")
#: Of these several may be given, repeated or separated by commas.
_PLURAL = frozenset({"state", "queue", "type"})
_MAX_VALUES = 50
_MAX_CHARS = 200
_FIRST_YEAR, _LAST_YEAR = 1970, 2200


class FilterError(ValueError):
    """A parameter that cannot be understood. ``name`` is the parameter's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilters:
    """Conditions that all have to hold; empty ones do not count. Values within one condition are alternatives."""

    states: frozenset[TaskState] = frozenset()
    queues: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    #: Name of the node of the current or last attempt.
    node: str = ""
    tag: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    retry_of: int | None = None

    @classmethod
    def parse(cls, params: Mapping[str, Any], *, ignore: Iterable[str] = ()) -> TaskFilters:
        """Read query parameters: a ``QueryDict`` or a mapping of names to strings (or lists of strings).

        Names in ``ignore`` are for the caller. Raises ``FilterError`` for an unknown name and for a value that makes
        no sense. Empty values mean no filter, as an empty field of a form does.
        """
        ignored = tuple(ignore)
        given: dict[str, list[str]] = {}
        for name in params:
            if name in ignored:
                continue
            if name not in NAMES:
                close = get_close_matches(name, NAMES, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join((*NAMES, *ignored))}"
                raise FilterError(name, f"unknown parameter; {hint}")
            given[name] = _values(name, params)
        return cls(
            states=frozenset(_state(word) for word in given.get("state", [])),
            queues=frozenset(given.get("queue", [])),
            types=frozenset(given.get("type", [])),
            node=_single("node", given),
            tag=_single("tag", given),
            created_after=_time("created_after", given),
            created_before=_time("created_before", given),
            retry_of=_task_id("retry_of", given),
        )

    @property
    def is_by_lane(self) -> bool:
        """Whether the kept counters, which know lanes and states only, can count what matches."""
        return not (self.node or self.tag or self.created_after or self.created_before or self.retry_of is not None)

    def params(self) -> dict[str, str]:
        """The query parameters that mean this, in one canonical form: for links, and as a key."""
        found = {
            "state": ",".join(state.word for state in sorted(self.states)),
            "queue": ",".join(sorted(self.queues)),
            "type": ",".join(sorted(self.types)),
            "node": self.node,
            "tag": self.tag,
            "created_after": self.created_after.isoformat() if self.created_after else "",
            "created_before": self.created_before.isoformat() if self.created_before else "",
            "retry_of": "" if self.retry_of is None else str(self.retry_of),
        }
        return {name: value for name, value in found.items() if value}


def _values(name: str, params: Mapping[str, Any]) -> list[str]:
    getlist = getattr(params, "getlist", None)
    raw = getlist(name) if getlist is not None else params[name]
    texts = [raw] if isinstance(raw, str) else raw
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise FilterError(name, "must be text")
    if name in _PLURAL:
        texts = [part.strip() for text in texts for part in text.split(",")]
    found = [text for text in texts if text]
    if len(found) > (_MAX_VALUES if name in _PLURAL else 1):
        raise FilterError(name, f"at most {_MAX_VALUES} values" if name in _PLURAL else "may be given only once")
    for text in found:
        if len(text) > _MAX_CHARS or "\x00" in text or not _is_encodable(text):
            raise FilterError(name, "is too long" if len(text) > _MAX_CHARS else "holds characters that no name has")
    return found


def _is_encodable(text: str) -> bool:
    """False for lone surrogates, which no database takes."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _single(name: str, given: Mapping[str, list[str]]) -> str:
    values = given.get(name)
    return values[0] if values else ""


def _state(word: str) -> TaskState:
    try:
        return TaskState.from_word(word)
    except ValueError as error:
        raise FilterError("state", str(error)) from None


def _time(name: str, given: Mapping[str, list[str]]) -> datetime | None:
    text = _single(name, given)
    if not text:
        return None
    try:
        # In a query string an unquoted "+" of the zone arrives as a space.
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise FilterError(name, "must be a time with a zone, such as 2026-11-23T16:57:11Z")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        # Arithmetic at the ends of the calendar overflows, and databases disagree about them.
        raise FilterError(name, f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment


def _task_id(name: str, given: Mapping[str, list[str]]) -> int | None:
    text = _single(name, given)
    if not text:
        return None
    number = parse_task_id(text)
    if number is None:
        raise FilterError(name, "must be a task id")
    return number

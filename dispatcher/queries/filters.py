"""Which tasks someone wants to see: one object for API, pages, live topics and the command line, with one parser.

The language is that of ``dispatcher.search``. The parameters that are older than it say the same in another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from django.utils.dateparse import parse_datetime

from dispatcher.models.task import parse_task_id
from dispatcher.redaction import redactor
from dispatcher.search import Moment, Query, SearchError, Term, parse, time_of
from dispatcher.search.errors import gettext_noop
from dispatcher.search.keys import ARGS
from dispatcher.search.values import canonical_time
from dispatcher.states import TaskState

NAMES = ("q", "state", "queue", "type", "node", "tag", "created_after", "created_before", "retry_of")
#: Of these several may be given, repeated or separated by commas.
_PLURAL = frozenset({"state", "queue", "type"})
_MAX_VALUES = 50
_MAX_CHARS = 200
_MAX_QUERY_CHARS = 2000
_FIRST_YEAR, _LAST_YEAR = 1970, 2200


class FilterError(ValueError):
    """A parameter that cannot be understood. ``name`` is the parameter's; ``search`` says where in a query."""

    def __init__(self, name: str, message: str, search: SearchError | None = None) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.search = search


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
    #: All other conditions.
    more: tuple[Term, ...] = ()

    @classmethod
    def of_text(cls, text: str) -> TaskFilters:
        """The filters that a query in the search language means. Raises ``SearchError``."""
        query = parse(text)
        for term in query.terms:
            _refuse_masked(term, text)
        return cls.of_query(query)

    @classmethod
    def of_query(cls, query: Query) -> TaskFilters:
        """The filters that a query means. What has a member here of its own goes there, the rest into ``more``."""
        found = cls()
        for term in query.terms:
            found = found.narrowed(term)
        return found

    def narrowed(self, term: Term) -> TaskFilters:
        """These, and the term as well."""
        values, is_plain = term.values, not term.negated and not term.operator
        if is_plain and term.key == "state" and not self.states:
            return replace(self, states=frozenset(TaskState.from_word(word) for word in values))
        if is_plain and term.key == "queue" and not self.queues:
            return replace(self, queues=frozenset(values))
        if is_plain and term.key == "type" and not self.types:
            return replace(self, types=frozenset(values))
        if is_plain and len(values) == 1:
            if term.key == "node" and not self.node:
                return replace(self, node=values[0])
            if term.key == "tag" and not self.tag:
                return replace(self, tag=values[0])
            if term.key == "retry_of" and self.retry_of is None:
                return replace(self, retry_of=int(values[0]))
        moment = time_of(values[0]) if term.key == "created" and not term.negated else None
        if isinstance(moment, Moment) and term.operator == ">=" and not self.created_after:
            return replace(self, created_after=moment.start)
        if isinstance(moment, Moment) and term.operator == "<" and not self.created_before:
            return replace(self, created_before=moment.start)
        plain = replace(term, start=0, end=0)
        return self if plain in self.more else replace(self, more=(*self.more, plain))

    @property
    def query(self) -> Query:
        """The same in the search language."""
        found = [
            Term("state", tuple(state.word for state in sorted(self.states))),
            Term("queue", tuple(sorted(self.queues))),
            Term("type", tuple(sorted(self.types))),
            Term("node", (self.node,) if self.node else ()),
            Term("tag", (self.tag,) if self.tag else ()),
            Term("created", _written(self.created_after), ">="),
            Term("created", _written(self.created_before), "<"),
            Term("retry_of", () if self.retry_of is None else (str(self.retry_of),)),
        ]
        return Query((*(term for term in found if term.values), *self.more))

    @property
    def text(self) -> str:
        """The same in the search language, written in the one canonical way: for links, and as a key."""
        return str(self.query)

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
        named = cls(
            states=frozenset(_state(word) for word in given.get("state", [])),
            queues=frozenset(given.get("queue", [])),
            types=frozenset(given.get("type", [])),
            node=_single("node", given),
            tag=_single("tag", given),
            created_after=_time("created_after", given),
            created_before=_time("created_before", given),
            retry_of=_task_id("retry_of", given),
        )
        return _joined(_single("q", given), named)

    @property
    def is_by_lane(self) -> bool:
        """Whether the kept counters, which know lanes and states only, can count what matches."""
        is_narrow = self.node or self.tag or self.created_after or self.created_before or self.retry_of is not None
        return not is_narrow and all(is_of_lane(term) for term in self.more)

    @property
    def is_by_any_lane(self) -> bool:
        """Whether no condition is one on the lane."""
        return not (self.queues or self.types or any(is_of_lane(term) for term in self.more))

    def takes_lane(self, queue: str, task_type: str) -> bool:
        """Whether tasks of the queue and the type can match."""
        return (
            (not self.queues or queue in self.queues)
            and (not self.types or task_type in self.types)
            and all(_lane_meets(term, queue, task_type) for term in self.more if is_of_lane(term))
        )

    def params(self) -> dict[str, str]:
        """The query parameters that mean this, in one canonical form."""
        text = self.text
        return {"q": text} if text else {}


def is_of_lane(term: Term) -> bool:
    """Whether all tasks of a lane meet the term, or none."""
    return term.key in ("queue", "type") or (not term.key and not is_id_prefix(term))


def is_id_prefix(term: Term) -> bool:
    """Whether the term is a word to look for that can only be (the beginning of) an id."""
    return not term.key and term.values[0].isascii() and term.values[0].isdigit()


def _lane_meets(term: Term, queue: str, task_type: str) -> bool:
    if term.key:
        holds = (queue if term.key == "queue" else task_type) in term.values
    else:
        holds = term.values[0].casefold() in task_type.casefold()
    return holds is not term.negated


def _joined(text: str, named: TaskFilters) -> TaskFilters:
    """A query and the other parameters: both have to hold."""
    if not text:
        return named
    try:
        found = TaskFilters.of_text(text)
    except SearchError as error:
        raise FilterError("q", str(error), error) from None
    for term in named.query.terms:
        found = found.narrowed(term)
    return found


def _refuse_masked(term: Term, text: str) -> None:
    """What is masked wherever it is shown must not be found out by asking for it."""
    mask = redactor()
    if term.key == ARGS and any(mask.is_secret(name) for name in term.path):
        raise SearchError(
            gettext_noop("%(key)s is masked, and cannot be searched."),
            {"key": f"{ARGS}{'.'.join(term.path)}"},
            start=term.start,
            end=term.end,
            suggestion=(text[: term.start] + text[term.end :]).strip(),
        )


def _written(moment: datetime | None) -> tuple[str, ...]:
    if moment is None:
        return ()
    return (canonical_time(moment.isoformat()),)


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
        most = _MAX_QUERY_CHARS if name == "q" else _MAX_CHARS
        if len(text) > most or "\x00" in text or not _is_encodable(text):
            raise FilterError(name, "is too long" if len(text) > most else "holds characters that no name has")
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

"""What the terms of a query mean to the database: one condition per term.

What Django's lookups cannot say is SQL, for both databases side by side. Columns of the task row are named in full, so
that the conditions hold in any statement on tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db import connection
from django.db.models import BooleanField, Exists, F, OuterRef, Q
from django.db.models.expressions import RawSQL

from dispatcher.models import Node, Queue, TaskTag
from dispatcher.search import FLAGS, Age, Term, seconds_of, time_of
from dispatcher.search.keys import ARGS
from dispatcher.search.values import decimal_of
from dispatcher.states import ACTIVE, TaskState

#: A task that has been ready for so long, or is on a node beyond its deadline, is stuck.
STUCK_AFTER: Final = timedelta(minutes=10)
#: A longer payload is not looked into: a search reads thousands of them.
MAX_PAYLOAD_BYTES: Final = 16_384
#: Shorter numbers are ids as a whole, longer ones may be how an id begins.
_LEAST_PREFIX_DIGITS: Final = 4
_MAX_PLACE_DIGITS: Final = 9
_MAX_ID: Final = 2**63 - 1

_LOOKUPS: Final = {"": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}
_OPERATORS: Final = {">": ">", ">=": ">=", "<": "<", "<=": "<="}
_ENDED_RUNS: Final = (TaskState.SUCCEEDED, TaskState.FAILED)
#: The start time on the row is that of the current attempt: see ``task_rows``.
_STARTED: Final = Q(state__in=[TaskState.RUNNING, *_ENDED_RUNS]) | Q(state=TaskState.CANCELLED) & (
    Q(cancel_requested_at=None) | ~Q(cancel_requested_at=F("finished_at"))
)
_TASK: Final = '"dispatcher_task".'
_STARTED_SQL: Final = (
    f"({_TASK}state IN (3, 4, 5) OR {_TASK}state = 6 AND"
    f" ({_TASK}cancel_requested_at IS NULL OR {_TASK}cancel_requested_at <> {_TASK}finished_at))"
)


def condition(term: Term, now: datetime) -> Q:
    """The condition that a term is, unless it is one on lanes. Never unknown: a negated term matches all others."""
    holds = _MAKERS[term.key](term, now)
    return ~holds if term.negated else holds


def id_ranges(term: Term) -> list[tuple[int, int]]:
    """The ids that a number without a key stands for: itself, and what begins with it if it is long enough."""
    first = last = int(term.values[0])
    ranges = []
    while first <= _MAX_ID:
        ranges.append((first, min(last, _MAX_ID)))
        if len(term.values[0]) < _LEAST_PREFIX_DIGITS or not first:
            break
        first, last = first * 10, last * 10 + 9
    return ranges


def _words(term: Term, _now: datetime) -> Q:
    """Ids only: a word that can be part of a type's name is a condition on lanes."""
    return reduce(or_, (Q(id__range=bounds) for bounds in id_ranges(term)), Q(pk__in=[]))


def _state(term: Term, _now: datetime) -> Q:
    return Q(state__in=[TaskState.from_word(word) for word in term.values])


def _node(term: Term, _now: datetime) -> Q:
    return Q(node_id__in=list(Node.objects.filter(name__in=term.values).values_list("id", flat=True)))


def _tag(term: Term, _now: datetime) -> Q:
    return Q(Exists(TaskTag.objects.filter(task_id=OuterRef("pk"), tag__in=term.values)))


def _ids(column: str) -> Callable[[Term, datetime], Q]:
    return lambda term, _now: Q(**{f"{column}__in": [int(value) for value in term.values]})


def _priority(term: Term, _now: datetime) -> Q:
    return _any(Q(**{f"priority{_LOOKUPS[term.operator]}": int(value)}) for value in term.values)


def _attempt(term: Term, _now: datetime) -> Q:
    """Attempts that count."""
    return _any(Q(**{f"attempt{_LOOKUPS[term.operator]}": F("released") + int(value)}) for value in term.values)


def _submitter(term: Term, _now: datetime) -> Q:
    return Q(submitted_by__in=term.values)


def _time(column: str, only: Q) -> Callable[[Term, datetime], Q]:
    """``only``: where the column speaks of the current attempt."""
    return lambda term, now: only & _any(_at(column, term.operator, value, now) for value in term.values)


def _at(column: str, operator: str, value: str, now: datetime) -> Q:
    first, last = span(operator, value, now)
    bounds = ([Q(**{f"{column}__gte": first})] if first else []) + ([Q(**{f"{column}__lt": last})] if last else [])
    return reduce(lambda one, other: one & other, bounds, Q(**{f"{column}__isnull": False}))


def span(operator: str, value: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """First moment and end (excluded) of the times that a term on times means; None: open.

    Of an age, "<" means younger, that is later.
    """
    when = time_of(value)
    if isinstance(when, Age):
        # A longer age than the calendar has is as good as forever.
        then = now - min(when.length, now - datetime(1970, 1, 1, tzinfo=now.tzinfo))
        return (None, then) if operator in (">", ">=") else (then, None)
    if when is None:
        raise ValueError(value)
    return {
        "": (when.start, when.end),
        ">": (when.end, None),
        ">=": (when.start, None),
        "<": (None, when.start),
        "<=": (None, when.end),
    }[operator]


def _duration(end: str, only: str) -> Callable[[Term, datetime], Q]:
    start = "queued_at" if "queued" in only else "started_at"

    def made(term: Term, now: datetime) -> Q:
        limit = seconds_of(term.values[0])
        seconds = (
            f"ROUND(EXTRACT(EPOCH FROM ({end} - {_TASK}{start}))::numeric, 3)"
            if connection.vendor == "postgresql"
            else f"ROUND((julianday({end}) - julianday({_TASK}{start})) * 86400.0, 3)"
        )
        moment = now if connection.vendor == "postgresql" else now.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        return _sql(f"{only} AND {seconds} {_OPERATORS[term.operator]} %s", [moment] * end.count("%s") + [limit])

    return made


_WAIT_END: Final = f"CASE WHEN {_TASK}state = 1 THEN %s ELSE {_TASK}started_at END"
_WAITED: Final = f"({_TASK}state = 1 OR {_STARTED_SQL}) AND {_TASK}queued_at IS NOT NULL"
_RUN_END: Final = f"COALESCE({_TASK}finished_at, %s)"


def _error(term: Term, _now: datetime) -> Q:
    """By the name of the error's type only: messages may hold secrets, which are masked where they are shown."""
    if connection.vendor == "postgresql":
        place = f"POSITION(%s IN LOWER({_TASK}error::json ->> 'type'))"
    else:
        place = f"INSTR(LOWER(json_extract({_TASK}error, '$.type')), %s)"
    tests = " OR ".join(f"{place} > 0" for _ in term.values)
    # On both databases an error is only looked into where there is one.
    return _sql(f"CASE WHEN {_TASK}error IS NOT NULL THEN {tests} END", [value.lower() for value in term.values])


def _member(term: Term, _now: datetime) -> Q:
    """By a member of the payload: text, number, true, false or null as it is written in it."""
    payload = f"{_TASK}payload"
    if connection.vendor == "postgresql":
        # "json" and not "jsonb": a number too large for the latter would break off the whole search.
        is_short = f"OCTET_LENGTH({payload}) <= {MAX_PAYLOAD_BYTES}"
        path = list(term.path)
        found = f"({payload}::json #> %s::text[])"
        if term.operator:
            is_number = f"json_typeof{found} = 'number' AND {found}::text ~ '^-?[0-9]{{1,15}}([.][0-9]{{1,15}})?$'"
            test = f"CASE WHEN {is_number} THEN {found}::text::numeric {_OPERATORS[term.operator]} %s END"
            params: list[Any] = [path, path, path, decimal_of(term.values[0])]
        else:
            test = f"COALESCE({payload}::json #>> %s::text[], {found}::text) = ANY(%s::text[])"
            params = [path, path, list(term.values)]
    else:
        is_short = f"LENGTH(CAST({payload} AS BLOB)) <= {MAX_PAYLOAD_BYTES}"
        place = "$" + "".join(f"[{int(name)}]" if _is_place(name) else f'."{name}"' for name in term.path)
        if term.operator:
            is_number = f"json_type({payload}, %s) IN ('integer', 'real')"
            test = f"{is_number} AND json_extract({payload}, %s) {_OPERATORS[term.operator]} %s"
            params = [place, place, decimal_of(term.values[0])]
        else:
            found = f"CASE json_type({payload}, %s) WHEN 'text' THEN {payload} ->> %s ELSE {payload} -> %s END"
            test = f"{found} IN ({', '.join(['%s'] * len(term.values))})"
            params = [place, place, place, *term.values]
    return _sql(f"CASE WHEN {is_short} THEN {test} END", params)


def _is_place(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _MAX_PLACE_DIGITS


def _is(term: Term, now: datetime) -> Q:
    return _any(_FLAGS[word](now) & Q(state__in=sorted(FLAGS[word])) for word in term.values)


def _in_paused_queue(_now: datetime) -> Q:
    return Q(lane__queue__in=list(Queue.objects.exclude(paused_at=None).values_list("name", flat=True)))


_FLAGS: Final[dict[str, Callable[[datetime], Q]]] = {
    "waiting": lambda _now: Q(),
    "active": lambda _now: Q(),
    "ended": lambda _now: Q(),
    "retrying": lambda _now: Q(attempt__gt=0),
    "unclaimed": lambda _now: Q(attempt=0),
    "paused": _in_paused_queue,
    "stuck": lambda now: (
        Q(state__in=sorted(ACTIVE), attempt_deadline__lt=now)
        | Q(state=TaskState.QUEUED, queued_at__lt=now - STUCK_AFTER)
    ),
    "cancelling": lambda _now: Q(cancel_requested_at__isnull=False),
}

_MAKERS: Final[dict[str, Callable[[Term, datetime], Q]]] = {
    "": _words,
    "state": _state,
    "is": _is,
    "node": _node,
    "tag": _tag,
    "id": _ids("id"),
    "retry_of": _ids("retry_of"),
    "priority": _priority,
    "attempt": _attempt,
    "submitter": _submitter,
    "created": _time("created_at", Q()),
    "queued": _time("queued_at", ~Q(state=TaskState.SCHEDULED)),
    "started": _time("started_at", _STARTED),
    "ended": _time("finished_at", Q()),
    "waited": _duration(_WAIT_END, _WAITED),
    "ran": _duration(_RUN_END, _STARTED_SQL),
    "error": _error,
    ARGS: _member,
}


def _any(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions)


def _sql(text: str, params: Sequence[Any]) -> Q:
    """A condition in SQL that is false where it is unknown."""
    expression = RawSQL(f"COALESCE(({text}), FALSE)", params, output_field=BooleanField())  # noqa: S611
    return Q(expression)

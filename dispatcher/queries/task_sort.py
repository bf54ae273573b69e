"""Lists of tasks in other orders than the newest first.

The oldest first goes through all tasks, along the same indexes. By anything else, no index leads along without costing
every task its upkeep: so the newest that match are found, up to ``MAX_COUNTED``, and sorted among themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from dispatcher.models import Task
from dispatcher.models.task import parse_task_id
from dispatcher.queries.filters import TaskFilters
from dispatcher.queries.shapes import TaskPage, TaskRow
from dispatcher.queries.task_bounds import ends
from dispatcher.queries.task_look import OLDEST
from dispatcher.queries.task_rows import COLUMNS, rows_of, task_rows
from dispatcher.queries.task_search import MAX_COUNTED, MAX_LIMIT, Matches, matches, search, searched, task_page

#: Of a row, what makes its place. Errors, which may be long, are not.
_COLUMNS: Final = tuple(name for name in COLUMNS if name != "error_head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a list is read: its order, from where, how many, how far it is searched."""

    #: One of ``task_look.SORTS``, or "" for the newest first.
    sort: str = ""
    #: The last task of the page before; and the newest that was there, so that what is sorted stays the same.
    after: int | None = None
    top: int | None = None
    limit: int = 100
    wider: bool = False

    @classmethod
    def of(cls, cursor: tuple[int, int | None] | None, **how: Any) -> Reading:
        """From what ``parse_cursor`` gives."""
        after, top = cursor or (None, None)
        return cls(after=after, top=top, **how)


def parse_cursor(text: str) -> tuple[int, int | None] | None:
    """``next`` of a page as ``after`` and ``top``; None if it cannot be one."""
    first, dot, last = text.partition(".")
    after, top = parse_task_id(first), parse_task_id(last)
    return (after, top) if after and (top or not dot) else None


def read(filters: TaskFilters, how: Reading) -> TaskPage:
    """A page of what matches in that order."""
    if how.sort not in ("", OLDEST):
        return ordered(filters, how).page
    return task_page(filters, after=how.after, limit=how.limit, wider=how.wider, oldest=how.sort == OLDEST)


def ordered(filters: TaskFilters, how: Reading) -> Matches:
    """A page of what matches in that order, with the number of those that match."""
    limit = min(max(how.limit, 1), MAX_LIMIT)
    if how.sort in ("", OLDEST):
        return matches(filters, after=how.after, limit=limit, wider=how.wider, oldest=how.sort == OLDEST)
    top = how.top or ends()[1]
    found = search(filters, after=top + 1, limit=MAX_COUNTED + 1, wider=how.wider)
    ids = found.ids[:MAX_COUNTED]
    is_capped = len(found.ids) > MAX_COUNTED
    floor = ids[-1] if is_capped else found.floor
    places = _in_order(ids, how.sort)
    begin = places.index(how.after) + 1 if how.after in places else 0 if how.after is None else len(places)
    shown = places[begin : begin + limit]
    by_id = {int(row["id"]): row for row in task_rows(shown)}
    page = TaskPage(
        rows=[by_id[pk] for pk in shown if pk in by_id],
        next=f"{shown[-1]}.{top}" if begin + limit < len(places) else None,
        searched_to=str(floor) if floor else None,
    )
    return Matches(page=page, count=len(ids), is_capped=is_capped, searched=searched(floor))


def _in_order(ids: list[int], sort: str) -> list[int]:
    """The ids sorted; what has no value comes last, and of equals the newest first."""
    now = timezone.now()
    key, sign = _KEYS[sort.removeprefix("-")], -1 if sort.startswith("-") else 1
    raws = Task.objects.filter(id__in=ids).values(*_COLUMNS)
    rows = rows_of([raw | {"error_head": None} for raw in raws])
    values = {int(row["id"]): key(row, now) for row in rows}

    def place(pk: int) -> tuple[bool, float, int]:
        value = values[pk]
        return value is None, sign * (value or 0.0), -pk

    return sorted(values, key=place)


def _waited(row: TaskRow, now: datetime) -> float | None:
    if row["state"] == "queued" and row["queued_at"] is not None:
        return (now - row["queued_at"]).total_seconds() * 1000
    return row["wait_ms"]


def _ran(row: TaskRow, now: datetime) -> float | None:
    if row["state"] == "running" and row["started_at"] is not None:
        return (now - row["started_at"]).total_seconds() * 1000
    return row["run_ms"]


def _ended(row: TaskRow, _now: datetime) -> float | None:
    return row["finished_at"].timestamp() if row["finished_at"] else None


_KEYS: Final[dict[str, Callable[[TaskRow, datetime], Any]]] = {
    "waited": _waited,
    "ran": _ran,
    "try": lambda row, _now: row["counted_attempts"],
    "priority": lambda row, _now: row["priority"],
    "ended": _ended,
}

"""Between which ids a search looks for tasks, and from which end."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min, QuerySet

from dispatcher.models import Task
from dispatcher.models.by_time import first_id_since
from dispatcher.queries import conditions
from dispatcher.queries.filters import TaskFilters

#: Ids rise with the time of creation, but for what is submitted at the same moment.
_DISORDER = timedelta(seconds=60)


def ends() -> tuple[int, int]:
    """The oldest and the newest id."""
    return (
        Task.objects.aggregate(oldest=Min("id"))["oldest"] or 0,
        Task.objects.aggregate(newest=Max("id"))["newest"] or 0,
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """Ids between which to look, both excluded, and from which end."""

    above: int
    below: int
    oldest: bool = False

    @classmethod
    def of(cls, filters: TaskFilters, after: int | None, above: int, now: datetime, *, oldest: bool) -> Bounds:
        """Between the ends, ``above`` and ``after``, and the times that the filters name."""
        if oldest:
            lowest, newest = ends()
            above, after = max(above, after or 0, lowest - 1), None
        else:
            newest = Task.objects.aggregate(newest=Max("id"))["newest"] or 0
        below = newest + 1 if after is None else min(after, newest + 1)
        first, last = _created(filters, now)
        if last is not None:
            below = min(below, _first_id_since(last + _DISORDER, newest))
        if first is not None:
            above = max(above, _first_id_since(first - _DISORDER, newest) - 1)
        return cls(above, below, oldest)

    def walk(self, floor: int = 0, **where: Any) -> QuerySet[Task]:
        """Tasks within the bounds and on this side of ``floor``, in order.

        One lower bound: of two, SQLite begins at the first and compares the other with every row.
        """
        if self.oldest:
            return Task.objects.filter(id__gt=self.above, id__lt=self._end(floor), **where).order_by("id")
        return Task.objects.filter(id__gt=self._end(floor), id__lt=self.below, **where).order_by("-id")

    def _end(self, floor: int) -> int:
        """Where a walk ends at the latest."""
        if self.oldest:
            return min(self.below, floor) if floor else self.below
        return max(self.above, floor)

    def reach(self, pk: int, floor: int) -> bool:
        """Whether a search that went to ``floor`` has looked at the id."""
        return not floor or (pk < floor if self.oldest else pk > floor)

    def first(self, limit: int, ids: Iterable[int]) -> list[int]:
        """The first of the ids, in order."""
        return heapq.nsmallest(limit, ids) if self.oldest else heapq.nlargest(limit, ids)

    def step(self, length: int, floor: int) -> tuple[int, bool]:
        """Where a step of a walk ends, and whether it is the last."""
        end = self._end(floor)
        reached = min(end, self.above + length + 1) if self.oldest else max(end, self.below - length - 1)
        return reached, reached == end

    def beyond(self, reached: int) -> Bounds:
        """What is left after a step."""
        return replace(self, above=reached - 1) if self.oldest else replace(self, below=reached + 1)

    def hold(self, pk: int) -> bool:
        """Whether the id lies within."""
        return self.above < pk < self.below

    def floor(self, window: int) -> int:
        """Where a window that begins at the bound ends; 0 if that is beyond everything that is there."""
        if self.oldest:
            floor = self.above + window + 1
            is_last = floor >= self.below or not Task.objects.filter(id__gte=floor, id__lt=self.below).exists()
            return 0 if is_last else floor
        floor = self.below - window - 1
        if floor <= self.above or not Task.objects.filter(id__lte=floor, id__gt=self.above).exists():
            return 0
        return floor


def _created(filters: TaskFilters, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Between which times a task was submitted that matches."""
    spans = [(filters.created_after, filters.created_before)]
    spans += [
        conditions.span(term.operator, term.values[0], now)
        for term in filters.more
        if term.key == "created" and not term.negated and len(term.values) == 1
    ]
    firsts = [first for first, _ in spans if first is not None]
    lasts = [last for _, last in spans if last is not None]
    return max(firsts, default=None), min(lasts, default=None)


def _first_id_since(moment: datetime, newest: int) -> int:
    return first_id_since(Task.objects.all(), "created_at", moment, newest=newest)

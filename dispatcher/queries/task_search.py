"""Finding tasks by filters, newest first, with a bound on what is looked at.

Each state is searched on its own, through the index that fits it, and the findings are merged by id. Where no index
fits, a window of ids is looked through, from the newest on; the next page goes on below it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import Max, QuerySet

from dispatcher.models import Node, Task, TaskTag
from dispatcher.models.by_time import first_id_since
from dispatcher.queries.counts import matching_lanes
from dispatcher.queries.filters import TaskFilters
from dispatcher.queries.shapes import TaskPage
from dispatcher.queries.task_rows import task_rows
from dispatcher.states import ACTIVE, WAITING, TaskState

MAX_LIMIT = 500

#: Tasks looked at in one search where no index leads to those that match.
WINDOW = 100_000
#: The same, of the tasks with a tag, and of the failed ones.
INDEX_WINDOW = 10_000
#: Waiting tasks that are all fetched by their own index and sorted here.
FEW_WAITING = 5_000
#: Ids rise with the time of creation, but for what is submitted at the same moment.
_DISORDER = timedelta(seconds=60)

_Tasks = QuerySet[Task]


@dataclass(frozen=True, slots=True)
class Found:
    """Ids, descending. All that match above ``floor`` are there (up to the limit); 0 if there is nothing below."""

    ids: list[int]
    floor: int


def task_page(filters: TaskFilters, *, after: int | None = None, limit: int = 100) -> TaskPage:
    """Tasks that match, newest first, with ids below ``after``; see ``TaskPage`` for going on."""
    limit = min(max(limit, 1), MAX_LIMIT)
    found = search(filters, after=after, limit=limit)
    full = len(found.ids) >= limit
    following = found.ids[-1] if full else found.floor + 1 if found.floor else None
    return TaskPage(
        rows=task_rows(found.ids),
        next=None if following is None else str(following),
        searched_to=None if full or not found.floor else str(found.floor),
    )


def search(filters: TaskFilters, *, after: int | None, limit: int, above: int = 0) -> Found:
    """Ids of matching tasks between ``above`` and ``after``, both excluded."""
    where = _conditions(filters)
    if where is None:
        return Found([], 0)
    look = _Search(where, filters.tag, _Bounds.of(filters, after, above), limit)
    parts = [look.in_state(state) for state in sorted(filters.states)] or [look.in_any_state()]
    # Below the highest floor some states have not been looked at: their tasks would be missing in between.
    floor = max(part.floor for part in parts)
    merged = heapq.merge(*(part.ids for part in parts), reverse=True)
    ids = list(islice((pk for pk in merged if pk > floor), limit))
    return Found(ids, floor)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Ids between which to look, both excluded."""

    above: int
    below: int

    @classmethod
    def of(cls, filters: TaskFilters, after: int | None, above: int) -> _Bounds:
        newest = Task.objects.aggregate(newest=Max("id"))["newest"] or 0
        below = newest + 1 if after is None else min(after, newest + 1)
        if filters.created_before is not None:
            below = min(below, _first_id_since(filters.created_before + _DISORDER, newest))
        if filters.created_after is not None:
            above = max(above, _first_id_since(filters.created_after - _DISORDER, newest) - 1)
        return cls(above, below)

    def walk(self, floor: int = 0, **where: Any) -> _Tasks:
        """Tasks within the bounds and above ``floor``, newest first.

        One lower bound: of two, SQLite begins at the first and compares the other with every row.
        """
        return Task.objects.filter(id__gt=max(self.above, floor), id__lt=self.below, **where).order_by("-id")

    def hold(self, pk: int) -> bool:
        """Whether the id lies within."""
        return self.above < pk < self.below

    def floor(self, window: int) -> int:
        """Where a window below the upper bound ends; 0 if that is below everything that is there."""
        floor = self.below - window - 1
        if floor <= self.above or not Task.objects.filter(id__lte=floor, id__gt=self.above).exists():
            return 0
        return floor


def _first_id_since(moment: datetime, newest: int) -> int:
    return first_id_since(Task.objects.all(), "created_at", moment, newest=newest)


def _conditions(filters: TaskFilters) -> dict[str, Any] | None:
    """All conditions but states, tag and bounds, for ``filter``; None if nothing can match."""
    where: dict[str, Any] = {}
    if filters.queues or filters.types:
        where["lane_id__in"] = sorted(matching_lanes(filters.queues, filters.types))
        if not where["lane_id__in"]:
            return None
    if filters.node:
        where["node_id"] = Node.objects.filter(name=filters.node).values_list("id", flat=True).first()
        if where["node_id"] is None:
            return None
    if filters.created_after is not None:
        where["created_at__gte"] = filters.created_after
    if filters.created_before is not None:
        where["created_at__lt"] = filters.created_before
    if filters.retry_of is not None:
        where["retry_of"] = filters.retry_of
    return where


@dataclass(frozen=True, slots=True)
class _Search:
    """One search: the conditions but state and tag, for ``filter``, and the ways to the tasks that meet them."""

    where: dict[str, Any]
    tag: str
    bounds: _Bounds
    limit: int

    def in_any_state(self) -> Found:
        """Through the index of tags or retries, or the newest tasks."""
        if self.tag:
            return self._among_tagged({})
        return self._walk({}, WINDOW if self.where and "retry_of" not in self.where else 0)

    def in_state(self, state: TaskState) -> Found:
        """Through the index that fits the state best."""
        chosen = {"state": state.value}
        if state in ACTIVE:
            return self._among_few(list(_ids(Task.objects.active().filter(**chosen))))
        if state in WAITING:
            waiting = list(_ids(Task.objects.filter(**chosen, **self._lanes_of_ready(state)))[: FEW_WAITING + 1])
            if len(waiting) <= FEW_WAITING:
                return self._among_few(waiting)
        if self.tag:
            return self._among_tagged(chosen)
        if state == TaskState.FAILED:
            newest = self.bounds.walk(**chosen).values_list("id", flat=True)
            return self._take(chosen, next(iter(newest[INDEX_WINDOW : INDEX_WINDOW + 1]), 0))
        return self._walk(chosen, 0 if "retry_of" in self.where else WINDOW)

    def _lanes_of_ready(self, state: TaskState) -> dict[str, Any]:
        """The condition on lanes where the state's index begins with them."""
        is_indexed = state == TaskState.QUEUED and "lane_id__in" in self.where
        return {"lane_id__in": self.where["lane_id__in"]} if is_indexed else {}

    def _among_few(self, ids: Collection[int]) -> Found:
        """Sort out few tasks."""
        ids = [pk for pk in ids if self.bounds.hold(pk)]
        if self.where and ids:
            ids = list(_ids(Task.objects.filter(id__in=ids, **self.where)))
        if self.tag and ids:
            ids = list(TaskTag.objects.filter(tag=self.tag, task_id__in=ids).values_list("task_id", flat=True))
        return Found(heapq.nlargest(self.limit, ids), 0)

    def _among_tagged(self, chosen: dict[str, Any]) -> Found:
        """Look through the newest tasks with the tag, which its index leads to."""
        tagged = TaskTag.objects.filter(
            tag=self.tag, task_id__gt=self.bounds.above, task_id__lt=self.bounds.below
        ).order_by("-task_id")
        ids = list(tagged.values_list("task_id", flat=True)[: INDEX_WINDOW + 1])
        return self._take(chosen | {"id__in": ids}, ids[-1] if len(ids) > INDEX_WINDOW else 0)

    def _walk(self, chosen: dict[str, Any], window: int) -> Found:
        """Look through the newest tasks, ``window`` of them or, with 0, all."""
        return self._take(chosen, self.bounds.floor(window) if window else 0)

    def _take(self, chosen: dict[str, Any], floor: int) -> Found:
        tasks = self.bounds.walk(floor, **self.where, **chosen)
        return Found(list(tasks.values_list("id", flat=True)[: self.limit]), floor)


def _ids(tasks: _Tasks) -> QuerySet[Task, int]:
    """Ids in whatever order: with one, or with bounds, the planner would walk the primary key instead of an index."""
    return tasks.order_by().values_list("id", flat=True)

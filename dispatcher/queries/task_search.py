"""Finding tasks by filters, newest or oldest first, with a bound on what is looked at.

Each state is searched on its own, through the index that fits it, and the findings are merged by id. Where no index
fits, a window of ids is looked through, from the newest (or oldest) on; the next page goes on beyond it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from dispatcher.models import Node, Task, TaskTag
from dispatcher.queries import conditions
from dispatcher.queries.counts import matching_lanes
from dispatcher.queries.filters import TaskFilters, is_id_prefix, is_of_lane
from dispatcher.queries.shapes import TaskPage
from dispatcher.queries.task_bounds import Bounds, ends
from dispatcher.queries.task_rows import task_rows
from dispatcher.search import FLAGS, Term
from dispatcher.search.keys import ARGS
from dispatcher.states import ACTIVE, WAITING, TaskState

MAX_LIMIT = 500
#: Matches beyond this are not counted.
MAX_COUNTED = 1000

#: Tasks looked at in one search where no index leads to those that match.
WINDOW = 100_000
#: The same, of the tasks with a tag, and of the failed ones.
INDEX_WINDOW = 10_000
#: The same where payloads are looked into; by so many in one statement.
PAYLOAD_WINDOW = 10_000
PAYLOAD_STEP = 2_500
#: How much further a search goes that somebody widened, in statements of the usual size.
WIDER = 5
#: After so many seconds a search in several statements does not begin another; it ends where it is and says so.
PATIENCE = 1.5
#: Ids that begin with a number: those that are all fetched and sorted out.
FEW_NAMED = 5_000
#: Waiting tasks that are all fetched by their own index and sorted here.
FEW_WAITING = 5_000

#: Ids in one statement.
_IN_ONE = 10_000

_Tasks = QuerySet[Task]


@dataclass(frozen=True, slots=True)
class Found:
    """Ids, descending. All that match above ``floor`` are there (up to the limit); 0 if there is nothing below.

    Oldest first it is the other way round: ids rise, and all below ``floor`` are there.
    """

    ids: list[int]
    floor: int


@dataclass(frozen=True, slots=True)
class Matches:
    """A page of what matches, and how much was looked at for it."""

    page: TaskPage
    #: Matching tasks that were found, up to ``MAX_COUNTED``, this page's included.
    count: int
    #: Whether there may be more of them in what was searched.
    is_capped: bool
    #: How many of the newest (or oldest) tasks were looked at, by their ids; None: all that there are.
    searched: int | None


def task_page(
    filters: TaskFilters, *, after: int | None = None, limit: int = 100, wider: bool = False, oldest: bool = False
) -> TaskPage:
    """Tasks that match, newest first, with ids below ``after``, or ``oldest`` first and above it.

    See ``TaskPage`` for going on.
    """
    limit = min(max(limit, 1), MAX_LIMIT)
    return _page(search(filters, after=after, limit=limit, wider=wider, oldest=oldest), limit, oldest=oldest)


def matches(
    filters: TaskFilters, *, after: int | None, limit: int, wider: bool = False, oldest: bool = False
) -> Matches:
    """The same, with the number of those that match."""
    found = search(filters, after=after, limit=MAX_COUNTED + 1, wider=wider, oldest=oldest)
    is_capped = len(found.ids) > MAX_COUNTED
    # The search ends at the last one that is counted.
    floor = found.ids[-1] if is_capped else found.floor
    return Matches(
        page=_page(found, limit, oldest=oldest),
        count=min(len(found.ids), MAX_COUNTED),
        is_capped=is_capped,
        searched=searched(floor, oldest=oldest),
    )


def searched(floor: int, *, oldest: bool = False) -> int | None:
    """How many ids lie between the end at which a search begins and ``floor``; None for 0."""
    if not floor:
        return None
    first, last = ends()
    return max(0, floor - first if oldest else last - floor)


def _page(found: Found, limit: int, *, oldest: bool) -> TaskPage:
    full = len(found.ids) >= limit
    beyond = found.floor + (-1 if oldest else 1)
    following = found.ids[limit - 1] if full else beyond if found.floor else None
    rows = task_rows(found.ids[:limit])
    return TaskPage(
        rows=rows[::-1] if oldest else rows,
        next=None if following is None else str(following),
        searched_to=None if full or not found.floor else str(found.floor),
    )


def search(
    filters: TaskFilters,
    *,
    after: int | None,
    limit: int,
    above: int = 0,
    wider: bool = False,
    oldest: bool = False,
    now: datetime | None = None,
) -> Found:
    """Ids of matching tasks between ``above`` and ``after``, both excluded; ages in the query are as of ``now``.

    ``oldest`` first those above both.
    """
    now = now or timezone.now()
    where = _conditions(filters)
    states = _states(filters)
    if where is None or (states is not None and not states):
        return Found([], 0)
    also = tuple(conditions.condition(term, now) for term in filters.more if not is_of_lane(term))
    looks_inside = any(term.key == ARGS for term in filters.more)
    look = _Search(
        where,
        also,
        filters.tag,
        Bounds.of(filters, after, above, now, oldest=oldest),
        limit,
        looks_inside,
        wider,
        monotonic() + PATIENCE,
    )
    named = next((term for term in filters.more if _names_ids(term)), None)
    if named is not None:
        return look.among_named(named, states)
    parts = [look.in_state(state) for state in sorted(states or ())] or [look.in_any_state()]
    # Beyond the nearest floor some states have not been looked at: their tasks would be missing in between.
    floors = [part.floor for part in parts if part.floor]
    floor = (min if oldest else max)(floors, default=0)
    merged = heapq.merge(*(part.ids for part in parts), reverse=not oldest)
    ids = list(islice((pk for pk in merged if look.bounds.reach(pk, floor)), limit))
    return Found(ids, floor)


def _names_ids(term: Term) -> bool:
    return not term.negated and (term.key == "id" or is_id_prefix(term))


def _states(filters: TaskFilters) -> frozenset[TaskState] | None:
    """The states in which a task can match; None: any."""
    found = filters.states or frozenset(TaskState)
    for term in filters.more:
        if term.key == "is" and not term.negated:
            found &= frozenset[TaskState]().union(*(FLAGS[word] for word in term.values))
    return None if found == frozenset(TaskState) else found


def _conditions(filters: TaskFilters) -> dict[str, Any] | None:
    """All conditions but states, tag and bounds, for ``filter``; None if nothing can match."""
    where: dict[str, Any] = {}
    if not filters.is_by_any_lane:
        where["lane_id__in"] = sorted(matching_lanes(filters))
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
    #: The others, which no index helps with.
    also: tuple[Q, ...]
    tag: str
    bounds: Bounds
    limit: int
    looks_inside: bool
    wider: bool
    #: When it begins no other statement of a walk in steps, by ``monotonic``.
    ends: float

    @property
    def window(self) -> int:
        """Tasks to look at where no index leads to those that match."""
        return (PAYLOAD_WINDOW if self.looks_inside else WINDOW) * (WIDER if self.wider else 1)

    @property
    def index_window(self) -> int:
        """The same, of the tasks with a tag, and of the failed ones."""
        return min(INDEX_WINDOW, self.window) * (WIDER if self.wider and not self.looks_inside else 1)

    def in_any_state(self) -> Found:
        """Through the index of tags or retries, or the newest tasks."""
        if self.tag:
            return self._among_tagged({})
        return self._walk({}, (self.where or self.also) and "retry_of" not in self.where)

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
            floor = next(iter(newest[self.index_window : self.index_window + 1]), 0)
            return self._take(chosen, self.bounds, floor)
        return self._walk(chosen, "retry_of" not in self.where)

    def among_named(self, term: Term, states: Collection[TaskState] | None) -> Found:
        """Those of the ids that the term names."""
        if term.key:
            ids = sorted({int(value) for value in term.values}, reverse=not self.bounds.oldest)
        else:
            ids = []
            ranges = conditions.id_ranges(term)
            for first, last in ranges if self.bounds.oldest else reversed(ranges):
                within = self.bounds.walk().filter(id__range=(first, last)).values_list("id", flat=True)
                ids += within[: FEW_NAMED + 1 - len(ids)]
                if len(ids) > FEW_NAMED:
                    break
        ids = [pk for pk in ids if self.bounds.hold(pk)]
        if states is not None:
            chosen = Task.objects.filter(id__in=ids[:FEW_NAMED], state__in=[state.value for state in states])
            kept = set(_ids(chosen))
        else:
            kept = set(ids[:FEW_NAMED])
        found = self._among_few([pk for pk in ids if pk in kept], is_known=states is not None or not term.key)
        return Found(found.ids, ids[FEW_NAMED] if len(ids) > FEW_NAMED else 0)

    def _lanes_of_ready(self, state: TaskState) -> dict[str, Any]:
        """The condition on lanes where the state's index begins with them."""
        is_indexed = state == TaskState.QUEUED and "lane_id__in" in self.where
        return {"lane_id__in": self.where["lane_id__in"]} if is_indexed else {}

    def _among_few(self, ids: Collection[int], *, is_known: bool = True) -> Found:
        """Sort out few tasks. ``is_known``: there are tasks with these ids."""
        ids = [pk for pk in ids if self.bounds.hold(pk)]
        if (self.where or self.also or not is_known) and ids:
            ids = list(_ids(Task.objects.filter(*self.also, id__in=ids, **self.where)))
        if self.tag and ids:
            ids = list(TaskTag.objects.filter(tag=self.tag, task_id__in=ids).values_list("task_id", flat=True))
        return Found(self.bounds.first(self.limit, ids), 0)

    def _among_tagged(self, chosen: dict[str, Any]) -> Found:
        """Look through the newest tasks with the tag, which its index leads to."""
        tagged = TaskTag.objects.filter(
            tag=self.tag, task_id__gt=self.bounds.above, task_id__lt=self.bounds.below
        ).order_by("task_id" if self.bounds.oldest else "-task_id")
        ids = list(tagged.values_list("task_id", flat=True)[: self.index_window + 1])
        floor = ids[-1] if len(ids) > self.index_window else 0
        found: list[int] = []
        # SQLite takes a quarter of a million parameters in one statement, PostgreSQL sixty-five thousand.
        for place in range(0, len(ids), _IN_ONE):
            part = self._take(chosen | {"id__in": ids[place : place + _IN_ONE]}, self.bounds, floor)
            found += part.ids[: self.limit - len(found)]
            if len(found) >= self.limit:
                break
        return Found(found, floor)

    def _walk(self, chosen: dict[str, Any], is_bounded: Any) -> Found:
        """Look through the newest tasks: a window of them, or all."""
        if not is_bounded:
            return self._take(chosen, self.bounds, 0)
        floor = self.bounds.floor(self.window)
        step = PAYLOAD_STEP if self.looks_inside else WINDOW
        if self.window <= step:
            return self._take(chosen, self.bounds, floor)
        return self._walk_in_steps(chosen, floor, step)

    def _walk_in_steps(self, chosen: dict[str, Any], floor: int, step: int) -> Found:
        """Look through a large window by short statements, for as long as is bearable."""
        ids: list[int] = []
        bounds = self.bounds
        while True:
            reached, is_last = bounds.step(step, floor)
            part = self._take(chosen, bounds, reached)
            ids += part.ids[: self.limit - len(ids)]
            if is_last:
                return Found(ids, floor)
            if len(ids) >= self.limit or monotonic() > self.ends:
                return Found(ids, reached)
            bounds = bounds.beyond(reached)

    def _take(self, chosen: dict[str, Any], bounds: Bounds, floor: int) -> Found:
        tasks = bounds.walk(floor, **self.where, **chosen).filter(*self.also)
        return Found(list(tasks.values_list("id", flat=True)[: self.limit]), floor)


def _ids(tasks: _Tasks) -> QuerySet[Task, int]:
    """Ids in whatever order: with one, or with bounds, the planner would walk the primary key instead of an index."""
    return tasks.order_by().values_list("id", flat=True)

"""The document of the live topic ``tasks``: the tasks on the screen and how many belong there that are not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dispatcher.queries.counts import LiveCounts, live_counts, matching_lanes
from dispatcher.queries.filters import TaskFilters
from dispatcher.queries.shapes import Counts, TasksDocument
from dispatcher.queries.task_rows import task_rows
from dispatcher.queries.task_search import search

#: Beyond this the exact number of new tasks is of no use.
MAX_NEW = 500


@dataclass(frozen=True, slots=True)
class Screen:
    """A page of tasks as someone sees it: which filters, from where, which tasks."""

    filters: TaskFilters
    ids: frozenset[int]
    #: Ids on the page are below this; None on the first page.
    after: int | None = None
    #: The size of a full page.
    limit: int = 100
    #: In other orders than the newest first: what is new has an id above this one.
    newest: int | None = None

    @property
    def lowest(self) -> int:
        """The page ends above this id; a page that is not full has no end."""
        if self.newest is not None:
            return self.newest
        return min(self.ids, default=0) if len(self.ids) >= self.limit else 0


def tasks_document(screen: Screen, counts: LiveCounts | None = None) -> TasksDocument:
    """The document as of now. ``counts`` spares reading them again."""
    new = count_new(screen)
    return TasksDocument(
        rows=task_rows(screen.ids), new=new, new_is_capped=new >= MAX_NEW, counts=lane_counts(screen.filters, counts)
    )


def count_new(screen: Screen) -> int:
    """How many tasks belong on the page that are not on it, at most ``MAX_NEW``."""
    found = search(screen.filters, after=screen.after, above=screen.lowest, limit=MAX_NEW + len(screen.ids))
    return min(MAX_NEW, len(set(found.ids) - screen.ids))


def lane_counts(filters: TaskFilters, counts: LiveCounts | None = None) -> Counts | None:
    """Tasks per state for the filters queue and type; None where the counters cannot tell."""
    if not filters.is_by_lane:
        return None
    lanes: Collection[int] | None = None
    if not filters.is_by_any_lane:
        lanes = matching_lanes(filters)
    return (counts or live_counts()).totals(lanes)

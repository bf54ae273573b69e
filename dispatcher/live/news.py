"""Following the feed: what has happened since the last look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from dispatcher import events
from dispatcher.events import TaskChange
from dispatcher.models.feed_reader import READ, ChangeRow, FeedReader, latest_position

#: Changes looked at in one go; with more than that everything counts as changed, which costs less than to look.
MAX_CHANGES = 2000
#: The same, in characters of their bodies.
MAX_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class News:
    """What happened. Equal to ``News()``: nothing."""

    #: Something happened.
    moved: bool = False
    #: So much happened that it was not looked at: anything may have changed.
    lost: bool = False
    #: Transitions of tasks.
    changes: list[TaskChange] = field(default_factory=list)
    #: Tasks that changed in whatever way, log lines and progress included.
    touched: frozenset[int] = frozenset()
    #: Tasks were deleted for their age.
    pruned: bool = False


#: News that make everything worth reading again.
ANYTHING = News(moved=True, lost=True)


class Tailer:
    """A position in the feed from which news are read. Belongs to one thread."""

    def __init__(self) -> None:
        self._last = -1
        self._reader: FeedReader | None = None

    def read(self, *, details: bool) -> News:
        """What has been committed since the last call. Without ``details`` only whether something has, and nothing of
        a row that commits after one with a larger id. The first time, and the first time with details: anything.
        """  # fmt: skip
        if not details:
            self._reader = None
            before, self._last = self._last, latest_position()
            return News(moved=before != self._last)
        if self._reader is None:
            self._last, self._reader = -1, FeedReader.at_end()
            return ANYTHING
        return self._read_details(self._reader)

    def _read_details(self, reader: FeedReader) -> News:
        rows: list[ChangeRow] = []
        while batch := reader.read(READ):
            rows += batch
            if len(rows) >= MAX_CHANGES:
                self._reader = FeedReader.at_end()
                return ANYTHING
        if sum(len(row.body) for row in rows) > MAX_CHARS:
            return ANYTHING
        return _looked_at(rows) if rows else News()


def _looked_at(rows: Iterable[ChangeRow]) -> News:
    changes: list[TaskChange] = []
    others: list[int] = []
    pruned = False
    for row in rows:
        match events.decode(row.kind, row.body):
            case events.TasksChanged(rows=moved):
                changes += moved
            case (
                events.TasksProgressed(rows=told)
                | events.TasksLogged(rows=told)
                | events.TasksCancelRequested(rows=told)
                | events.ResultsRefused(rows=told)
            ):
                others += [item[0] for item in told]
            case events.TasksPruned():
                pruned = True
    touched = frozenset(chain((change.task_id for change in changes), others))
    return News(moved=True, changes=changes, touched=touched, pruned=pruned)

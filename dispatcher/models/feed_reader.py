"""Reading the change feed without skipping a row that commits late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Max

from dispatcher.models.feed import Change

#: How far behind the newest id an open transaction's id may lie, for a reader that starts at the end.
RECENT_IDS = 2000
#: Rows read in one go.
READ = 500


class ChangeRow(NamedTuple):
    """One row of the feed."""

    id: int
    at: datetime
    kind: str
    actor: str
    body: str


class FeedReader:
    """A position in the feed.

    Ids are given out before commit. On PostgreSQL a transaction may commit id 7 after another has committed id 8; a
    reader that only asks for ids above the last would never see 7. So every id that is missing below the position is
    remembered as a hole together with a transaction horizon: once every transaction that could have taken the id has
    ended, the hole is a rolled-back insert and is forgotten. SQLite commits in order of ids: no holes.

    Not thread-safe. A reader that needs exactly-once saves ``position`` and ``holes`` in the transaction of its work.
    """

    def __init__(self, position: int = 0, holes: Mapping[int, int] | None = None) -> None:
        self.position = position
        #: Missing id → the transaction id below which all must have ended before it is given up.
        self.holes: dict[int, int] = {int(k): int(v) for k, v in (holes or {}).items()}

    @classmethod
    def at_end(cls) -> FeedReader:
        """A reader of what comes from now on, transactions included that are open now and have taken their id."""
        last = latest_position()
        reader = cls(max(0, last - RECENT_IDS))
        # Only the ids: what the rows say may be long.
        recent = Change.objects.filter(id__gt=reader.position, id__lte=last).order_by("id")
        ids = list(recent.values_list("id", flat=True))
        if ids:
            reader._note_holes(ids)
            reader.position = ids[-1]
        return reader

    def read(self, limit: int = READ) -> list[ChangeRow]:
        """The next rows, late ones first; moves the position. With fewer than ``limit`` there is nothing more."""
        rows = self._read_holes()
        fresh = [
            ChangeRow(*row)
            for row in Change.objects.filter(id__gt=self.position)
            .order_by("id")
            .values_list("id", "at", "kind", "actor", "body")[:limit]
        ]
        if fresh:
            self._note_holes([row.id for row in fresh])
            self.position = fresh[-1].id
        return rows + fresh

    def _read_holes(self) -> list[ChangeRow]:
        if not self.holes:
            return []
        # The horizon is read before the rows: a transaction that ends in between is found by the next call.
        horizon = _oldest_running_transaction()
        late = [
            ChangeRow(*row)
            for row in Change.objects.filter(id__in=list(self.holes))
            .order_by("id")
            .values_list("id", "at", "kind", "actor", "body")
        ]
        for row in late:
            del self.holes[row.id]
        for missing in [hole for hole, limit in self.holes.items() if limit <= horizon]:
            del self.holes[missing]
        return late

    def _note_holes(self, ids: list[int]) -> None:
        if connection.vendor != "postgresql":
            return
        expected = ids[-1] - self.position
        if expected == len(ids):
            return
        limit = _next_transaction()
        present = set(ids)
        for missing in range(self.position + 1, ids[-1]):
            if missing not in present:
                self.holes[missing] = limit


def latest_position() -> int:
    """The highest id that is visible now; 0 for an empty feed."""
    return Change.objects.aggregate(last=Max("id"))["last"] or 0


def _oldest_running_transaction() -> int:
    return _number("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def _next_transaction() -> int:
    return _number("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")


def _number(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])

"""How many tasks are in which state: the stored counters plus the part of the feed that is not folded into them yet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.db import connection
from django.db.models import Count, Q

from dispatcher import events
from dispatcher.models import Change, Lane, Task
from dispatcher.models.lanes import lanes_by_id
from dispatcher.queries.filters import TaskFilters
from dispatcher.queries.shapes import Counts
from dispatcher.rollups import CURSOR
from dispatcher.rollups.aggregate import KINDS, state_differences
from dispatcher.states import ACTIVE, TaskState

#: Changes read beyond the counters. Engines fold four times a second; more than this means that none runs.
MAX_UNFOLDED = 5000

#: Counters and the position up to which the feed is in them, in one statement: both are of the same moment.
_STORED = """
    SELECT c.position, c.holes, s.lane_id, s.state, s.count
    FROM dispatcher_feedcursor c LEFT JOIN dispatcher_statecount s ON s.count <> 0
    WHERE c.name = %s
"""

_Differences = Mapping[tuple[int, int], int]


@dataclass(slots=True)
class _Cache:
    #: What unfolded changes add, by id and time of the change: several calls read them before they are folded.
    #: Replaced as a whole, never changed: other threads read the one or the other.
    unfolded: Mapping[tuple[int, datetime], _Differences]


_cache = _Cache({})


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Counts of this moment. Active tasks are counted together here, and apart in ``active``."""

    #: (lane id, state) → count, active tasks under RUNNING
    by_lane: Mapping[tuple[int, int], int]
    #: (node id, state) → count of active tasks
    active: Mapping[tuple[int, int], int]

    def totals(self, lane_ids: Collection[int] | None = None) -> Counts:
        """Counts per state, of these lanes or of all. Of some lanes, all active tasks count as running."""
        found: Counter[int] = Counter()
        for (lane_id, state), count in self.by_lane.items():
            if lane_ids is None or lane_id in lane_ids:
                found[state] += count
        if lane_ids is None:
            for state in ACTIVE:
                found[state] = sum(count for (_, active), count in self.active.items() if active == state)
        return cast("Counts", {state.word: max(0, found[state]) for state in TaskState})

    def per_queue(self, state: TaskState) -> Counter[str]:
        """Count in this state per queue."""
        found: Counter[str] = Counter()
        lanes = lanes_by_id({lane_id for lane_id, _ in self.by_lane})
        for (lane_id, counted), count in self.by_lane.items():
            if counted == state and lane_id in lanes:
                found[lanes[lane_id].queue] += count
        return found

    def lanes_with(self, state: TaskState) -> list[int]:
        """Ids of the lanes that have tasks in this state, fullest first."""
        found = [
            (count, lane_id) for (lane_id, counted), count in self.by_lane.items() if counted == state and count > 0
        ]
        return [lane_id for _, lane_id in sorted(found, reverse=True)]


def live_counts() -> LiveCounts:
    """Read the counts. Three or four small statements; what changes add is decoded once per process."""
    total, position, holes = _stored()
    for differences in _read_unfolded(position, holes):
        for key, count in differences.items():
            total[key] += count
    active = Task.objects.active().order_by().values_list("node_id", "state").annotate(held=Count("id"))
    return LiveCounts(
        by_lane={key: count for key, count in total.items() if count},
        active={(node_id, state): held for node_id, state, held in active if node_id is not None},
    )


def waiting_per_queue() -> Counter[str]:
    """How many tasks wait in each queue, for their time or for a slot. A few small statements; some may be uncounted
    while no engine runs.
    """  # fmt: skip
    total, position, holes = _stored()
    for differences in _read_unfolded(position, holes):
        for key, count in differences.items():
            total[key] += count
    counts = LiveCounts(by_lane=total, active={})
    waiting = counts.per_queue(TaskState.QUEUED)
    waiting.update(counts.per_queue(TaskState.SCHEDULED))
    return waiting


def forget() -> None:
    """Empty the cache (tests roll changes back, whose ids are given out again)."""
    _cache.unfolded = {}


def matching_lanes(filters: TaskFilters) -> set[int]:
    """Ids of the lanes whose tasks can match. Lanes are few."""
    lanes = Lane.objects.all()
    if filters.queues:
        lanes = lanes.filter(queue__in=filters.queues)
    if filters.types:
        lanes = lanes.filter(type__in=filters.types)
    return {
        pk for pk, queue, task_type in lanes.values_list("id", "queue", "type") if filters.takes_lane(queue, task_type)
    }


def _stored() -> tuple[Counter[tuple[int, int]], int, list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [CURSOR])
        rows = cursor.fetchall()
    total: Counter[tuple[int, int]] = Counter()
    # As JSON text on both databases: what is read past the ORM is not decoded.
    position, holes = 0, "{}"
    for position, holes, lane_id, state, count in rows:  # noqa: B007 - the same in every row, used below
        if lane_id is not None:
            total[lane_id, state] = count
    return total, position, [int(hole) for hole in json.loads(holes)]


def _read_unfolded(position: int, holes: Collection[int]) -> list[_Differences]:
    later = Q(id__gt=position) | Q(id__in=holes) if holes else Q(id__gt=position)
    keys = list(Change.objects.filter(later, kind__in=KINDS).order_by("id").values_list("id", "at")[:MAX_UNFOLDED])
    cached = _cache.unfolded
    known = {key: cached[key] for key in keys if key in cached}
    missing = [pk for pk, at in keys if (pk, at) not in known]
    if missing:
        rows = Change.objects.filter(id__in=missing).values_list("id", "at", "kind", "body")
        known |= {(pk, at): state_differences([events.decode(kind, body)]) for pk, at, kind, body in rows}
    _cache.unfolded = known
    return list(known.values())

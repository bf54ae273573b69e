"""Folding the feed into the stored counters: each change exactly once, whichever engine does it.

The cursor's row is locked first, so that folds of several engines take turns, and it moves in the transaction that
stores what was read. One batch of the feed costs about ten statements, however many tasks it is about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from dispatcher import events
from dispatcher.models import Change, FeedCursor, MinuteRollup, NodeMinute, StateCount
from dispatcher.models.feed_reader import ChangeRow, FeedReader
from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.longest_waits import waiting_since
from dispatcher.rollups import histogram, spans
from dispatcher.rollups.aggregate import DEPTH, KINDS, OLDEST, Aggregate, Tally
from dispatcher.rollups.spans import Key
from dispatcher.states import TaskState

#: The cursor of the counters.
CURSOR = "rollups"
#: Its position is the last minute (minutes since 1970) for which depths are written.
DEPTH_CURSOR = "rollups.depth"

MINUTE = timedelta(minutes=1)
#: Minutes without a fold (no engine ran) for which depths are written afterwards.
_MOST_MISSED_MINUTES = 60
KEEP_NODE_MINUTES = timedelta(hours=3)
_QUEUED = TaskState.QUEUED.value


class RollupResult(NamedTuple):
    """``rows``: changes folded. ``more``: call again at once, the batch was full."""

    rows: int
    more: bool


def fold(now: datetime, limit: int = 500) -> RollupResult:
    """Fold the next ``limit`` changes of the feed into the counters, in one transaction.

    Without news it costs two small reads and no transaction.
    """
    if not _has_news(now):
        return RollupResult(0, more=False)
    with transaction.atomic():
        cursor = _locked(CURSOR)
        reader = FeedReader(cursor.position, cursor.holes)
        rows = reader.read(limit)
        total = _sum(rows)
        caught_up = len(rows) < limit
        depths = _Depths.read(total)
        _store_states(depths.counts, total)
        until = now if caught_up else rows[-1].at
        added = _store_minutes(total, depths.rows(until, are_current=caught_up))
        is_behind = spans.follow(added, until)
        _store_nodes(total.nodes)
        if (reader.position, reader.holes) != (cursor.position, {int(k): v for k, v in cursor.holes.items()}):
            cursor.position, cursor.holes = reader.position, {str(k): v for k, v in reader.holes.items()}
            cursor.save(update_fields=["position", "holes"])
    return RollupResult(len(rows), more=not caught_up or is_behind)


def _has_news(now: datetime) -> bool:
    """Whether the feed goes on, a new minute needs its depths, or a span is over."""
    names = (CURSOR, DEPTH_CURSOR, *spans.CURSORS.values())
    cursors = {cursor.name: cursor for cursor in FeedCursor.objects.filter(name__in=names)}
    if not {CURSOR, DEPTH_CURSOR} <= cursors.keys() or cursors[DEPTH_CURSOR].position < _minute_number(now):
        return True
    cursor = cursors[CURSOR]
    return bool(cursor.holes) or Change.objects.filter(id__gt=cursor.position).exists() or spans.is_behind(now, cursors)


def _locked(name: str) -> FeedCursor:
    FeedCursor.objects.get_or_create(name=name)
    return FeedCursor.objects.select_for_update().get(name=name)


def _sum(rows: Sequence[ChangeRow]) -> Aggregate:
    total = Aggregate()
    for row in rows:
        if row.kind in KINDS:
            total.add(events.decode(row.kind, row.body), row.at.astimezone(UTC))
    return total


class _Depths:
    """The counts that a batch touches and those of ready tasks, and the depth of each queue before and after it."""

    def __init__(self, counts: dict[tuple[int, int], int], total: Aggregate) -> None:
        self.counts = counts
        self._before = _per_queue({lane: n for (lane, state), n in counts.items() if state == _QUEUED})
        moved = {lane: n for (lane, state), n in total.states.items() if state == _QUEUED}
        self._moved = _per_queue(moved)

    @classmethod
    def read(cls, total: Aggregate) -> _Depths:
        """Read the counts that the batch touches, and all of ready tasks."""
        touched = {lane for lane, _ in total.states}
        rows = StateCount.objects.filter(Q(lane_id__in=touched) | Q(state=_QUEUED, count__gt=0))
        return cls({(row.lane_id, row.state): row.count for row in rows}, total)

    def rows(self, until: datetime, *, are_current: bool) -> dict[Key, int]:
        """The gauges for the minute of ``until`` and for those before it that have none yet.

        How long tasks have waited is only known of now: ``are_current`` False leaves it out.
        """
        cursor = _locked(DEPTH_CURSOR)
        last, number = cursor.position, _minute_number(until)
        if number < last:
            # A clock was set back: the later minute stays as it is.
            return {}
        found = {
            (_minute(missed), queue, "", DEPTH): depth
            for missed in range(max(last + 1, number - _MOST_MISSED_MINUTES), number)
            for queue, depth in self._before.items()
            if depth
        }
        # Within a minute only what moved, also to nothing: the rest is written as it is.
        for queue in self._moved if number == last else self._before.keys() | self._moved.keys():
            found[_minute(number), queue, "", DEPTH] = self._before[queue] + self._moved[queue]
        if number > last:
            if are_current:
                # Of the minute that is just over.
                found |= {(_minute(number - 1), queue, "", OLDEST): age for queue, age in self._ages(until).items()}
            cursor.position = number
            cursor.save(update_fields=["position"])
            NodeMinute.objects.filter(minute__lt=until - KEEP_NODE_MINUTES).delete()
        return found

    def _ages(self, now: datetime) -> dict[str, int]:
        """How long the longest-waiting ready task of each queue has waited, in milliseconds."""
        waiting = [(count, lane) for (lane, state), count in self.counts.items() if state == _QUEUED and count > 0]
        since = waiting_since([lane for _, lane in sorted(waiting, reverse=True)])
        return {queue: max(0, round((now - start) / timedelta(milliseconds=1))) for queue, start in since.items()}


def _per_queue(by_lane: Mapping[int, int]) -> Counter[str]:
    lanes = lanes_by_id(by_lane)
    found: Counter[str] = Counter()
    for lane_id, count in by_lane.items():
        if lane_id in lanes:
            found[lanes[lane_id].queue] += count
    return found


def _store_states(counts: Mapping[tuple[int, int], int], total: Aggregate) -> None:
    StateCount.objects.bulk_create(
        (
            StateCount(lane_id=lane_id, state=state, count=counts.get((lane_id, state), 0) + difference)
            for (lane_id, state), difference in sorted(total.states.items())
            if difference
        ),
        update_conflicts=True,
        unique_fields=["lane_id", "state"],
        update_fields=["count"],
    )


def _store_minutes(total: Aggregate, gauges: Mapping[Key, int]) -> dict[Key, Tally]:
    """Add the tallies to the stored rows and set the gauges; what was added and set."""
    lanes = lanes_by_id({lane_id for _, lane_id, _ in total.minutes})
    tallies: defaultdict[Key, Tally] = defaultdict(Tally)
    for (minute, lane_id, word), tally in total.minutes.items():
        lane = lanes[lane_id]
        tallies[minute, lane.queue, lane.type, word].add(tally)
    added = {key: replace(tally, wait=[*tally.wait], run=[*tally.run]) for key, tally in tallies.items()}
    found = MinuteRollup.objects.filter(minute__in={minute for minute, _, _ in total.minutes}) if tallies else ()
    for row in found:
        key = (row.minute, row.queue, row.type, row.outcome)
        if key in tallies:
            tallies[key].add(_tally_of(row))
    for key, value in gauges.items():
        tallies[key] = added[key] = Tally(value)
    MinuteRollup.objects.bulk_create(
        (_minute_row(key, tallies[key]) for key in sorted(tallies)),
        update_conflicts=True,
        unique_fields=["minute", "queue", "type", "outcome"],
        update_fields=["count", "wait_ms_sum", "run_ms_sum", "wait_histogram", "run_histogram"],
    )
    return added


def _tally_of(row: MinuteRollup) -> Tally:
    wait, run = histogram.decode(row.wait_histogram), histogram.decode(row.run_histogram)
    return Tally(row.count, row.wait_ms_sum, row.run_ms_sum, wait, run)


def _minute_row(key: Key, tally: Tally) -> MinuteRollup:
    minute, queue, task_type, outcome = key
    return MinuteRollup(minute=minute, queue=queue, type=task_type, outcome=outcome, **tally.columns)


def _store_nodes(nodes: Mapping[tuple[datetime, int], Sequence[int]]) -> None:
    if not nodes:
        return
    stored = {
        (row.minute, row.node_id): row for row in NodeMinute.objects.filter(minute__in={minute for minute, _ in nodes})
    }
    rows = []
    for (minute, node_id), (succeeded, failed) in sorted(nodes.items()):
        row = stored.get((minute, node_id)) or NodeMinute(minute=minute, node_id=node_id)
        rows.append(
            NodeMinute(minute=minute, node_id=node_id, succeeded=row.succeeded + succeeded, failed=row.failed + failed)
        )
    NodeMinute.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["minute", "node_id"], update_fields=["succeeded", "failed"]
    )


def _minute_number(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _minute(number: int) -> datetime:
    return datetime.fromtimestamp(number * 60, UTC)

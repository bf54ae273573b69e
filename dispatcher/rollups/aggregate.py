"""What a batch of changes adds to the counters: many transitions summed up in memory, in few passes. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from dispatcher.events import Event, TaskChange, TasksChanged, TasksPruned
from dispatcher.rollups import histogram
from dispatcher.rollups.histogram import Histogram
from dispatcher.states import TERMINAL, WAITING, AttemptOutcome, TaskState

#: Kinds of events that the counters are made of.
KINDS = (TasksChanged.kind, TasksPruned.kind)

CREATED, SUCCEEDED, DEAD, CANCELLED, EXPIRED = "created", "succeeded", "dead", "cancelled", "expired"
#: Attempts that failed or were lost and are followed by another.
RETRIED = "retried"
#: A gauge: ready tasks of a queue at the end of the minute.
DEPTH = "depth"
#: A gauge: how long the longest-waiting ready task of a queue has waited at the end of the minute, in milliseconds.
OLDEST = "oldest"
#: What is set and not added up; of several the highest counts.
GAUGES = frozenset({DEPTH, OLDEST})

FAILURES = frozenset(
    word.value
    for word in (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.CRASHED, AttemptOutcome.LOST)
)
#: Outcomes of attempts whose durations say something about the tasks.
TIMED = frozenset({SUCCEEDED, AttemptOutcome.FAILED.value, AttemptOutcome.TIMED_OUT.value})

_END_WORDS = {
    TaskState.SUCCEEDED.value: SUCCEEDED,
    TaskState.FAILED.value: DEAD,
    TaskState.CANCELLED.value: CANCELLED,
    TaskState.EXPIRED.value: EXPIRED,
}
_WAITING = frozenset(state.value for state in WAITING)
_TERMINAL = frozenset(state.value for state in TERMINAL)
_KIND_OF_MOVE = attrgetter("lane_id", "from_state", "to_state", "outcome", "node_id")


@dataclass(slots=True)
class Tally:
    """Ended attempts or tasks of one minute, lane and word. Durations in milliseconds."""

    count: int = 0
    wait_ms_sum: float = 0.0
    run_ms_sum: float = 0.0
    wait: Histogram = field(default_factory=histogram.empty)
    run: Histogram = field(default_factory=histogram.empty)

    @property
    def columns(self) -> dict[str, Any]:
        """As rows of minutes and spans keep it."""
        return {
            "count": self.count,
            "wait_ms_sum": self.wait_ms_sum,
            "run_ms_sum": self.run_ms_sum,
            "wait_histogram": histogram.encode(self.wait),
            "run_histogram": histogram.encode(self.run),
        }

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.count += other.count
        self.wait_ms_sum += other.wait_ms_sum
        self.run_ms_sum += other.run_ms_sum
        histogram.add(self.wait, other.wait)
        histogram.add(self.run, other.run)

    def time(self, rows: Sequence[TaskChange]) -> None:
        """Take in the durations of ended attempts; the count is kept apart."""
        waits = [histogram.clamp(row.wait_ms) for row in rows if row.wait_ms is not None]
        runs = [histogram.clamp(row.run_ms) for row in rows if row.run_ms is not None]
        self.wait_ms_sum += sum(waits)
        self.run_ms_sum += sum(runs)
        histogram.add(self.wait, histogram.histogram(waits))
        histogram.add(self.run, histogram.histogram(runs))


class Aggregate:
    """The sum of many changes. ``states`` holds differences, the others what happened."""

    def __init__(self) -> None:
        #: (lane id, state) → difference; active tasks count under RUNNING.
        self.states: Counter[tuple[int, int]] = Counter()
        #: (minute, lane id, word) → tally
        self.minutes: defaultdict[tuple[datetime, int, str], Tally] = defaultdict(Tally)
        #: (minute, node id) → [succeeded, failed]
        self.nodes: defaultdict[tuple[datetime, int], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, event: Event | None, at: datetime) -> None:
        """Take in one event of the feed; those that say nothing about counts change nothing."""
        if isinstance(event, TasksChanged):
            self._add_moves(event.rows, at.replace(second=0, microsecond=0))
        elif isinstance(event, TasksPruned):
            for lane_id, state, count in event.counts:
                self.states[lane_id, counted_as(state)] -= count

    def _add_moves(self, rows: Sequence[TaskChange], minute: datetime) -> None:
        for (lane_id, before, after, outcome, node_id), count in Counter(map(_KIND_OF_MOVE, rows)).items():
            add_move(self.states, lane_id, before, after, count)
            for word in _words(before, after, outcome):
                self.minutes[minute, lane_id, word].count += count
            if node_id is not None and (outcome == SUCCEEDED or outcome in FAILURES):
                self.nodes[minute, node_id][outcome != SUCCEEDED] += count
        timed: defaultdict[tuple[int, str], list[TaskChange]] = defaultdict(list)
        for row in rows:
            if row.outcome in TIMED:
                timed[row.lane_id, row.outcome].append(row)
        for (lane_id, outcome), ended in timed.items():
            self.minutes[minute, lane_id, outcome].time(ended)


def add_move(states: Counter[tuple[int, int]], lane_id: int, before: int | None, after: int, count: int) -> None:
    """Move ``count`` tasks of a lane from one state to another."""
    if before is not None:
        states[lane_id, counted_as(before)] -= count
    states[lane_id, counted_as(after)] += count


def counted_as(state: int) -> int:
    """The state under which a task is counted: the two active ones are not told apart."""
    return TaskState.RUNNING.value if state == TaskState.DISPATCHED.value else state


def state_differences(events: Iterable[Event | None]) -> Counter[tuple[int, int]]:
    """Only what the events change in the counts per lane and state, for those who need nothing else."""
    states: Counter[tuple[int, int]] = Counter()
    for event in events:
        if isinstance(event, TasksChanged):
            moves = Counter(map(attrgetter("lane_id", "from_state", "to_state"), event.rows))
            for (lane_id, before, after), count in moves.items():
                add_move(states, lane_id, before, after, count)
        elif isinstance(event, TasksPruned):
            for lane_id, state, count in event.counts:
                states[lane_id, counted_as(state)] -= count
    return states


def _words(before: int | None, after: int, outcome: str) -> set[str]:
    """Under which words a move is counted in its minute."""
    words = {outcome} if outcome else set()
    if before is None:
        words.add(CREATED)
    if after in _TERMINAL and before not in _TERMINAL:
        words.add(_END_WORDS[after])
    elif after in _WAITING and outcome in FAILURES:
        words.add(RETRIED)
    return words

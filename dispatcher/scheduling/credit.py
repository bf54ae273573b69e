"""How much a node may hold: its slots, and while tasks are short a credit window beyond them.

A node that gets its next task only after reporting the last one waits for the network in between; a window of work in
flight hides that. A window of *long* tasks would bind them to a node long before it can start them. So the window is
measured in seconds of waiting work, not in tasks:

- A task whose type is known to run for less than ``LONG_SECONDS`` is short. Any other (long, or of a type that never
  succeeded yet) is long and occupies a slot.
- A long task is taken while a slot is not occupied by another long one. It may find short ones ahead of it, which
  are ``TARGET_SECONDS`` of work at most.
- A short task is taken while at least one slot is not occupied by a long one, and the short tasks that would have to
  wait for a slot amount to at most ``TARGET_SECONDS`` of work per such slot, and to at most ``MAX_EXTRA`` tasks.

For one short type alone that is ``slots + (slots - long) * TARGET_SECONDS / mean`` tasks. Whether there is room does
not depend on *which* short type asks: were it so, a steady stream of one type could keep another out for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from dispatcher.scheduling.snapshot import NodeView, TypeRecord
from dispatcher.states import BreakerState

LONG_SECONDS: Final = 0.25
TARGET_SECONDS: Final = 0.25
MAX_EXTRA: Final = 1000
#: Sums of floats may exceed a limit by rounding only.
_ROUNDING: Final = 1.0 + 1e-9


def short_mean(records: Mapping[str, TypeRecord], type_: str) -> float | None:
    """Mean run time in seconds if tasks of the type are known to be short, else None."""
    record = records.get(type_)
    return record.mean_seconds if record is not None and record.mean_seconds < LONG_SECONDS else None


class NodeLoad:
    """What a node holds during one pass of decisions: our own copy, changed by every assignment.

    Room only ever shrinks during a pass: a node that is full for a lane stays full for it.
    """

    __slots__ = ("ceiling", "is_on_trial", "long", "node", "short", "short_seconds", "slots", "suspects", "total")

    def __init__(self, node: NodeView, mean_by_lane: Mapping[int, float | None]) -> None:
        """``mean_by_lane``: ``short_mean`` of every lane in flight; a lane that is missing counts as long."""
        self.node = node
        self.slots = node.slots
        #: Tasks that have crashed before.
        self.suspects = node.suspects
        self.is_on_trial = node.breaker is BreakerState.HALF_OPEN
        #: No more than this in flight, whatever the tasks.
        self.ceiling = self._ceiling()
        self.total = self.long = self.short = 0
        #: Mean run times of all short tasks in flight, added up.
        self.short_seconds = 0.0
        for lane_id, count in node.in_flight.items():
            self.take(mean_by_lane.get(lane_id), count)

    def _ceiling(self) -> int:
        if self.is_on_trial:
            return min(1, self.slots)
        return self.slots if self.node.single_push else self.slots + MAX_EXTRA

    def take(self, mean: float | None, count: int = 1) -> None:
        """Add ``count`` tasks with this ``short_mean`` (None: long)."""
        self.total += count
        if mean is None:
            self.long += count
        else:
            self.short += count
            self.short_seconds += mean * count

    def has_room(self, mean: float | None) -> bool:
        """Whether one more task with this ``short_mean`` may be sent."""
        if self.total >= self.ceiling or self.long >= self.slots:
            return False
        return mean is None or self._has_credit(self.short, self.short_seconds)

    def _has_credit(self, short: int, seconds: float) -> bool:
        """Whether a short task may join ``short`` others worth ``seconds`` of work, given a slot no long one holds."""
        open_slots = self.slots - self.long
        waiting = short - open_slots + 1
        if waiting <= 0:
            return True
        return waiting * seconds <= open_slots * TARGET_SECONDS * short * _ROUNDING

    def room(self, mean: float | None) -> int:
        """How many tasks with this ``short_mean`` could be added, one after the other, if nothing else changed."""
        top = max(0, self.ceiling - self.total)
        if self.long >= self.slots:
            return 0
        if mean is None:
            return min(top, self.slots - self.long)
        # Credit is there for the first so many and never again after.
        return bisect_left(
            range(top), 1, key=lambda more: not self._has_credit(self.short + more, self.short_seconds + more * mean)
        )

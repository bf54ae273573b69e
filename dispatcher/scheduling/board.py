"""The board a pass of decisions is played on: loads of all nodes, and the seats each lane has among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispatcher.scheduling import gates
from dispatcher.scheduling.credit import NodeLoad, short_mean
from dispatcher.scheduling.reasons import Reason
from dispatcher.scheduling.snapshot import LaneView, Snapshot

#: A record may say what it likes; a policy divides by it.
MIN_SPEED: Final = 0.01


class Seat:
    """A node as one lane sees it: it fits and is healthy; whether it has room changes with every assignment."""

    __slots__ = ("keyed_at", "load", "mean", "mine", "node_id", "order", "speed")

    def __init__(self, load: NodeLoad, lane: LaneView, mean: float | None, speed: float, order: int) -> None:
        self.load = load
        self.node_id = load.node.id
        #: ``short_mean`` of the lane's type.
        self.mean = mean
        #: 1.0 is the type's average; higher is faster.
        self.speed = speed
        #: Place in the snapshot; breaks ties.
        self.order = order
        #: Tasks of this lane in flight there.
        self.mine = load.node.in_flight.get(lane.id, 0)
        #: ``load.total`` at the time a policy last scored the seat.
        self.keyed_at = -1

    def has_room(self) -> bool:
        """Whether the node may be sent one more task of the lane."""
        return self.load.has_room(self.mean)

    def take(self) -> None:
        """Account for one more task of the lane on the node."""
        self.load.take(self.mean)
        self.mine += 1


@dataclass(frozen=True, slots=True)
class Seating:
    """What the gates make of a lane. Room never grows during a pass, so a node that is full has no seat."""

    #: Nodes that could take a task when the lane was seated.
    seats: list[Seat]
    #: Places of nodes that had no room then.
    full: list[int]
    #: One reason for all nodes, or one for each node that neither fits nor is healthy.
    closed: list[Reason]

    def has_room(self) -> bool:
        """Whether any node may be sent one more task of the lane."""
        return any(seat.has_room() for seat in self.seats)


class Board:
    """Loads, health and conditions of one snapshot; loads change as tasks are assigned."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.conditions = gates.conditions(snapshot)
        mean_by_lane = {lane.id: short_mean(snapshot.records, lane.type) for lane in snapshot.lanes}
        self.loads = [NodeLoad(node, mean_by_lane) for node in snapshot.nodes]
        self._health = [gates.health_reason(node, self.conditions) for node in snapshot.nodes]
        self._memory = _working_copy(snapshot)
        #: By place in the snapshot; made at the end of a pass, when loads are final.
        self._full: dict[int, Reason] = {}

    def memory_of(self, queue: str) -> dict[int, int]:
        """What the policy of a queue remembers of each node; to be changed in place."""
        return self._memory.setdefault(queue, {})

    def memory(self) -> dict[str, dict[int, int]]:
        """What policies remember by now, for the next snapshot."""
        return {queue: standing for queue, standing in self._memory.items() if standing}

    def seat(self, lane: LaneView) -> Seating:
        """Ask the gates, once per node."""
        reason = gates.lane_reason(lane, self.snapshot)
        if reason is not None:
            return Seating([], [], [reason])
        record = self.snapshot.records.get(lane.type)
        speeds = record.speed_by_node if record is not None else {}
        mean = short_mean(self.snapshot.records, lane.type)
        seats: list[Seat] = []
        full: list[int] = []
        closed: list[Reason] = []
        for order, (load, unhealthy) in enumerate(zip(self.loads, self._health, strict=True)):
            reason = gates.fit_reason(lane, load.node) or unhealthy
            if reason is not None:
                closed.append(reason)
            elif load.has_room(mean):
                seats.append(Seat(load, lane, mean, max(MIN_SPEED, speeds.get(load.node.id, 1.0)), order))
            else:
                full.append(order)
        return Seating(seats, full, closed)

    def verdict(self, seating: Seating) -> tuple[Reason, ...]:
        """The decisive reasons of a lane without room, after the last assignment: one for all nodes, or one each."""
        places = [*seating.full, *(seat.order for seat in seating.seats)]
        return (*seating.closed, *(self._full.get(place) or self._full_reason(place) for place in places))

    def _full_reason(self, place: int) -> Reason:
        reason = self._full[place] = gates.load_reason(self.loads[place])
        return reason


def _working_copy(snapshot: Snapshot) -> dict[str, dict[int, int]]:
    """A copy of the memory without queues and nodes that are gone, so that it stays bounded."""
    nodes = {node.id for node in snapshot.nodes}
    return {
        queue: {node_id: number for node_id, number in old.items() if node_id in nodes}
        for queue, old in snapshot.memory.items()
        if queue in snapshot.queues and isinstance(old, Mapping)
    }

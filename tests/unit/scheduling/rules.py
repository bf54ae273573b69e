"""The rules of placement written a second time, slowly and plainly, to hold ``decide`` and ``explain`` against."""

from __future__ import annotations

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.snapshot import LaneView, NodeView, Snapshot
from dispatcher.states import BreakerState, NodeIntent, NodeState


def is_otherwise_healthy(node: NodeView, now: float) -> bool:
    return (
        node.state == NodeState.ONLINE
        and node.intent == NodeIntent.RUN
        and not node.draining
        and node.not_before <= now
        and not node.is_unproven
        and node.slots > 0
    )


def is_panic(given: Snapshot) -> bool:
    healthy = [n for n in given.nodes if is_otherwise_healthy(n, given.now)]
    return len(healthy) > 0 and all(n.breaker == BreakerState.OPEN for n in healthy)


def fits(lane: LaneView, node: NodeView) -> bool:
    return (
        (len(node.queues) == 0 or lane.queue in node.queues)
        and (node.types is None or lane.type in node.types)
        and all(node.labels.get(k) == v for k, v in lane.labels.items())
    )


class Book:
    """What each node holds, task by task, as a list of lanes."""

    def __init__(self, given: Snapshot) -> None:
        self.given = given
        self.panic = is_panic(given)
        self.types = {one.id: one.type for one in given.lanes}
        self.held = {n.id: [i for i, count in n.in_flight.items() for _ in range(count)] for n in given.nodes}

    def mean(self, lane_id: int) -> float | None:
        record = self.given.records.get(self.types.get(lane_id, ""))
        return None if record is None or record.mean_seconds >= 0.25 else record.mean_seconds

    def may_take(self, lane: LaneView, node: NodeView) -> bool:
        """Whether the node may be sent one more task of the lane."""
        paused = lane.queue in self.given.queues and self.given.queues[lane.queue].paused
        if paused or not fits(lane, node) or not is_otherwise_healthy(node, self.given.now):
            return False
        if node.breaker == BreakerState.OPEN and not self.panic:
            return False
        held = self.held[node.id]
        if node.breaker == BreakerState.HALF_OPEN:
            return len(held) < 1
        if node.single_push and len(held) >= node.slots:
            return False
        if len(held) >= node.slots + 1000:
            return False
        short = [m for m in map(self.mean, held) if m is not None]
        for_short = node.slots - (len(held) - len(short))
        if for_short <= 0:
            return False
        if self.mean(lane.id) is None or len(short) < for_short:
            return True
        waiting_seconds = (len(short) + 1 - for_short) * (sum(short) / len(short))
        return waiting_seconds <= for_short * 0.25 + 1e-6

    def anyone(self, lane: LaneView, besides: int | None = None) -> bool:
        return any(self.may_take(lane, n) for n in self.given.nodes if n.id != besides)


def check(given: Snapshot, limit: int) -> None:
    """Play the decision's assignments by the rules and assert that each was the right one to make next."""
    decision = decide(given, limit)
    book = Book(given)
    lanes = {one.id: one for one in given.lanes}
    nodes = {n.id: n for n in given.nodes}
    left = {one.id: list(one.heads) for one in given.lanes}
    for made in decision.assignments:
        open_lanes = [i for i, heads in left.items() if heads and book.anyone(lanes[i])]
        next_up = min(open_lanes, key=lambda i: (-left[i][0].priority, left[i][0].id))
        task = left[next_up].pop(0)
        assert (made.task_id, made.lane_id) == (task.id, next_up)
        assert book.may_take(lanes[next_up], nodes[made.node_id])
        if made.node_id == task.avoid_node_id:
            assert not book.anyone(lanes[next_up], besides=made.node_id)
        book.held[made.node_id].append(next_up)
    stuck = {i for i, heads in left.items() if heads and not book.anyone(lanes[i])}
    assert set(decision.blocked) == stuck
    if len(decision.assignments) < limit:
        assert stuck == {i for i, heads in left.items() if heads}

"""``explain``: why a task waits, or where it goes, by the very gates and policy that decide."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dispatcher.scheduling import gates
from dispatcher.scheduling.board import Board
from dispatcher.scheduling.credit import NodeLoad, short_mean
from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.reasons import Reason, ReasonClass, classify, hardest, summarise
from dispatcher.scheduling.snapshot import LaneView, Snapshot, TaskHead


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node's part in an explanation."""

    node_id: int
    name: str
    #: Every closed gate, the decisive one first; empty if the node could take the task now.
    reasons: tuple[Reason, ...]
    in_flight: int
    slots: int
    #: Most tasks it would have in flight if it were filled up with this lane now.
    capacity: int
    #: How fast it is at this type against the average (1.0), as far as known.
    speed: float
    #: The last attempt ended badly there; it gets the task only if no other node can take it.
    is_avoided: bool

    @property
    def is_eligible(self) -> bool:
        """Whether the node could take the task now."""
        return not self.reasons

    @property
    def reason_class(self) -> ReasonClass | None:
        """What it takes before the node can; None if it can now."""
        return hardest(self.reasons) if self.reasons else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task waits. ``reason_class`` is None if nothing but its turn stands between it and ``node_id``."""

    reason_class: ReasonClass | None
    #: What is closed on every node alike.
    reasons: tuple[Reason, ...]
    rows: tuple[NodeRow, ...]
    #: Where it would go now if it were its turn.
    node_id: int | None
    sentence: str
    #: What the sentence is made of: one reason for all nodes, or that of each.
    because: tuple[Reason, ...] = ()
    #: What it adds: that of each node, where none could take the task even without the reason for all.
    besides: tuple[Reason, ...] = ()


def explain(snapshot: Snapshot, lane: LaneView, task: TaskHead) -> Explanation:
    """Explain ``task`` of ``lane`` as things stand in ``snapshot``; neither need be in it.

    Agrees with ``decide``: there is a ``reason_class`` if and only if a decision would leave the lane blocked.
    """
    board = Board(snapshot)
    reasons = tuple(r for gate in gates.LANE_GATES if (r := gate(lane, snapshot)) is not None)
    rows = tuple(_row(board, load, lane, task) for load in board.loads)
    if reasons or not any(row.is_eligible for row in rows):
        decisive = reasons[:1] or tuple(row.reasons[0] for row in rows)
        reason_class = classify(decisive)
        is_shut_anyway = bool(reasons) and bool(rows) and not any(row.is_eligible for row in rows)
        besides = tuple(row.reasons[0] for row in rows) if is_shut_anyway else ()
        sentence = _waiting(decisive, reason_class, besides)
        return Explanation(reason_class, reasons, rows, None, sentence, decisive, besides)
    node_id = _chosen(snapshot, lane, task)
    name = next(row.name for row in rows if row.node_id == node_id)
    return Explanation(None, (), rows, node_id, f"Nothing stands in its way: node {name} takes it when its turn comes.")


def _row(board: Board, load: NodeLoad, lane: LaneView, task: TaskHead) -> NodeRow:
    node = load.node
    snapshot = board.snapshot
    mean = short_mean(snapshot.records, lane.type)
    closed = [gate(lane, node) for gate in gates.FIT_GATES]
    closed += [gate(node, board.conditions) for gate in gates.HEALTH_GATES]
    if load.slots > 0 and not load.has_room(mean):
        closed.append(gates.load_reason(load))
    record = snapshot.records.get(lane.type)
    return NodeRow(
        node_id=node.id,
        name=node.name,
        reasons=tuple(reason for reason in closed if reason is not None),
        in_flight=load.total,
        slots=load.slots,
        capacity=load.total + load.room(mean),
        speed=record.speed_by_node.get(node.id, 1.0) if record is not None else 1.0,
        is_avoided=node.id == task.avoid_node_id,
    )


def _chosen(snapshot: Snapshot, lane: LaneView, task: TaskHead) -> int:
    """The node that ``decide`` gives the task if it is the only one ready."""
    others = [replace(other, heads=()) for other in snapshot.lanes if other.id != lane.id]
    alone = replace(snapshot, lanes=[*others, replace(lane, heads=(task,))])
    return decide(alone, 1).assignments[0].node_id


_UNTIL = {
    ReasonClass.TRANSIENT: "this passes by itself",
    ReasonClass.OPERATOR: "somebody has to act",
    ReasonClass.IMPOSSIBLE: "no registered node can ever run it as declared",
}


def _waiting(because: tuple[Reason, ...], reason_class: ReasonClass, besides: tuple[Reason, ...]) -> str:
    """The sentence for a task that has to wait."""
    clause = summarise(because)
    sentence = f"{clause[0].upper()}{clause[1:]}; {_UNTIL[reason_class]}"
    if besides:
        sentence += ", and besides, " + summarise(besides)
    return sentence + "."

"""The gate chain: queue open → node fits → node healthy → room on the node.

A gate looks at one thing and returns the reason why it is closed, or None. ``decide`` stops at the first closed gate,
``explain`` asks them all. A new gate is a function and an entry in the tuple of its stage: ``LANE_GATES`` for what
holds for a lane on every node, ``FIT_GATES`` for what node and lane declare, ``HEALTH_GATES`` for the node alone.

Within a node's chain gates stand from what only declarations change, over what people change, to what passes by
itself. So the first closed gate is also the hardest, and looking at it alone gives the class of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import NamedTuple

from dispatcher.scheduling.credit import NodeLoad
from dispatcher.scheduling.reasons import Reason, ReasonCode
from dispatcher.scheduling.snapshot import LaneView, NodeView, Snapshot
from dispatcher.states import BreakerState, NodeIntent, NodeState


class Conditions(NamedTuple):
    """What health gates need besides the node. ``is_panic``: breakers are not heeded, see ``conditions``."""

    now: float
    is_panic: bool


LaneGate = Callable[[LaneView, Snapshot], Reason | None]
FitGate = Callable[[LaneView, NodeView], Reason | None]
HealthGate = Callable[[NodeView, Conditions], Reason | None]


def queue_open(lane: LaneView, snapshot: Snapshot) -> Reason | None:
    """Closed while the lane's queue is paused."""
    queue = snapshot.queues.get(lane.queue)
    if queue is None or not queue.paused:
        return None
    return Reason(ReasonCode.QUEUE_PAUSED, None, (lane.queue, queue.pause_reason))


def any_node(_lane: LaneView, snapshot: Snapshot) -> Reason | None:
    """Closed while there is no node at all."""
    return None if snapshot.nodes else Reason(ReasonCode.NO_NODES, None)


def serves_queue(lane: LaneView, node: NodeView) -> Reason | None:
    """Closed if the node is reserved for other queues."""
    if not node.queues or lane.queue in node.queues:
        return None
    return Reason(ReasonCode.QUEUE_NOT_SERVED, node.id, (node.name, lane.queue))


def runs_type(lane: LaneView, node: NodeView) -> Reason | None:
    """Closed if the node does not know the task type."""
    if node.types is None or lane.type in node.types:
        return None
    return Reason(ReasonCode.TYPE_NOT_RUN, node.id, (node.name, lane.type))


def has_labels(lane: LaneView, node: NodeView) -> Reason | None:
    """Closed at the first required label that the node lacks or has with another value."""
    for key, wanted in lane.labels.items():
        found = node.labels.get(key)
        if found is None:
            return Reason(ReasonCode.LABEL_MISSING, node.id, (node.name, key, wanted))
        if found != wanted:
            return Reason(ReasonCode.LABEL_DIFFERS, node.id, (node.name, key, wanted, found))
    return None


def has_slots(node: NodeView, _given: Conditions) -> Reason | None:
    """Closed if the node declares no slots at all."""
    return Reason(ReasonCode.NODE_WITHOUT_SLOTS, node.id, (node.name,)) if node.slots < 1 else None


def is_wanted(node: NodeView, _given: Conditions) -> Reason | None:
    """Closed by the operator's intent: disabled, or draining."""
    if node.intent is NodeIntent.RUN:
        return None
    code = ReasonCode.NODE_DISABLED if node.intent is NodeIntent.DISABLED else ReasonCode.NODE_DRAINED
    return Reason(code, node.id, (node.name,))


def is_heard(node: NodeView, _given: Conditions) -> Reason | None:
    """Closed by the failure detector: offline, or silent for a while."""
    if node.state is NodeState.ONLINE:
        return None
    code = ReasonCode.NODE_OFFLINE if node.state is NodeState.OFFLINE else ReasonCode.NODE_SUSPECT
    return Reason(code, node.id, (node.name,))


def takes_work(node: NodeView, _given: Conditions) -> Reason | None:
    """Closed once the node itself wants no more."""
    return Reason(ReasonCode.NODE_STOPPING, node.id, (node.name,)) if node.draining else None


def is_rested(node: NodeView, given: Conditions) -> Reason | None:
    """Closed until ``not_before``, and after failed requests until one got through."""
    left = ceil(node.not_before - given.now)
    if left <= 0 and not node.is_unproven:
        return None
    return Reason(ReasonCode.NODE_RESTING, node.id, (node.name, max(left, 0)))


def breaker_closed(node: NodeView, given: Conditions) -> Reason | None:
    """Closed (for tasks) while the node's breaker is open, except in a panic. Half open: ``NodeLoad`` allows one."""
    if node.breaker is not BreakerState.OPEN or given.is_panic:
        return None
    left = ceil(node.breaker_until - given.now)
    return Reason(ReasonCode.BREAKER_OPEN, node.id, (node.name, max(left, 0)))


LANE_GATES: tuple[LaneGate, ...] = (queue_open, any_node)
FIT_GATES: tuple[FitGate, ...] = (serves_queue, runs_type, has_labels)
_HEALTH_BESIDES_BREAKER: tuple[HealthGate, ...] = (has_slots, is_wanted, is_heard, takes_work, is_rested)
HEALTH_GATES: tuple[HealthGate, ...] = (*_HEALTH_BESIDES_BREAKER, breaker_closed)


def conditions(snapshot: Snapshot) -> Conditions:
    """The conditions of a snapshot.

    If every node that is otherwise healthy has an open breaker it is a panic: what fails everywhere is more likely the
    tasks' fault than every node's, and waiting would help nobody. Then open breakers count as closed.
    """
    calm = Conditions(snapshot.now, is_panic=False)
    breakers = [
        node.breaker for node in snapshot.nodes if all(gate(node, calm) is None for gate in _HEALTH_BESIDES_BREAKER)
    ]
    return Conditions(snapshot.now, is_panic=bool(breakers) and all(b is BreakerState.OPEN for b in breakers))


def lane_reason(lane: LaneView, snapshot: Snapshot) -> Reason | None:
    """The first gate closed for the lane on every node."""
    return _first(gate(lane, snapshot) for gate in LANE_GATES)


def health_reason(node: NodeView, given: Conditions) -> Reason | None:
    """The first health gate closed for the node."""
    return _first(gate(node, given) for gate in HEALTH_GATES)


def fit_reason(lane: LaneView, node: NodeView) -> Reason | None:
    """The first declaration of the node that does not fit the lane."""
    for gate in FIT_GATES:
        reason = gate(lane, node)
        if reason is not None:
            return reason
    return None


def load_reason(load: NodeLoad) -> Reason:
    """Why a node without room has none, as its load stands."""
    node = load.node
    if load.is_on_trial:
        return Reason(ReasonCode.BREAKER_TRIAL, node.id, (node.name,))
    return Reason(ReasonCode.NODE_FULL, node.id, (node.name, load.total, load.slots))


def _first(reasons: Iterable[Reason | None]) -> Reason | None:
    return next((reason for reason in reasons if reason is not None), None)

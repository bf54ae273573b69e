"""What a decision is made from: frozen facts, read once, never the database itself.

Times are POSIX seconds (``float``); durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.states import BreakerState, NodeIntent, NodeState

DEFAULT_POLICY = "fastest"


@dataclass(frozen=True, slots=True)
class TaskHead:
    """A ready task near the front of its lane. A smaller ``id`` is older."""

    id: int
    priority: int = 0
    affinity_key: str = ""
    #: The node of the last attempt that failed or was lost, which a retry avoids if it can; None for a first attempt.
    avoid_node_id: int | None = None
    #: Attempts that ended with a crashed process or a lost node: it may have been the task that did it.
    crashes: int = 0
    #: It crashed before and waits a while for a node that holds no other such task.
    is_patient: bool = False


@dataclass(frozen=True, slots=True)
class LaneView:
    """Tasks that are alike for placement: same queue, type and required labels. ``heads`` in order of service."""

    id: int
    queue: str
    type: str
    labels: Mapping[str, str]
    heads: Sequence[TaskHead] = ()


@dataclass(frozen=True, slots=True)
class QueueView:
    """What a queue's row says of placement."""

    name: str
    paused: bool = False
    policy: str = DEFAULT_POLICY
    #: Why the operator paused it, as typed; empty if not said.
    pause_reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with its load by our own accounting; what heartbeats claim about load plays no part."""

    id: int
    name: str
    slots: int
    state: NodeState = NodeState.ONLINE
    intent: NodeIntent = NodeIntent.RUN
    #: The node itself said that it takes no more work.
    draining: bool = False
    #: Pushes to it have failed lately, or it asked for a pause (429/503): no new work before this time.
    not_before: float = 0.0
    #: The last request to it failed, and none got through since; the poller finds out without risking a task.
    is_unproven: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Empty: all queues.
    queues: frozenset[str] = frozenset()
    #: None: any type.
    types: frozenset[str] | None = None
    #: Tasks claimed for it and not ended, per lane id.
    in_flight: Mapping[int, int] = field(default_factory=dict)
    #: Tasks in flight that have crashed before. Only read if one that has is to be placed.
    suspects: int = 0
    breaker: BreakerState = BreakerState.CLOSED
    #: One at a time without credit beyond slots (nodes written to the tutorial).
    single_push: bool = False
    #: When an open breaker lets a first task through again; only shown, never decided by.
    breaker_until: float = 0.0


@dataclass(frozen=True, slots=True)
class TypeRecord:
    """What experience says of one task type: mean run time, and per node how fast it is against that mean (1.0)."""

    mean_seconds: float
    speed_by_node: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision is made from. ``lanes`` holds every lane with ready tasks or with tasks in flight."""

    now: float
    lanes: Sequence[LaneView]
    nodes: Sequence[NodeView]
    #: By name. A queue that is missing counts as open with the default policy.
    queues: Mapping[str, QueueView] = field(default_factory=dict)
    #: By task type. A type that is missing has never succeeded: unknown, treated as long.
    records: Mapping[str, TypeRecord] = field(default_factory=dict)
    #: Carried from one decision to the next by policies that need memory (round robin); opaque to everyone else.
    memory: Mapping[str, object] = field(default_factory=dict)
    #: Seed for policies that sample; equal snapshots give equal decisions.
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task goes to a node."""

    task_id: int
    lane_id: int
    node_id: int

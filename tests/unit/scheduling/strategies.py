"""Snapshots of every kind, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dispatcher.scheduling.policies import POLICIES
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead, TypeRecord
from dispatcher.states import BreakerState, NodeIntent, NodeState

TYPES = ("tiny", "brief", "medium", "long", "unknown")
MEANS = {"tiny": 0.0001, "brief": 0.02, "medium": 0.2, "long": 3.0}
QUEUES = ("mail", "video", "unlisted")
LANES = range(1, 6)
NODES = range(1, 5)


def often(value: Any, other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly ``value``, so that not every node is ill."""
    return st.one_of(st.just(value), st.just(value), st.just(value), other)


labels = st.dictionaries(st.sampled_from(["gpu", "zone"]), st.sampled_from(["yes", "no"]), max_size=2)


#: What may be wrong with a node, and what is right with most.
HEALTH: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"state": NodeState.SUSPECT},
    {"state": NodeState.OFFLINE},
    {"intent": NodeIntent.DRAIN},
    {"intent": NodeIntent.DISABLED, "state": NodeState.OFFLINE},
    {"draining": True},
    {"not_before": 100.0},
    {"not_before": 100.5},
    {"is_unproven": True},
    *({"breaker": BreakerState.OPEN},) * 3,
    *({"breaker": BreakerState.HALF_OPEN},) * 2,
    {"breaker": BreakerState.OPEN, "draining": True},
    *({"single_push": True},) * 2,
)
RESERVED: tuple[dict[str, Any], ...] = (
    *({},) * 5,
    {"queues": frozenset({"mail"})},
    {"queues": frozenset({"video", "unlisted"})},
    {"types": frozenset()},
    {"types": frozenset({"tiny", "long", "medium"})},
    {"types": frozenset({"brief", "unknown"}), "queues": frozenset({"mail", "video"})},
)
HEADS = [
    *((0, "", None),) * 4,
    *((priority, key, avoid) for priority in (-1, 0, 1) for key in ("", "a") for avoid in (None, 1, 2)),
    *((0, key, avoid, crashes) for key in ("", "a") for avoid in (1, 2) for crashes in (1, 2)),
]


@st.composite
def nodes(draw: st.DrawFn, id_: int) -> NodeView:
    return NodeView(
        id_,
        f"n{id_}",
        draw(st.integers(0, 6)),
        labels=draw(often({}, labels)),
        suspects=draw(st.integers(0, 2)),
        in_flight=draw(st.dictionaries(st.sampled_from([*LANES, 99]), st.integers(0, 4), max_size=3)),
        **draw(st.sampled_from(HEALTH)),
        **draw(st.sampled_from(RESERVED)),
    )


@st.composite
def lanes(draw: st.DrawFn, lane_id: int) -> LaneView:
    drawn = draw(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(HEADS)), max_size=7))
    # Ids interleave over lanes and are unique.
    heads = {nth * 10 + lane_id: TaskHead(nth * 10 + lane_id, *facts) for nth, facts in drawn}
    return LaneView(
        lane_id,
        draw(st.sampled_from(QUEUES)),
        draw(st.sampled_from(TYPES)),
        draw(often({}, labels)),
        sorted(heads.values(), key=lambda h: (-h.priority, h.id)),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    policies = st.sampled_from([*POLICIES, "no such policy"])
    speeds = draw(st.dictionaries(st.sampled_from(NODES), st.floats(0.1, 10.0), max_size=3))
    memory = draw(st.dictionaries(st.sampled_from(QUEUES), st.just({1: 3, 2: -3, 9: 1}), max_size=2))
    return Snapshot(
        now=100.0,
        lanes=[draw(lanes(i)) for i in draw(st.lists(st.sampled_from(LANES), unique=True, max_size=4))],
        nodes=[draw(nodes(i)) for i in NODES[: draw(st.integers(0, len(NODES)))]],
        queues={
            "mail": QueueView("mail", policy=draw(policies)),
            "video": QueueView("video", paused=draw(often(False, st.booleans())), policy=draw(policies)),
        },
        records={name: TypeRecord(mean, speeds) for name, mean in MEANS.items()},
        memory=memory,
        seed=draw(st.integers(0, 1 << 40)),
    )

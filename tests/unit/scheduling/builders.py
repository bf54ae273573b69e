"""Snapshots in few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dispatcher.scheduling.decision import Decision, decide
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead, TypeRecord

NOW = 1000.0


def lane(
    id_: int = 1, heads: Iterable[int | TaskHead] = (), *, type_: str = "t", queue: str = "q", **labels: str
) -> LaneView:
    """A lane; heads given as ids have priority 0."""
    return LaneView(id_, queue, type_, labels, tuple(TaskHead(h) if isinstance(h, int) else h for h in heads))


def node(id_: int = 1, slots: int = 4, **more: object) -> NodeView:
    """A healthy node called ``n<id>`` that runs everything."""
    return replace(NodeView(id_, f"n{id_}", slots), **more)


def snapshot(lanes: Iterable[LaneView], nodes: Iterable[NodeView], policy: str = "fastest", **more: object) -> Snapshot:
    """A snapshot with one open queue ``q``; keyword ``means`` gives mean seconds per type."""
    means = more.pop("means", {})
    assert isinstance(means, Mapping)
    more.setdefault("records", {name: TypeRecord(mean) for name, mean in means.items()})
    more.setdefault("queues", {"q": QueueView("q", policy=policy)})
    return replace(Snapshot(NOW, tuple(lanes), tuple(nodes)), **more)


def placed(given: Snapshot, limit: int = 10_000) -> list[tuple[int, int]]:
    """(task id, node id) in order of service."""
    return [(a.task_id, a.node_id) for a in decide(given, limit).assignments]


def nodes_of(given: Snapshot, limit: int = 10_000) -> list[int]:
    """Node ids in order of service."""
    return [node_id for _, node_id in placed(given, limit)]


def after(given: Snapshot, decision: Decision) -> Snapshot:
    """The snapshot once the decision has been carried out and nothing else happened."""
    flights = {n.id: dict(n.in_flight) for n in given.nodes}
    gone = set()
    for a in decision.assignments:
        gone.add(a.task_id)
        flights[a.node_id][a.lane_id] = flights[a.node_id].get(a.lane_id, 0) + 1
    return replace(
        given,
        lanes=tuple(replace(one, heads=tuple(h for h in one.heads if h.id not in gone)) for one in given.lanes),
        nodes=tuple(replace(n, in_flight=flights[n.id]) for n in given.nodes),
        memory=decision.memory,
    )

"""Reading the facts that decisions are made from: the one conversion from rows to the views of the scheduling core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dispatcher.models import Lane, Node, Queue, SchedulerMemory, Task
from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.statements import Head, statements
from dispatcher.scheduling.experience import Experience
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState

#: The row of SchedulerMemory, shared by all engines: whoever saves last wins, all have seen the same feed.
EXPERIENCE = "experience"

#: How long, per crash so far, a task that crashed waits for a node that holds no other such task.
QUIET_PATIENCE = timedelta(seconds=10)

#: node id → lane id → tasks.
InFlight = Mapping[int, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes and queues as they were read; valid until the feed tells of a change to any of them."""

    nodes: tuple[Node, ...]
    queues: Mapping[str, QueueView]
    read_at: datetime


def read_pool(now: datetime) -> Pool:
    """All nodes that have ever registered, and all queues."""
    queues = {
        queue.name: QueueView(queue.name, paused=queue.is_paused, policy=queue.policy, pause_reason=queue.pause_reason)
        for queue in Queue.objects.all()
    }
    return Pool(tuple(Node.objects.exclude(boot_id="").order_by("id")), queues, now)


def read_in_flight() -> InFlight:
    """How many tasks each node holds, per lane: our own accounting."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for node_id, lane_id, held in statements().in_flight():
        found[node_id][lane_id] = held
    return found


def waits(lane_ids: Sequence[int], now: datetime, *, limit: int) -> list[float]:
    """How long each of the first queued tasks of these lanes has waited, in seconds; at most ``limit`` of them."""
    heads = Task.objects.filter(lane_id__in=lane_ids, state=TaskState.QUEUED).order_by("lane_id", "-priority", "id")
    return [(now - at).total_seconds() for at in heads.values_list("queued_at", flat=True)[:limit] if at is not None]


def saved_experience() -> Experience:
    """What engines had learned when one of them last saved it; nothing if that was written by another version."""
    saved = SchedulerMemory.objects.filter(name=EXPERIENCE).first()
    try:
        return Experience() if saved is None else Experience.restore(saved.body)
    except ValueError:
        return Experience()


def snapshot(
    *, pool: Pool, in_flight: InFlight, ready: Iterable[int], experience: Experience, now: datetime,
    memory: Mapping[str, object],
) -> Snapshot:  # fmt: skip
    """The facts for one decision, without heads. Lanes in flight are among the lanes: their length counts as load."""
    moment = now.timestamp()
    busy = {lane_id for lanes in in_flight.values() for lane_id in lanes}
    lanes = lanes_by_id(busy.union(ready))
    return Snapshot(
        now=moment,
        lanes=[lane_view(lane) for lane in lanes.values()],
        nodes=[_node_view(node, in_flight.get(node.pk, {}), experience, now) for node in pool.nodes],
        queues=pool.queues,
        records=experience.records(),
        memory=memory,
        seed=int(moment * 1000),
    )


def snapshot_for_people(now: datetime) -> Snapshot:
    """The facts as the database has them, to explain by: engines know a few seconds more than they have saved.

    Breakers are those that the nodes' rows show, which engines keep up to date. No policy has a memory here.
    """
    pool, saved = read_pool(now), saved_experience()
    facts = snapshot(pool=pool, in_flight=read_in_flight(), ready=(), experience=saved, now=now, memory={})
    breakers = {node.pk: BreakerState(node.breaker) for node in pool.nodes}
    return replace(facts, nodes=[replace(node, breaker=breakers[node.id]) for node in facts.nodes])


def lane_view(lane: Lane) -> LaneView:
    """A lane as the scheduling core sees it, without heads."""
    return LaneView(lane.pk, lane.queue, lane.type, lane.label_map)


def task_head(head: Head, now: datetime | None = None) -> TaskHead:
    """A ready task as the scheduling core sees it; without ``now`` one that waits for no better node."""
    avoid = head.node_id if head.attempt else None
    is_patient = False
    if head.crashes and head.queued_at is not None and now is not None:
        is_patient = now - head.queued_at < QUIET_PATIENCE * head.crashes
    return TaskHead(head.id, head.priority, head.affinity_key, avoid, head.crashes, is_patient)


def with_heads(facts: Snapshot, heads: Mapping[int, list[TaskHead]]) -> Snapshot:
    """The same facts with the first ready tasks of each lane; if one has crashed before, with who holds such tasks."""
    facts = replace(facts, lanes=[replace(lane, heads=heads.get(lane.id, ())) for lane in facts.lanes])
    if not any(head.crashes for lane in heads.values() for head in lane):
        return facts
    suspects = dict(statements().suspects())
    return replace(facts, nodes=[replace(node, suspects=suspects.get(node.id, 0)) for node in facts.nodes])


def _node_view(node: Node, in_flight: Mapping[int, int], experience: Experience, now: datetime) -> NodeView:
    moment = now.timestamp()
    return NodeView(
        id=node.pk,
        name=node.name,
        slots=node.slots,
        state=NodeState(node.state),
        intent=NodeIntent(node.intent),
        draining=node.draining,
        not_before=moment + held if (held := node.held_seconds(now)) else 0.0,
        # A node written to the tutorial can only be tried with a task.
        is_unproven=node.push_failures > 0 and not node.is_tutorial,
        labels=node.labels,
        queues=frozenset(node.queues),
        types=None if node.types is None else frozenset(node.types),
        in_flight=in_flight,
        breaker=experience.breaker_state(node.pk, moment),
        breaker_until=experience.breaker(node.pk).open_until,
        single_push=node.is_tutorial,
    )

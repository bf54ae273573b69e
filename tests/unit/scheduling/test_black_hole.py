"""A small discrete-event simulation: a node that fails at once does not swallow the queue."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from itertools import count

import pytest

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.experience import Experience
from dispatcher.scheduling.policies import POLICIES
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead
from dispatcher.states import BreakerState

NODES = {1: 4, 2: 4, 3: 4, 4: 4, 5: 1}
#: Fails everything within a millisecond, with 1 slot of 17.
BLACK_HOLE = 5
TYPES = {1: ("resize", 0.4), 2: ("mail", 0.05), 3: ("report", 2.0)}
TASKS = 1500


class Simulation:
    """Tasks arrive at about 60 % of what the good nodes can do; every failure is tried again at once."""

    def __init__(self, policy: str, *, heed_breakers: bool = True) -> None:
        self.rng = random.Random(11)
        self.policy = policy
        self.heed_breakers = heed_breakers
        self.experience = Experience()
        self.memory: dict[str, object] = {}
        self.ready: dict[int, list[TaskHead]] = {lane_id: [] for lane_id in TYPES}
        self.in_flight: dict[int, dict[int, int]] = {node_id: {} for node_id in NODES}
        self.attempts = dict.fromkeys(NODES, 0)
        self.events: list[tuple[float, int, int, TaskHead, int | None, float]] = []
        self.order = count()
        self.succeeded = 0

    def run(self) -> float:
        """Share of all attempts that the black hole got."""
        now = 0.0
        for task_id in range(TASKS):
            now += self.rng.expovariate(12.0)
            self.push(now, self.rng.choice(list(TYPES)), TaskHead(task_id, affinity_key=f"k{task_id % 40}"), None, 0.0)
        while self.events:
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                _, _, lane_id, task, node_id, run_seconds = heappop(self.events)
                if node_id is not None:
                    task = self.finish(lane_id, task, node_id, run_seconds, now)
                if task is not None:
                    self.ready[lane_id].append(task)
            self.assign(now)
        assert self.succeeded == TASKS
        return self.attempts[BLACK_HOLE] / sum(self.attempts.values())

    def push(self, at: float, lane_id: int, task: TaskHead, node_id: int | None, run_seconds: float) -> None:
        heappush(self.events, (at, next(self.order), lane_id, task, node_id, run_seconds))

    def finish(self, lane_id: int, task: TaskHead, node_id: int, run_seconds: float, now: float) -> TaskHead | None:
        self.in_flight[node_id][lane_id] -= 1
        is_ok = node_id != BLACK_HOLE
        self.experience.observe(node_id, TYPES[lane_id][0], "succeeded" if is_ok else "failed", run_seconds, now)
        self.succeeded += is_ok
        return None if is_ok else TaskHead(task.id, affinity_key=task.affinity_key, avoid_node_id=node_id)

    def assign(self, now: float) -> None:
        snapshot = Snapshot(
            now,
            [LaneView(i, "q", name, {}, tuple(self.ready[i])) for i, (name, _) in TYPES.items()],
            [self.view(node_id, now) for node_id in NODES],
            {"q": QueueView("q", policy=self.policy)},
            self.experience.records(),
            self.memory,
            seed=self.rng.getrandbits(30),
        )
        decision = decide(snapshot, 1000)
        self.memory = dict(decision.memory)
        for made in decision.assignments:
            self.start(made.lane_id, made.task_id, made.node_id, now)

    def view(self, node_id: int, now: float) -> NodeView:
        breaker = self.experience.breaker_state(node_id, now) if self.heed_breakers else BreakerState.CLOSED
        flight = {lane_id: n for lane_id, n in self.in_flight[node_id].items() if n}
        return NodeView(node_id, f"n{node_id}", NODES[node_id], in_flight=flight, breaker=breaker)

    def start(self, lane_id: int, task_id: int, node_id: int, now: float) -> None:
        heads = self.ready[lane_id]
        task = heads.pop(next(i for i, head in enumerate(heads) if head.id == task_id))
        self.attempts[node_id] += 1
        self.in_flight[node_id][lane_id] = self.in_flight[node_id].get(lane_id, 0) + 1
        seconds = 0.001 if node_id == BLACK_HOLE else self.rng.expovariate(1 / TYPES[lane_id][1])
        self.push(now + seconds, lane_id, task, node_id, seconds)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_breaker_keeps_a_black_hole_from_swallowing_the_queue(policy: str) -> None:
    assert Simulation(policy).run() < 0.01


def test_without_the_breaker_it_would() -> None:
    """Shows that the simulation has teeth."""
    assert Simulation("least_loaded", heed_breakers=False).run() > 0.5

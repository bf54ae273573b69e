"""A small discrete-event simulation: tasks that kill their node, and those that happen to be on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.policies import POLICIES
from dispatcher.scheduling.snapshot import TaskHead
from tests.unit.scheduling.builders import lane, node, nodes_of, placed, snapshot

MAX_CRASHES = 3
NODES = range(1, 6)
SLOTS = 8
NORMAL, POISON = 200, 4


@dataclass
class Run:
    """Rounds: what is ready is placed; poison kills its node and everything on it, the rest of the tasks ends."""

    policy: str
    is_told: bool = True
    crashes: dict[int, int] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    avoid: dict[int, int] = field(default_factory=dict)

    def play(self) -> None:
        rng = random.Random(7)
        # Poison stands among the first, where it meets many.
        self.poison = set(rng.sample(range(60), POISON))
        ready = list(range(NORMAL + POISON))
        self.failed: set[int] = set()
        while ready:
            heads = [self.head(i) for i in ready]
            made = decide(snapshot([lane(1, heads)], [node(i, SLOTS) for i in NODES], self.policy), 1000).assignments
            ready = [i for i in ready if i not in {a.task_id for a in made}]
            dead = {a.node_id for a in made if a.task_id in self.poison}
            for a in made:
                self.starts[a.task_id] = self.starts.get(a.task_id, 0) + 1
                if a.node_id in dead:
                    self.crash(a.task_id, a.node_id, ready)

    def head(self, task_id: int) -> TaskHead:
        crashes = self.crashes.get(task_id, 0) if self.is_told else 0
        return TaskHead(task_id, avoid_node_id=self.avoid.get(task_id), crashes=crashes, is_patient=crashes > 0)

    def crash(self, task_id: int, node_id: int, ready: list[int]) -> None:
        self.crashes[task_id] = self.crashes.get(task_id, 0) + 1
        self.avoid[task_id] = node_id
        if self.crashes[task_id] >= MAX_CRASHES:
            self.failed.add(task_id)
        else:
            ready.append(task_id)
            ready.sort()


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_poison_ends_after_three_starts_and_takes_no_other_task_with_it(policy: str) -> None:
    run = Run(policy)
    run.play()
    assert run.failed == run.poison
    assert {run.starts[i] for i in run.poison} == {MAX_CRASHES}


def test_were_crashes_not_told_innocent_tasks_would_be_failed_as_poison() -> None:
    """Shows that the simulation has teeth."""
    run = Run("binpack", is_told=False)
    run.play()
    assert run.failed > run.poison


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_tasks_that_crashed_are_spread_over_nodes_whatever_the_policy_says(policy: str) -> None:
    heads = [TaskHead(i, affinity_key="k", crashes=1) for i in range(4)]
    quiet = [node(i) for i in range(1, 4)]
    assert sorted(nodes_of(snapshot([lane(1, heads)], [*quiet, node(4, suspects=1)], policy))) == [1, 2, 3, 4]
    assert sorted(nodes_of(snapshot([lane(1, heads)], [*quiet, node(4, suspects=2)], policy))) == [1, 1, 2, 3]


def test_a_task_that_crashed_goes_where_least_is_going_on() -> None:
    nodes = [node(1, in_flight={1: 3}), node(2, in_flight={1: 1}), node(3, in_flight={1: 2})]
    assert nodes_of(snapshot([lane(1, [TaskHead(9, crashes=1)])], nodes, "binpack")) == [2]


def test_a_task_that_crashed_waits_a_while_for_a_node_without_another_and_holds_up_nobody() -> None:
    nodes = [node(1, suspects=1, slots=2, in_flight={1: 1}), node(2, slots=1, in_flight={1: 1})]
    heads = [TaskHead(1, crashes=1, is_patient=True), TaskHead(2)]
    assert placed(snapshot([lane(1, heads)], nodes)) == [(2, 1)]
    assert placed(snapshot([lane(1, heads)], [*nodes, node(3)])) == [(1, 3), (2, 3)]


def test_a_task_that_was_lost_with_a_node_goes_back_to_it_only_if_there_is_no_other_or_it_has_waited() -> None:
    heads = [TaskHead(1, avoid_node_id=1, crashes=1, is_patient=True)]
    full = node(2, slots=1, in_flight={1: 1})
    assert placed(snapshot([lane(1, heads)], [node(1), full])) == []
    assert placed(snapshot([lane(1, heads)], [node(1), node(2, suspects=1)])) == []
    assert placed(snapshot([lane(1, heads)], [node(1)])) == [(1, 1)]
    waited = [TaskHead(1, avoid_node_id=1, crashes=1)]
    assert placed(snapshot([lane(1, waited)], [node(1), full])) == [(1, 1)]
    assert placed(snapshot([lane(1, waited)], [node(1), node(2, suspects=1)])) == [(1, 2)]


def test_a_task_that_crashed_and_is_done_with_waiting_takes_any_room() -> None:
    nodes = [node(1, suspects=3, in_flight={1: 3}), node(2, slots=1, in_flight={1: 1})]
    assert nodes_of(snapshot([lane(1, [TaskHead(9, avoid_node_id=1, crashes=2)])], nodes)) == [1]

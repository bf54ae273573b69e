"""``decide`` against the rules, and ``explain`` against ``decide``."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.explain import explain
from dispatcher.scheduling.policies import POLICIES
from dispatcher.scheduling.reasons import ReasonClass, ReasonCode
from dispatcher.scheduling.snapshot import QueueView, Snapshot, TaskHead
from tests.unit.scheduling import rules
from tests.unit.scheduling.builders import after, lane, node, nodes_of, placed, snapshot
from tests.unit.scheduling.strategies import snapshots


@settings(max_examples=400, deadline=None)
@given(snapshots(), st.integers(0, 30))
def test_every_assignment_is_the_one_the_rules_ask_for(snap: Snapshot, limit: int) -> None:
    rules.check(snap, limit)


@settings(max_examples=150, deadline=None)
@given(snapshots(), st.integers(0, 30))
def test_no_task_is_assigned_twice_and_lanes_keep_their_order(snap: Snapshot, limit: int) -> None:
    made = decide(snap, limit).assignments
    assert len(made) <= limit
    assert len({a.task_id for a in made}) == len(made)
    for one in snap.lanes:
        served = [a.task_id for a in made if a.lane_id == one.id]
        assert served == [h.id for h in one.heads[: len(served)]]


@settings(max_examples=100, deadline=None)
@given(snapshots(), st.integers(0, 30))
def test_equal_snapshots_give_equal_decisions_and_stay_as_they_were(snap: Snapshot, limit: int) -> None:
    before = deepcopy(snap)
    first = decide(snap, limit)
    assert decide(snap, limit) == first
    assert snap == before


@settings(max_examples=300, deadline=None)
@given(snapshots(), st.integers(0, 30))
def test_explain_agrees_with_decide(snap: Snapshot, limit: int) -> None:
    decision = decide(snap, limit)
    later = after(snap, decision)
    for one in later.lanes:
        if not one.heads:
            continue
        told = explain(later, one, one.heads[0])
        verdict = decision.blocked.get(one.id)
        assert (told.reason_class is None) == (verdict is None)
        if verdict is not None:
            assert told.reason_class == verdict.reason_class
            assert verdict.text
            assert told.node_id is None
        else:
            assert next(row for row in told.rows if row.node_id == told.node_id).is_eligible


@settings(max_examples=150, deadline=None)
@given(snapshots())
def test_the_rows_of_an_explanation_follow_the_rules(snap: Snapshot) -> None:
    book = rules.Book(snap)
    for one in snap.lanes:
        told = explain(snap, one, TaskHead(1000))
        if any(reason.code is ReasonCode.QUEUE_PAUSED for reason in told.reasons):
            continue
        for row, node_view in zip(told.rows, snap.nodes, strict=True):
            assert row.is_eligible == book.may_take(one, node_view)
            assert (row.capacity > row.in_flight) == book.may_take(one, node_view) or row.reasons
            if row.reasons:
                assert row.reasons[0].reason_class == row.reason_class


@settings(max_examples=100, deadline=None)
@given(snapshots())
def test_explain_names_the_node_that_decide_would_choose(snap: Snapshot) -> None:
    decision = decide(snap, 1)
    if decision.assignments:
        made = decision.assignments[0]
        one = next(one for one in snap.lanes if one.id == made.lane_id)
        assert explain(snap, one, one.heads[0]).node_id == made.node_id


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_an_unplaceable_lane_blocks_no_other(policy: str) -> None:
    lanes = [lane(1, range(100, 200), gpu="yes"), lane(2, range(200, 206))]
    decision = decide(snapshot(lanes, [node(1, 3), node(2, 3)], policy), 1000)
    assert [a.task_id for a in decision.assignments] == list(range(200, 206))
    assert list(decision.blocked) == [1]
    assert decision.blocked[1].reason_class is ReasonClass.IMPOSSIBLE


def test_priority_goes_before_age_over_all_lanes() -> None:
    lanes = [lane(1, [TaskHead(1), TaskHead(4)]), lane(2, [TaskHead(9, priority=5), TaskHead(2)]), lane(3, [3])]
    assert [task for task, _ in placed(snapshot(lanes, [node(slots=4)]))] == [9, 1, 2, 3]


def test_a_lane_cut_off_by_the_limit_is_not_blocked() -> None:
    decision = decide(snapshot([lane(1, range(5)), lane(2, range(5, 9))], [node(slots=8)]), 2)
    assert len(decision.assignments) == 2
    assert decision.blocked == {}


def test_a_lane_without_room_is_blocked_even_if_the_limit_was_reached() -> None:
    decision = decide(snapshot([lane(1, range(5))], [node(slots=2)]), 2)
    assert decision.blocked[1].text == "node n1 is full: tasks in flight 2, slots 2"


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_retry_goes_to_another_node_if_one_is_eligible(policy: str) -> None:
    heads = [TaskHead(i, affinity_key="k", avoid_node_id=1) for i in range(3)]
    snap = snapshot([lane(1, heads)], [node(1, 8), node(2, 2), node(3, 9, draining=True)], policy)
    assert nodes_of(snap) == [2, 2, 1]


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_policy_fills_every_slot(policy: str) -> None:
    heads = [TaskHead(i, affinity_key=f"k{i % 3}") for i in range(30)]
    made = nodes_of(snapshot([lane(1, heads)], [node(1, 7), node(2, 1), node(3, 3)], policy, seed=5))
    assert sorted(made) == [1] * 7 + [2] + [3] * 3


def test_an_unknown_policy_works_as_the_default() -> None:
    queues = {"q": QueueView("q", policy="gone")}
    snap = snapshot([lane(1, range(6))], [node(1, 4), node(2, 2)])
    assert placed(snapshot(snap.lanes, snap.nodes, queues=queues)) == placed(snap)


def test_memory_forgets_nodes_and_queues_that_are_gone() -> None:
    memory = {"q": {1: 3, 77: 9}, "deleted": {1: 1}}
    decision = decide(snapshot([lane(1, [1])], [node(1), node(2)], "round_robin", memory=memory), 1)
    assert decision.memory == {"q": {1: -1, 2: 4}}

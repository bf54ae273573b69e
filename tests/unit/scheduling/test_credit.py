"""How much a node may hold."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.scheduling.credit import NodeLoad
from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.room import room
from dispatcher.scheduling.snapshot import NodeView, Snapshot, TaskHead
from dispatcher.states import BreakerState
from tests.unit.scheduling.builders import lane, node, nodes_of, placed, snapshot
from tests.unit.scheduling.strategies import snapshots


def held(view: NodeView, mean: float | None, heads: int = 3000) -> int:
    """How many tasks of one type are sent to the node."""
    means = {} if mean is None else {"t": mean}
    return len(nodes_of(snapshot([lane(1, range(heads)), lane(2, type_="x")], [view], means=means)))


@pytest.mark.parametrize(
    ("mean", "expected"),
    [(None, 4), (3600.0, 4), (0.25, 4), (0.2499, 8), (0.2, 9), (0.1, 14), (0.01, 104), (0.001, 1004), (0.0, 1004)],
)
def test_the_window_shrinks_as_tasks_get_longer(mean: float | None, expected: int) -> None:
    assert held(node(slots=4), mean) == expected


@given(st.integers(1, 40), st.integers(0, 45), st.floats(1e-6, 0.2499))
def test_one_short_type_gets_slots_and_the_extra_of_the_formula(slots: int, long: int, mean: float) -> None:
    load = NodeLoad(node(slots=slots, in_flight={2: long}), {1: mean, 2: None})
    added = 0
    while load.has_room(mean):
        load.take(mean)
        added += 1
    open_slots = max(0, slots - long)
    extra = min(1000, open_slots * 0.25 / mean)
    expected = open_slots + floor(extra + 1e-6)
    assert added <= expected
    assert added >= min(expected - 1, slots + 1000 - long)


@given(
    st.integers(0, 9),
    st.lists(st.tuples(st.sampled_from([None, 0.0001, 0.03, 0.2]), st.integers(0, 8)), max_size=4),
    st.sampled_from([None, 0.0, 0.0001, 0.03, 0.2]),
    st.booleans(),
    st.sampled_from([BreakerState.CLOSED, BreakerState.HALF_OPEN]),
)
def test_room_counts_exactly_the_tasks_that_would_be_taken(slots, held_now, mean, single_push, breaker) -> None:
    means = {i: m for i, (m, _) in enumerate(held_now)}
    view = node(
        slots=slots,
        in_flight={i: count for i, (_, count) in enumerate(held_now)},
        single_push=single_push,
        breaker=breaker,
    )
    load = NodeLoad(view, means)
    room = load.room(mean)
    taken = 0
    while load.has_room(mean):
        load.take(mean)
        taken += 1
    assert taken == room


def test_short_tasks_never_queue_where_long_ones_hold_all_slots() -> None:
    assert held(node(slots=4, in_flight={2: 4}), 0.001) == 0
    assert held(node(slots=4, in_flight={2: 3}), 0.01) == 1 + 25


def test_tasks_in_flight_of_lanes_nobody_knows_count_as_long() -> None:
    assert held(node(slots=4, in_flight={777: 4}), 0.001) == 0


def test_a_tutorial_node_gets_its_slots_and_no_more() -> None:
    assert held(node(slots=3, single_push=True), 0.0001) == 3


def test_a_node_on_trial_gets_one_task() -> None:
    assert held(node(slots=8, breaker=BreakerState.HALF_OPEN), 0.0001) == 1
    assert held(node(slots=8, breaker=BreakerState.HALF_OPEN, in_flight={1: 1}), 0.0001) == 0


def test_a_node_above_its_capacity_gets_nothing() -> None:
    assert held(node(slots=2, in_flight={2: 5}), None) == 0


def test_a_window_full_of_short_tasks_does_not_keep_long_ones_out() -> None:
    """A steady stream of short tasks refills the window at every pass; a long task must get in all the same."""
    lanes = [lane(1, range(100, 5000)), lane(2, [TaskHead(9000, priority=1)], type_="long")]
    full = node(slots=4, in_flight={1: 1000})
    assert placed(snapshot(lanes, [full], means={"t": 0.001, "long": 60.0}))[0] == (9000, 1)


def test_one_short_type_cannot_keep_another_out() -> None:
    """Room is measured in seconds of waiting work: when some is free, the order of service decides who gets it."""
    lanes = [lane(1, range(100, 5000), type_="tiny"), lane(2, [TaskHead(5)], type_="brief")]
    nearly_full = node(slots=4, in_flight={1: 950})
    assert placed(snapshot(lanes, [nearly_full], means={"tiny": 0.001, "brief": 0.2}))[0] == (5, 1)


@settings(max_examples=150, deadline=None)
@given(snapshots())
def test_room_of_a_lane_is_what_it_gets_if_it_is_alone(snap: Snapshot) -> None:
    places = room(snap)
    decision = decide(snap, 1000)
    for one in snap.lanes:
        assert sum(a.lane_id == one.id for a in decision.assignments) <= places.get(one.id, 0)
        expected = min(places.get(one.id, 0), 50)
        others = [replace(other, heads=()) for other in snap.lanes if other.id != one.id]
        alone = replace(snap, lanes=[*others, replace(one, heads=[TaskHead(i) for i in range(50)])])
        assert len(decide(alone, 1000).assignments) == expected

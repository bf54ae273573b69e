"""What each policy promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.policies import POLICIES, LeastLoaded, policy
from dispatcher.scheduling.snapshot import Snapshot, TaskHead, TypeRecord
from tests.unit.scheduling.builders import after, lane, node, nodes_of, placed, snapshot


def keyed(keys: list[str]) -> list[TaskHead]:
    return [TaskHead(i, affinity_key=key) for i, key in enumerate(keys)]


def placed_alone(snap: Snapshot, keys: list[str]) -> dict[str, int]:
    """The node each key goes to when it is the only task about."""
    return {key: nodes_of(replace(snap, lanes=[lane(1, keyed([key]))]))[0] for key in keys}


# --- fastest ---------------------------------------------------------------------------------------------------------


def test_fastest_fills_the_fast_node_before_the_slow() -> None:
    records = {"t": TypeRecord(9.0, {1: 0.5, 2: 2.0, 3: 1.0})}
    assert nodes_of(snapshot([lane(1, range(6))], [node(i, 2) for i in (1, 2, 3)], records=records)) == [
        2,
        2,
        3,
        3,
        1,
        1,
    ]


def test_fastest_shares_evenly_between_nodes_that_are_about_as_fast() -> None:
    records = {"t": TypeRecord(9.0, {1: 1.1, 2: 1.0})}
    assert nodes_of(snapshot([lane(1, range(4))], [node(1, 4), node(2, 4)], records=records)) == [1, 2, 1, 2]


def test_fastest_prefers_a_slow_free_slot_to_a_place_in_a_fast_queue() -> None:
    records = {"t": TypeRecord(0.01, {1: 8.0, 2: 0.2})}
    assert nodes_of(snapshot([lane(1, range(3))], [node(1, 2), node(2, 1)], records=records)) == [1, 1, 2]


def test_fastest_fills_credit_windows_by_work_done_per_second() -> None:
    records = {"t": TypeRecord(0.001, {1: 3.0, 2: 1.0})}
    made = nodes_of(snapshot([lane(1, range(400))], [node(1, 4), node(2, 4)], records=records))
    assert Counter(made)[1] == pytest.approx(300, abs=5)


def test_load_by_another_lane_is_seen_within_the_pass() -> None:
    heads = [TaskHead(i) for i in range(8)]
    lanes = [lane(1, heads[::2], type_="a"), lane(2, heads[1::2], type_="b")]
    made = nodes_of(snapshot(lanes, [node(1, 4), node(2, 4)]))
    assert made == [1, 2] * 4


# --- the other scores ------------------------------------------------------------------------------------------------


def test_least_loaded_divides_by_slots() -> None:
    nodes = [node(1, 8, in_flight={9: 3}), node(2, 2, in_flight={9: 1})]
    assert nodes_of(snapshot([lane(1, range(3))], nodes, "least_loaded")) == [1, 1, 2]


def test_spread_counts_the_lane_and_not_the_load() -> None:
    nodes = [node(1, 10, in_flight={1: 2}), node(2, 10, in_flight={9: 6}), node(3, 10, in_flight={1: 1})]
    assert nodes_of(snapshot([lane(1, range(4)), lane(9, type_="x")], nodes, "spread")) == [2, 3, 2, 1]


def test_spread_does_not_queue_where_slots_are_free_elsewhere() -> None:
    nodes = [node(1, 2, in_flight={9: 2}), node(2, 2, in_flight={1: 1})]
    assert nodes_of(snapshot([lane(1, [1]), lane(9, type_="x")], nodes, "spread", means={"t": 0.01, "x": 0.01})) == [2]


def test_binpack_fills_one_node_after_the_other() -> None:
    nodes = [node(1, 3), node(2, 3, in_flight={9: 1}), node(3, 3)]
    assert nodes_of(snapshot([lane(1, range(6))], nodes, "binpack")) == [2, 2, 1, 1, 1, 3]


def test_binpack_follows_what_another_lane_filled_in_the_same_pass() -> None:
    heads = [TaskHead(i) for i in range(4)]
    lanes = [lane(1, heads[:1], type_="b", zone="x"), lane(2, heads[1:])]
    nodes = [node(1, 4), node(2, 4, labels={"zone": "x"})]
    assert nodes_of(snapshot(lanes, nodes, "binpack")) == [2, 2, 2, 2]


# --- round robin -----------------------------------------------------------------------------------------------------


def weighted(heads: int) -> Snapshot:
    """Weights 5, 1, 1, with room to spare for short tasks."""
    return snapshot([lane(1, range(heads))], [node(1, 5), node(2, 1), node(3, 1)], "round_robin", means={"t": 0.001})


def test_round_robin_is_smooth_and_weighted() -> None:
    assert nodes_of(weighted(14)) == [1, 1, 2, 1, 3, 1, 1] * 2


def test_round_robin_remembers_between_decisions() -> None:
    made = []
    snap = weighted(14)
    for size in (1, 2, 3, 1, 4, 3):
        decision = decide(snap, size)
        made += [a.node_id for a in decision.assignments]
        snap = after(snap, decision)
    assert made == [1, 1, 2, 1, 3, 1, 1] * 2


def test_round_robin_has_one_standing_for_all_lanes_of_a_queue() -> None:
    heads = [TaskHead(i) for i in range(14)]
    lanes = [lane(1, heads[::2]), lane(2, heads[1::2])]
    assert nodes_of(replace(weighted(0), lanes=lanes)) == [1, 1, 2, 1, 3, 1, 1] * 2


# --- power of two ----------------------------------------------------------------------------------------------------


def test_power_of_two_draws_in_proportion_to_slots() -> None:
    snap = snapshot([lane(1, [1])], [node(1, 8), node(2, 4), node(3, 4)], "power_of_two")
    counts = Counter(nodes_of(replace(snap, seed=seed))[0] for seed in range(4000))
    assert counts[1] == pytest.approx(2000, abs=200)
    assert counts[2] == pytest.approx(1000, abs=160)


def test_power_of_two_takes_the_less_utilised_of_the_two() -> None:
    snap = snapshot([lane(1, [1])], [node(1, 8, in_flight={9: 7}), node(2, 4)], "power_of_two")
    assert {nodes_of(replace(snap, seed=seed))[0] for seed in range(200)} == {2}


def test_power_of_two_never_uses_the_busiest_node_while_others_have_room() -> None:
    nodes = [node(1, 8, in_flight={9: 7}), node(2, 8), node(3, 8)]
    snap = snapshot([lane(1, [1])], nodes, "power_of_two")
    assert {nodes_of(replace(snap, seed=seed))[0] for seed in range(300)} == {2, 3}


def test_power_of_two_keeps_long_run_shares_by_capacity() -> None:
    nodes = [node(1, 40), node(2, 10), node(3, 10)]
    made = Counter(nodes_of(snapshot([lane(1, range(30))], nodes, "power_of_two", seed=7)))
    assert made[1] == pytest.approx(20, abs=6)


# --- affinity --------------------------------------------------------------------------------------------------------

KEYS = [f"customer-{i}" for i in range(600)]


def test_affinity_sends_a_key_to_the_same_node_whatever_else_is_about() -> None:
    snap = snapshot([], [node(i, 8) for i in (1, 2, 3)], "affinity")
    first = placed_alone(snap, KEYS[:30])
    assert placed_alone(replace(snap, nodes=snap.nodes[::-1], seed=9), KEYS[:30]) == first
    together = placed(replace(snap, lanes=[lane(1, keyed(["customer-1"] * 8))]))
    assert {node_id for _, node_id in together} == {first["customer-1"]}


def test_affinity_shares_keys_in_proportion_to_slots() -> None:
    counts = Counter(placed_alone(snapshot([], [node(1, 8), node(2, 4)], "affinity"), KEYS).values())
    assert counts[1] == pytest.approx(400, abs=50)


def test_a_node_that_leaves_moves_only_its_own_keys() -> None:
    snap = snapshot([], [node(i, 8) for i in (1, 2, 3, 4)], "affinity")
    before = placed_alone(snap, KEYS)
    later = placed_alone(replace(snap, nodes=snap.nodes[:3]), KEYS)
    assert all(later[key] == before[key] for key in KEYS if before[key] != 4)
    assert Counter(later[key] for key in KEYS if before[key] == 4).keys() == {1, 2, 3}


def test_a_hot_key_overflows_to_other_nodes_within_the_bound() -> None:
    nodes = [node(i, 4) for i in (1, 2, 3, 4)]
    made = Counter(nodes_of(snapshot([lane(1, keyed(["hot"] * 400))], nodes, "affinity", means={"t": 0.001})))
    assert max(made.values()) <= 1.25 * 400 / 4 + 1
    assert len(made) == 4


def test_a_key_whose_node_is_full_goes_elsewhere_at_once() -> None:
    assert len(nodes_of(snapshot([lane(1, keyed(["k"] * 6))], [node(1, 3), node(2, 3)], "affinity"))) == 6


def test_tasks_without_a_key_go_by_the_default_policy() -> None:
    snap = snapshot([lane(1, range(7))], [node(1, 3), node(2, 4)])
    assert placed(replace(snap, queues={"q": replace(snap.queues["q"], policy="affinity")})) == placed(snap)


# --- registry --------------------------------------------------------------------------------------------------------


def test_a_new_policy_needs_its_name_in_one_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.scheduling.policies.POLICIES", dict(POLICIES))

    @policy("last_node")
    class LastNode(LeastLoaded):
        def key(self, seat):
            return (-seat.order,)

    assert nodes_of(snapshot([lane(1, range(3))], [node(1, 2), node(2, 2)], "last_node")) == [2, 2, 1]
    with pytest.raises(ValueError, match="two policies called 'last_node'"):
        policy("last_node")(LastNode)

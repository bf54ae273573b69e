"""What finished attempts teach."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.scheduling.experience import Experience
from dispatcher.states import AttemptOutcome, BreakerState

OUTCOMES = ["succeeded", *AttemptOutcome]
rows = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(OUTCOMES),
        st.floats(0, 1000),
        st.floats(0, 2000),
    ),
    max_size=40,
)


def told(*observed: tuple[int, str, str, float, float]) -> Experience:
    experience = Experience()
    experience.observe_batch(observed)
    return experience


def fails(experience: Experience, node_id: int, type_: str = "t", at: float = 0.0, times: int = 1) -> None:
    for _ in range(times):
        experience.observe(node_id, type_, "failed", 0.001, at)


def is_open(experience: Experience, node_id: int, now: float = 0.0) -> bool:
    return experience.breaker_state(node_id, now) is BreakerState.OPEN


# --- times -----------------------------------------------------------------------------------------------------------


def test_a_type_that_never_succeeded_is_unknown() -> None:
    assert told((1, "t", "failed", 1.0, 0.0), (1, "t", "timed_out", 9.0, 0.0)).records() == {}


def test_the_mean_of_few_runs_is_their_average() -> None:
    experience = told(*((1, "t", "succeeded", seconds, 0.0) for seconds in (1.0, 2.0, 6.0)))
    assert experience.records()["t"].mean_seconds == pytest.approx(3.0)


def test_the_mean_follows_a_change() -> None:
    experience = told(*((1, "t", "succeeded", 0.01, 0.0) for _ in range(100)))
    assert experience.records()["t"].mean_seconds == pytest.approx(0.01)
    experience.observe_batch([(1, "t", "succeeded", 10.0, 1.0)] * 50)
    assert experience.records()["t"].mean_seconds == pytest.approx(10.0, rel=0.05)


def test_one_long_run_ends_the_credit_of_a_short_type() -> None:
    experience = told(*((1, "t", "succeeded", 0.001, 0.0) for _ in range(100)))
    experience.observe(1, "t", "succeeded", 60.0, 1.0)
    assert experience.records()["t"].mean_seconds > 0.25


@pytest.mark.parametrize("outcome", AttemptOutcome)
def test_no_failure_makes_a_type_or_a_node_look_fast(outcome: AttemptOutcome) -> None:
    good = [(node_id, "t", "succeeded", 1.0, 0.0) for node_id in (1, 2)] * 10
    before = told(*good).records()["t"]
    after = told(*good, *((2, "t", outcome, 0.0001, 1.0) for _ in range(50))).records()["t"]
    assert after == before


def test_a_failure_that_took_long_makes_the_type_look_long() -> None:
    experience = told(*((1, "t", "succeeded", 0.001, 0.0) for _ in range(100)), (1, "t", "timed_out", 60.0, 0.0))
    assert experience.records()["t"].mean_seconds > 0.25


@pytest.mark.parametrize("seconds", [0.0, float("nan"), float("inf"), -1.0])
def test_a_run_time_that_is_not_known_is_not_learned(seconds: float) -> None:
    experience = told((1, "t", "succeeded", 2.0, 0.0), (1, "t", "succeeded", seconds, 0.0))
    assert experience.records() == told((1, "t", "succeeded", 2.0, 0.0)).records()


def test_a_type_whose_nodes_report_no_times_stays_unknown() -> None:
    """It must count as long; with a mean of 0 a thousand of them would be sent to one node."""
    assert told(*[(1, "t", "succeeded", 0.0, 0.0)] * 20).records() == {}


@pytest.mark.parametrize("seconds", [0.0, float("nan"), float("inf"), -1.0])
def test_a_trial_counts_though_its_run_time_is_not_known(seconds: float) -> None:
    experience = told(*[(1, "t", "failed", seconds, 0.0)] * 5)
    experience.observe(1, "t", "failed", seconds, 31.0)
    assert experience.breaker(1).open_until == 91.0
    experience.observe(1, "t", "succeeded", seconds, 92.0)
    assert experience.breaker_state(1, 92.0) is BreakerState.CLOSED


# --- speed -----------------------------------------------------------------------------------------------------------


def test_speed_is_learned_whatever_mix_of_types_a_node_gets() -> None:
    """Node 1 is twice as fast as node 2, but gets the long tasks."""
    rng = random.Random(1)
    experience = Experience()
    for n in range(4000):
        node_id = 1 + n % 2
        type_ = "long" if rng.random() < (0.9 if node_id == 1 else 0.1) else "short"
        work = (10.0 if type_ == "long" else 0.1) * rng.paretovariate(1.5)
        experience.observe(node_id, type_, "succeeded", work / (2.0 if node_id == 1 else 1.0), float(n))
    for record in experience.records().values():
        ratio = record.speed_by_node[1] / record.speed_by_node[2]
        assert 1.4 < ratio < 2.6


def test_few_runs_say_little_of_speed() -> None:
    many = [(node_id, "t", "succeeded", 1.0, 0.0) for node_id in (1, 2)] * 50
    once = told(*many, (3, "t", "succeeded", 0.1, 0.0)).records()["t"].speed_by_node[3]
    often = told(*many, *[(3, "t", "succeeded", 0.1, 0.0)] * 5).records()["t"].speed_by_node[3]
    assert 1.0 < once < 1.6 < often


def test_runs_below_a_millisecond_say_nothing_of_speed() -> None:
    record = told(*[(1, "t", "succeeded", 0.00001, 0.0), (2, "t", "succeeded", 0.0009, 0.0)] * 50).records()["t"]
    assert record.speed_by_node == {1: 1.0, 2: 1.0}


# --- blame and breakers ----------------------------------------------------------------------------------------------


def test_a_node_that_fails_what_works_elsewhere_is_set_aside() -> None:
    experience = told((1, "t", "succeeded", 1.0, 0.0), (2, "t", "succeeded", 1.0, 0.0))
    fails(experience, 3, times=4)
    assert not is_open(experience, 3)
    fails(experience, 3)
    assert is_open(experience, 3)
    assert experience.breaker_state(3, 31.0) is BreakerState.HALF_OPEN
    experience.observe(3, "t", "succeeded", 0.5, 32.0)
    assert experience.breaker_state(3, 32.0) is BreakerState.CLOSED


@pytest.mark.parametrize("outcome", ["failed", "crashed", "timed_out", "rejected"])
def test_these_outcomes_count_against_a_node(outcome: str) -> None:
    assert is_open(told(*[(1, "t", outcome, 0.1, 0.0)] * 5), 1)


@pytest.mark.parametrize("outcome", ["lost", "released", "superseded", "cancelled"])
def test_these_outcomes_say_nothing_of_a_node(outcome: str) -> None:
    experience = told(*[(1, "t", outcome, 0.1, 0.0)] * 9)
    assert experience.breaker_state(1, 0.0) is BreakerState.CLOSED
    fails(experience, 1, times=4)
    experience.observe(1, "t", outcome, 0.1, 0.0)
    fails(experience, 1)
    assert is_open(experience, 1)


@pytest.mark.parametrize("num_nodes", [2, 3, 8])
def test_a_type_that_fails_everywhere_opens_no_breaker(num_nodes: int) -> None:
    experience = Experience()
    for n in range(50 * num_nodes):
        fails(experience, n % num_nodes, at=float(n))
    assert not any(is_open(experience, node_id, 50.0 * num_nodes) for node_id in range(num_nodes))


def test_a_type_that_breaks_after_working_does_not_open_all_breakers_even_in_the_worst_order() -> None:
    experience = told(*((node_id, "t", "succeeded", 1.0, 0.0) for node_id in range(4)))
    for node_id in range(4):
        fails(experience, node_id, at=1.0, times=100)
    assert not is_open(experience, 3, 1.0)


def test_a_broken_type_does_not_hide_a_node_that_fails_other_types() -> None:
    experience = told((1, "good", "succeeded", 1.0, 0.0))
    for n in range(6):
        fails(experience, 1, "broken", float(n))
        fails(experience, 2, "broken", float(n))
        fails(experience, 2, "good", float(n))
    assert is_open(experience, 2, 6.0)
    assert not is_open(experience, 1, 6.0)


def test_a_type_that_fails_now_and_then_does_not_hide_a_node_that_always_fails() -> None:
    rng = random.Random(3)
    experience = Experience()
    for n in range(60):
        for node_id in (1, 2, 3):
            experience.observe(node_id, "t", "failed" if rng.random() < 0.2 else "succeeded", 0.1, n / 10)
        fails(experience, 4, at=n / 10)
    assert is_open(experience, 4, 6.0)
    assert not any(is_open(experience, node_id, 6.0) for node_id in (1, 2, 3))


def test_one_node_where_the_type_works_is_enough_to_blame_another() -> None:
    experience = told((1, "t", "failed", 0.1, 0.0), (2, "t", "succeeded", 0.1, 0.0))
    fails(experience, 3, times=5)
    assert is_open(experience, 3)


def test_a_node_where_the_type_works_again_is_enough_to_blame_another() -> None:
    experience = told((1, "t", "failed", 0.1, 0.0), (1, "t", "succeeded", 0.1, 0.0))
    fails(experience, 3, times=5)
    assert is_open(experience, 3)


def test_an_old_success_elsewhere_is_no_alibi() -> None:
    experience = told((9, "t", "succeeded", 1.0, 0.0))
    for n in range(30):
        fails(experience, n % 2, at=1000.0 + n)
    assert not is_open(experience, 0, 1030.0)


def test_an_operator_can_close_a_breaker() -> None:
    experience = told(*[(1, "t", "failed", 0.1, 0.0)] * 5)
    assert experience.breaker(1).open_until == 30.0
    experience.close_breaker(1)
    assert experience.breaker_state(1, 0.0) is BreakerState.CLOSED


# --- memory ----------------------------------------------------------------------------------------------------------


@given(rows, rows)
def test_an_export_goes_through_json_and_carries_everything(past: list, future: list) -> None:
    experience = told(*past)
    restored = Experience.restore(json.loads(json.dumps(experience.export())))
    for one in (experience, restored):
        one.observe_batch(future)
    assert restored.records() == experience.records()
    assert restored.export() == experience.export()


@given(rows)
def test_a_batch_teaches_the_same_as_one_by_one(observed: list) -> None:
    experience = Experience()
    for row in observed:
        experience.observe(*row)
        experience.records()
    assert experience.export() == told(*observed).export()
    assert experience.records() == told(*observed).records()


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"version": 2, "types": {}, "breakers": []},
        {"version": 1, "types": {"t": {}}, "breakers": []},
        {"version": 1, "types": {"t": {"mean": 1, "level": 1, "runs": 1, "nodes": [[1]]}}, "breakers": []},
        {"version": 1, "types": {}, "breakers": [["x", 0, 0, 0, 0]]},
    ],
)
def test_anything_else_is_refused(broken: object) -> None:
    with pytest.raises(ValueError, match="not an export of experience"):
        Experience.restore(broken)


def test_memory_is_bounded_and_the_latest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.scheduling.experience.MAX_PAIRS", 100)
    experience = Experience()
    for n in range(1000):
        experience.observe(n % 7, f"t{n}", "succeeded" if n % 2 else "failed", 1.0, float(n))
        saved = experience.export()
        if n % 100 == 50:
            experience = Experience.restore(saved)
        assert sum(len(known["nodes"]) for known in saved["types"].values()) <= 100
    assert len(saved["types"]) >= 80
    assert "t999" in experience.records()
    assert "t1" not in experience.records()


def test_memory_stays_bounded_if_all_is_equally_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.scheduling.experience.MAX_PAIRS", 100)
    experience = told(*((1, f"t{n}", "succeeded", 1.0, 5.0) for n in range(1000)))
    assert 0 < len(experience.records()) <= 100


def test_breakers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.scheduling.experience.MAX_BREAKERS", 3)
    experience = Experience()
    for node_id in range(10):
        fails(experience, node_id, f"t{node_id}", times=5)
    assert [is_open(experience, node_id) for node_id in range(10)] == [False] * 7 + [True] * 3


def test_a_node_that_is_gone_is_forgotten() -> None:
    experience = told(*[(1, "t", "succeeded", 1.0, 0.0)] * 3, *[(2, "u", "failed", 1.0, 0.0)] * 5)
    experience.forget_node(1)
    experience.forget_node(2)
    assert experience.records()["t"].speed_by_node == {}
    assert experience.breaker_state(2, 0.0) is BreakerState.CLOSED

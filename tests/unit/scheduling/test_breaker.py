"""The breaker's states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.scheduling.breaker import HEALTHY, Breaker, after_failure, after_success, state_at
from dispatcher.states import BreakerState


def failed(times: int, at: float = 0.0, breaker: Breaker = HEALTHY) -> Breaker:
    for _ in range(times):
        breaker = after_failure(breaker, at=at, run_seconds=0.0)
    return breaker


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    assert state_at(failed(4), 0.0) is BreakerState.CLOSED
    assert state_at(failed(5), 0.0) is BreakerState.OPEN


def test_a_success_begins_the_count_anew() -> None:
    breaker = after_success(failed(4), at=1.0, run_seconds=0.1)
    assert state_at(failed(4, 2.0, breaker), 2.0) is BreakerState.CLOSED


def test_it_is_open_for_thirty_seconds_and_then_half_open() -> None:
    breaker = failed(5, at=100.0)
    assert state_at(breaker, 129.9) is BreakerState.OPEN
    assert state_at(breaker, 130.0) is BreakerState.HALF_OPEN
    assert state_at(breaker, 9999.0) is BreakerState.HALF_OPEN


def test_a_success_on_trial_closes_it() -> None:
    breaker = after_success(failed(5, at=100.0), at=131.0, run_seconds=500.0)
    assert breaker == HEALTHY


def test_each_failed_trial_doubles_the_time_up_to_five_minutes() -> None:
    breaker, now, spells = failed(5, at=0.0), 0.0, []
    for _ in range(6):
        spells.append(breaker.open_until - now)
        now = breaker.open_until
        breaker = after_failure(breaker, at=now, run_seconds=1.0)
    assert spells == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


def test_after_closing_it_opens_for_thirty_seconds_again() -> None:
    breaker = failed(1, at=30.0, breaker=failed(5, at=0.0))
    assert breaker.open_until == 90.0
    breaker = after_success(breaker, at=90.0, run_seconds=0.0)
    assert failed(5, at=100.0, breaker=breaker).open_until == 130.0


def test_stragglers_that_fail_while_it_is_open_do_not_prolong_it() -> None:
    assert failed(20, at=1.0, breaker=failed(5, at=0.0)).open_until == 30.0


def test_a_failure_of_a_run_from_before_it_opened_is_not_the_trial() -> None:
    breaker = failed(5, at=100.0)
    assert after_failure(breaker, at=140.0, run_seconds=60.0) == breaker


def test_while_open_only_a_success_that_began_since_closes_it() -> None:
    breaker = failed(5, at=100.0)
    assert after_success(breaker, at=110.0, run_seconds=60.0) == breaker
    assert after_success(breaker, at=110.0, run_seconds=2.0) == HEALTHY


def test_a_breaker_does_not_stay_open_because_the_clock_was_set_back() -> None:
    breaker = HEALTHY
    for _ in range(5):
        breaker = after_failure(breaker, at=10_000.0, run_seconds=1.0)
    assert state_at(breaker, 10_001.0) is BreakerState.OPEN
    assert state_at(breaker, 10_000.0 - 3600) is BreakerState.HALF_OPEN


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 400), st.floats(0, 100)), max_size=60))
def test_it_never_opens_without_five_failures_and_never_for_ever(events: list[tuple[bool, float, float]]) -> None:
    breaker, now, row = HEALTHY, 0.0, 0
    for is_success, wait, run_seconds in events:
        now += wait
        was = state_at(breaker, now)
        change = after_success if is_success else after_failure
        breaker = change(breaker, at=now, run_seconds=run_seconds)
        row = 0 if is_success else row + 1
        if was is BreakerState.CLOSED and state_at(breaker, now) is BreakerState.OPEN:
            assert row >= 5
        assert breaker.open_until <= now + 300.0
        if is_success and was is not BreakerState.OPEN:
            assert breaker == HEALTHY


@pytest.mark.parametrize("state", BreakerState)
def test_states_are_told_by_time_alone(state: BreakerState) -> None:
    times = {
        BreakerState.CLOSED: (HEALTHY, 0.0),
        BreakerState.OPEN: (failed(5), 0.0),
        BreakerState.HALF_OPEN: (failed(5), 30.0),
    }
    assert state_at(*times[state]) is state

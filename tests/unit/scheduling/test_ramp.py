"""When work begins again after a standstill, and how it grows."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.scheduling.ramp import DOUBLING_SECONDS, FIRST_SHARE, STANDSTILL_SECONDS, Ramp

NOW = 1000.0
OLD = STANDSTILL_SECONDS + 1


def looked(ramp: Ramp | None = None, *, now: float = NOW, slots: int = 100, in_flight: int = 0,
           waited: list[float] | None = None, rand: float = 0.0) -> Ramp:  # fmt: skip
    found = [OLD] * (slots + 1) if waited is None else waited
    return (ramp or Ramp()).look(now=now, slots=slots, in_flight=in_flight, waited=found, rand=rand)


def test_after_a_standstill_a_tenth_of_the_slots_is_filled_and_twice_as_much_every_two_seconds() -> None:
    ramp = looked()
    rooms = [ramp.room(now=NOW + seconds, slots=100, in_flight=0) for seconds in (0.0, 2.0, 4.0, 6.0, 6.7)]
    assert rooms == [10, 20, 40, 80, None]
    assert ramp.room(now=NOW + 2.0, slots=100, in_flight=15) == 5
    assert ramp.room(now=NOW + 2.0, slots=100, in_flight=90) == 0


def test_engines_do_not_climb_in_step() -> None:
    quick, slow = looked(rand=0.0), looked(rand=0.99)
    assert 1.3 < slow.seconds / quick.seconds <= 1.5
    assert slow.room(now=NOW + 2.0, slots=100, in_flight=0) == 16


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"waited": [0.5] * 101}, "a first burst"),
        ({"waited": [OLD] * 100}, "no more than there are slots"),
        ({"in_flight": 11}, "nodes are at work: a backlog that is being worked off"),
        ({"slots": 0, "waited": [OLD] * 50}, "no node"),
        ({"ramp": Ramp(last_claim=NOW - 9.0)}, "something was given out a moment ago"),
    ],
)
def test_nothing_else_begins_a_ramp(case: dict, why: str) -> None:
    ramp = looked(**case)
    assert ramp.began is None, why
    assert ramp.room(now=NOW, slots=100, in_flight=0) is None


def test_a_ramp_that_is_over_does_not_begin_again_while_the_backlog_lasts() -> None:
    ramp = looked()
    moment = NOW
    for _ in range(1000):
        moment += 0.05
        ramp = ramp.look(now=moment, slots=100, in_flight=0, waited=[OLD] * 101, rand=0.0).after(now=moment, claimed=5)
    assert ramp.began is None
    assert ramp.room(now=moment, slots=100, in_flight=0) is None


def test_a_clock_that_goes_back_ends_the_ramp_instead_of_holding_work_up() -> None:
    ramp = looked()
    assert ramp.room(now=NOW - 3600, slots=100, in_flight=0) is None
    assert ramp.after(now=NOW - 3600, claimed=1).began is None
    assert looked(Ramp(last_claim=NOW + 3600)).began == NOW


@given(
    slots=st.integers(1, 5000),
    rand=st.floats(0, 1, exclude_max=True),
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5000)), max_size=60),
)
def test_work_only_grows_is_never_stuck_and_is_free_in_the_end(
    slots: int, rand: float, steps: list[tuple[float, int]]
) -> None:
    ramp = looked(slots=slots, rand=rand)
    moment, before = NOW, 0
    for pause, in_flight in steps:
        moment += pause
        room = ramp.room(now=moment, slots=slots, in_flight=0)
        if room is None:
            assert moment - NOW >= ramp.seconds
            break
        assert max(1, before) <= room <= ceil(slots * FIRST_SHARE * 2 ** ((moment - NOW) / DOUBLING_SECONDS))
        assert room <= slots
        assert ramp.room(now=moment, slots=slots, in_flight=in_flight) == max(0, room - in_flight)
        before = room
    assert ramp.room(now=NOW + 10.0, slots=slots, in_flight=0) is None

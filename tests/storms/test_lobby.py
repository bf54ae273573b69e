"""The bookkeeping of connections, with the time as an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.overload.lobby import BODY_PERIOD_BYTES, IDLE_SECONDS, Guest, Lobby, Phase


def lobby(*, most: int = 100, per_address: int = 3, most_bytes: int = 1000) -> Lobby:
    return Lobby(most=most, most_per_address=per_address, most_bytes=most_bytes, header_seconds=15.0)


def let_in(made: Lobby, address: str = "a", now: float = 0.0) -> Guest:
    guest, gone = made.arrive(address, now)
    assert guest is not None
    assert gone is None
    return guest


def test_the_connection_that_has_waited_longest_goes_for_a_new_one_from_its_address() -> None:
    made = lobby()
    first, second, _third = (let_in(made, now=n) for n in (0.0, 1.0, 2.0))
    made.enter(first, Phase.RUNNING, 3.0)
    newcomer, gone = made.arrive("a", now=10.0)
    assert (newcomer is not None, gone) == (True, second)
    assert len(made) == 3
    # Another address is not concerned.
    assert made.arrive("b", now=10.0)[1] is None


def test_a_connection_with_a_request_is_never_ended_for_another_one() -> None:
    made = lobby()
    for _ in range(3):
        made.enter(let_in(made), Phase.RUNNING, 0.0)
    assert made.arrive("a", now=100.0) == (None, None)
    assert len(made) == 3


def test_young_connections_get_the_time_to_say_something() -> None:
    made = lobby()
    for _ in range(3):
        made.arrive("a", now=10.0)
    assert made.arrive("a", now=10.5) == (None, None)


def test_when_all_is_full_the_address_with_most_connections_gives_one() -> None:
    made = lobby(most=4, per_address=0)
    for _ in range(3):
        made.arrive("a", now=0.0)
    made.arrive("b", now=0.0)
    newcomer, gone = made.arrive("b", now=5.0)
    assert newcomer is not None
    assert gone is not None
    assert gone.address == "a"


def test_times_are_over_by_phase() -> None:
    made = lobby(per_address=0)
    silent, idle, running = (let_in(made) for _ in range(3))
    made.enter(idle, Phase.IDLE, 0.0)
    made.enter(running, Phase.RUNNING, 0.0)
    assert list(made.overdue(14.9)) == []
    # Parts of the headers do not prolong it.
    made.enter(silent, Phase.HEADERS, 14.0)
    assert list(made.overdue(15.0)) == [silent]
    made.depart(silent)
    assert list(made.overdue(IDLE_SECONDS)) == [idle]
    made.depart(idle)
    assert list(made.overdue(1e9)) == []


def test_headers_of_a_later_request_have_their_time_from_its_first_byte() -> None:
    made = lobby()
    guest = let_in(made)
    made.enter(guest, Phase.IDLE, 5.0)
    made.enter(guest, Phase.HEADERS, 60.0)
    assert list(made.overdue(74.0)) == []
    assert list(made.overdue(75.0)) == [guest]


def test_a_body_has_to_keep_coming() -> None:
    made = lobby()
    guest = let_in(made)
    made.enter(guest, Phase.BODY, 0.0)
    for period in range(1, 20):
        guest.received += BODY_PERIOD_BYTES
        assert list(made.overdue(period * 10.0)) == []
    guest.received += BODY_PERIOD_BYTES - 1
    assert list(made.overdue(199.9)) == []
    assert list(made.overdue(200.0)) == [guest]


def test_bodies_share_a_number_of_bytes() -> None:
    made = lobby()
    first, second = (let_in(made) for _ in range(2))
    assert made.reserve(first, 900)
    assert not made.reserve(second, 101)
    made.release(first)
    assert made.reserve(second, 1000)
    made.depart(second)
    assert made.reserve(first, 1000)


_steps = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "depart", "enter", "reserve", "release"]),
        st.sampled_from("abc"),
        st.integers(0, 9),
        st.sampled_from(list(Phase)),
        st.floats(0, 2),
    ),
    max_size=80,
)


@given(_steps)
def test_no_limit_is_passed_whatever_happens(steps: list[tuple[str, str, int, Phase, float]]) -> None:
    made = lobby(most=6, per_address=3)
    present: list[Guest] = []
    now = 0.0
    for what, address, which, phase, pause in steps:
        now += pause
        chosen = present[which % len(present)] if present else None
        if what == "arrive":
            guest, gone = made.arrive(address, now)
            if gone is not None:
                assert gone.phase in (Phase.HEADERS, Phase.IDLE)
                present.remove(gone)
            if guest is not None:
                present.append(guest)
        elif chosen is None:
            continue
        elif what == "depart":
            made.depart(chosen)
            made.depart(chosen)
            present.remove(chosen)
        elif what == "enter":
            made.enter(chosen, phase, now)
        elif what == "reserve":
            made.reserve(chosen, 150)
        else:
            made.release(chosen)
        assert len(made) == len(present) <= 6
        assert all(sum(guest.address == each for guest in present) <= 3 for each in "abc")
        assert sum(guest.reserved for guest in present) <= 1000
    for guest in present:
        made.depart(guest)
    assert len(made) == 0
    last, _ = made.arrive("z", now)
    assert last is not None
    assert made.reserve(last, 1000)

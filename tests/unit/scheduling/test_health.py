"""The failure detector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.scheduling.health import HealthMemory, HealthRules, Pulse, Sweep, sweep
from dispatcher.states import NodeState

RULES = HealthRules()
ONLINE, SUSPECT, OFFLINE = NodeState.ONLINE, NodeState.SUSPECT, NodeState.OFFLINE


class Watch:
    """A sweeper over made-up nodes: each has a state so far and a last heartbeat."""

    def __init__(self, nodes: int, now: float = 10_000.0) -> None:
        self.now = now
        self.monotonic = 5.0
        self.memory: HealthMemory | None = None
        self.seen = dict.fromkeys(range(nodes), now)
        self.states = dict.fromkeys(range(nodes), ONLINE)

    def sweep(self) -> Sweep:
        pulses = [Pulse(i, self.states[i], seen, seen + RULES.lease_seconds) for i, seen in self.seen.items()]
        result = sweep(pulses, now=self.now, monotonic=self.monotonic, memory=self.memory, rules=RULES)
        self.memory, self.states = result.memory, dict(result.states)
        return result

    def run(self, seconds: float, beating: tuple[int, ...] = ()) -> list[Sweep]:
        """Sweep every 2 s for a while, with heartbeats of some nodes."""
        sweeps = []
        for _ in range(round(seconds / 2)):
            self.now += 2
            self.monotonic += 2
            self.seen.update(dict.fromkeys(beating, self.now))
            sweeps.append(self.sweep())
        return sweeps


def started(nodes: int) -> Watch:
    """A sweeper that has been watching for long."""
    watch = Watch(nodes)
    watch.sweep()
    watch.run(100, tuple(range(nodes)))
    return watch


def test_a_silent_node_becomes_suspect_and_then_offline_in_time() -> None:
    watch = started(3)
    history = [s.states[0] for s in watch.run(40, beating=(1, 2))]
    assert history == [ONLINE] * 7 + [SUSPECT] * 7 + [OFFLINE] * 6
    assert watch.states[1] is watch.states[2] is ONLINE


def test_one_of_two_nodes_is_not_most_of_them() -> None:
    watch = started(2)
    assert watch.run(30, beating=(1,))[-1].states == {0: OFFLINE, 1: ONLINE}


def test_the_only_node_is_not_spared() -> None:
    watch = started(1)
    assert watch.run(30)[-1].states == {0: OFFLINE}


@pytest.mark.parametrize("state", [SUSPECT, OFFLINE])
def test_a_node_is_back_at_its_next_heartbeat(state: NodeState) -> None:
    watch = started(3)
    watch.states[0] = state
    assert watch.run(2, beating=(0, 1, 2))[0].states[0] is ONLINE


def silent(node_id: int, *, is_answering: bool, ago: float = 100.0) -> Pulse:
    return Pulse(node_id, SUSPECT, 1000.0 - ago, 1030.0 - ago, is_answering=is_answering)


def judged(*pulses: Pulse, hold_until: float | None = 900.0) -> Sweep:
    """By a sweeper that has been listening for long and whose hold for mass silence is over."""
    return sweep(pulses, now=1000.0, monotonic=2.0, memory=HealthMemory(998.0, 0.0, 0.0, hold_until), rules=RULES)


def test_nodes_that_answer_while_no_heartbeat_comes_from_anyone_are_spared_for_as_long_as_they_do() -> None:
    result = judged(silent(1, is_answering=True), silent(2, is_answering=True), silent(3, is_answering=False))
    assert result.states == {1: SUSPECT, 2: SUSPECT, 3: OFFLINE}
    assert result.held == (1, 2)


def test_the_only_node_is_spared_while_it_answers() -> None:
    assert judged(silent(1, is_answering=True), hold_until=None).states == {1: SUSPECT}
    assert judged(silent(1, is_answering=False), hold_until=None).states == {1: OFFLINE}


def test_a_node_that_answers_but_cannot_report_while_others_can_is_given_up() -> None:
    alive = [Pulse(i, ONLINE, 999.0, 1029.0) for i in (2, 3)]
    assert judged(silent(1, is_answering=True), *alive).states[1] is OFFLINE


@pytest.mark.parametrize(("jump", "told"), [(3600.0, 3600.0), (-3600.0, 0.0), (4.0, 0.0)])
def test_how_far_the_clock_jumped_forward_is_told(jump: float, told: float) -> None:
    watch = started(2)
    watch.now += 2 + jump
    watch.monotonic += 2
    assert watch.sweep().jump_seconds == told


def test_offline_nodes_stay_so_until_heard() -> None:
    watch = started(3)
    watch.run(60, beating=(1, 2))
    watch.memory = None
    watch.run(10, beating=(1, 2))
    assert watch.states[0] is OFFLINE


def test_an_offline_node_whose_lease_runs_is_not_promoted_to_suspect() -> None:
    pulse = Pulse(1, OFFLINE, 80.0, 110.0)
    result = sweep([pulse], now=100.0, monotonic=0.0, memory=None, rules=RULES)
    assert result.states == {1: OFFLINE}


# --- own outages -----------------------------------------------------------------------------------------------------


def test_after_a_start_every_node_gets_one_full_grace_period() -> None:
    watch = started(3)
    watch.now += 86_400
    watch.memory = None
    assert watch.sweep().is_resumed
    assert set(watch.states.values()) == {ONLINE}
    watch.run(28, beating=(1, 2))
    assert watch.states == {0: SUSPECT, 1: ONLINE, 2: ONLINE}
    watch.run(2, beating=(1, 2))
    assert watch.states == {0: OFFLINE, 1: ONLINE, 2: ONLINE}


def test_a_pause_of_the_sweeper_is_not_held_against_nodes() -> None:
    watch = started(3)
    watch.now += 60
    watch.monotonic += 60
    result = watch.sweep()
    assert result.is_resumed
    assert set(result.states.values()) == {ONLINE}


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 6.0, -6.0])
def test_a_jump_of_the_clock_is_not_held_against_nodes(jump: float) -> None:
    watch = started(3)
    watch.now += 2 + jump
    watch.monotonic += 2
    result = watch.sweep()
    assert result.is_resumed
    assert set(result.states.values()) == {ONLINE}


def test_a_node_that_dies_as_the_clock_is_set_back_is_still_found() -> None:
    watch = started(3)
    watch.now -= 3600
    watch.run(32, beating=(1, 2))
    assert watch.states == {0: OFFLINE, 1: ONLINE, 2: ONLINE}


def test_slow_sweeps_do_not_prolong_the_life_of_a_dead_node() -> None:
    """A busy machine sweeps every 6 s instead of 2; were each gap an outage, nobody would ever be found dead."""
    watch = started(3)
    for _ in range(6):
        watch.now += 6
        watch.monotonic += 6
        watch.seen.update({1: watch.now, 2: watch.now})
        assert not watch.sweep().is_resumed
    assert watch.states[0] is OFFLINE


def test_a_gap_short_of_an_outage_costs_no_healthy_node_its_place() -> None:
    watch = started(3)
    watch.now += 5  # the longest a node may have been silent when everything froze
    gap = RULES.outage_seconds
    watch.now += gap
    watch.monotonic += 5 + gap
    assert set(watch.sweep().states.values()) == {ONLINE}


# --- mass silence ----------------------------------------------------------------------------------------------------


def test_when_most_fall_silent_together_nobody_is_declared_dead_for_one_more_grace() -> None:
    watch = started(4)
    watch.run(28, beating=(3,))
    assert watch.states == {0: SUSPECT, 1: SUSPECT, 2: SUSPECT, 3: ONLINE}
    held = watch.run(30, beating=(3,))
    assert all(s.held == (0, 1, 2) for s in held)
    assert watch.states == {0: SUSPECT, 1: SUSPECT, 2: SUSPECT, 3: ONLINE}
    released = watch.run(2, beating=(3,))[0]
    assert released.held == ()
    assert released.states == {0: OFFLINE, 1: OFFLINE, 2: OFFLINE, 3: ONLINE}
    assert watch.run(4, beating=(3,))[-1].memory.hold_until is None


def test_leases_that_end_in_different_sweeps_are_held_all_the_same() -> None:
    watch = started(4)
    watch.seen.update({0: watch.now - 4, 1: watch.now - 2, 2: watch.now})
    watch.run(26, beating=(3,))
    assert watch.sweep().held == (0,)
    assert watch.run(2, beating=(3,))[0].held == (0, 1)


def test_if_most_come_back_the_rest_is_given_up() -> None:
    watch = started(4)
    watch.run(34, beating=(3,))
    assert watch.run(2, beating=(1, 2, 3))[0].states == {0: OFFLINE, 1: ONLINE, 2: ONLINE, 3: ONLINE}


def test_a_second_mass_silence_gets_a_hold_of_its_own() -> None:
    watch = started(4)
    watch.run(34, beating=(3,))
    watch.run(60, beating=(0, 1, 2, 3))
    assert watch.run(30, beating=(3,))[-1].held == (0, 1, 2)


def test_nodes_that_are_silent_on_purpose_make_no_mass_silence() -> None:
    memory = HealthMemory(998.0, 0.0, 0.0)
    disabled = [Pulse(i, SUSPECT, 960.0, 990.0, is_expected=False) for i in (0, 1, 2)]
    alive = [Pulse(3, ONLINE, 999.0, 1029.0), Pulse(4, ONLINE, 999.0, 1029.0)]
    result = sweep([*disabled, *alive], now=1000.0, monotonic=2.0, memory=memory, rules=RULES)
    assert (result.held, result.states) == ((), {0: OFFLINE, 1: OFFLINE, 2: OFFLINE, 3: ONLINE, 4: ONLINE})


def test_fewer_than_most_are_not_held() -> None:
    watch = started(4)
    assert watch.run(30, beating=(2, 3))[-1].states == {0: OFFLINE, 1: OFFLINE, 2: ONLINE, 3: ONLINE}


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 120), st.sampled_from(NodeState)), max_size=8),
    st.integers(0, 200),
    st.none() | st.integers(0, 60),
)
def test_nobody_is_taken_from_online_with_a_running_lease_or_during_grace(nodes, listening_for, hold_left) -> None:
    now = 1000.0
    memory = HealthMemory(now - 2, 0.0, now - listening_for, None if hold_left is None else now + hold_left)
    pulses = [Pulse(i, state, now - ago, now - ago + lease) for i, (ago, lease, state) in enumerate(nodes)]
    result = sweep(pulses, now=now, monotonic=2.0, memory=memory, rules=RULES)
    assert not result.is_resumed
    alive = [p for p in pulses if p.state is not OFFLINE]
    lost = [p for p in alive if result.states[p.node_id] is OFFLINE]
    for pulse in lost:
        assert now >= pulse.lease_expires
        assert listening_for >= RULES.grace_seconds
    silent = [p for p in alive if result.states[p.node_id] is not ONLINE]
    if len(silent) >= 2 and len(silent) >= 0.55 * len(alive) and (hold_left is None or hold_left > 0):
        assert lost == []
    for pulse in pulses:
        if now - pulse.last_seen < RULES.suspect_seconds and now < pulse.lease_expires:
            assert result.states[pulse.node_id] is ONLINE

"""The schedule of what goes wrong: the same for a seed, and of every kind within two minutes."""

from __future__ import annotations

import pytest

from tests.chaos.nemesis import DECK, EVERY_SECONDS, ON_POSTGRES, plan

NODES, ENGINES = ["w1", "w2", "w3"], ["engine-1", "engine-2"]


def test_a_seed_gives_the_same_faults_again() -> None:
    first, again, other = (plan(seed, 60, nodes=NODES, engines=ENGINES, postgres=True) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert len(first) == pytest.approx(60 / EVERY_SECONDS, rel=0.2)


@pytest.mark.parametrize("seed", range(20))
def test_two_minutes_meet_every_kind_of_fault_whatever_the_seed(seed: int) -> None:
    on_postgres = {fault.kind for fault in plan(seed, 120, nodes=NODES, engines=ENGINES, postgres=True)}
    assert on_postgres == set(DECK)
    on_sqlite = {fault.kind for fault in plan(seed, 120, nodes=NODES, engines=ENGINES[:1], postgres=False)}
    assert on_sqlite == set(DECK) - ON_POSTGRES

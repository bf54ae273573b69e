"""Many small histories: none breaks a rule, deliberate mistakes are found, a seed is replayed exactly."""

from __future__ import annotations

import pytest

from tests.conftest import DATABASE
from tests.simulation.defects import DEFECTS, Defect, first_caught
from tests.simulation.invariants import Broken
from tests.simulation.world import installation, simulate

pytestmark = pytest.mark.django_db

#: Histories on each database: they are the same but for the statements, and SQLite is several times as fast at them.
SEEDS = {"sqlite": 2000, "postgres": 200}[DATABASE]
SHARDS = 8
#: A deliberate mistake has to be found within so many histories.
MOST_SEEDS = 500


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_history_breaks_a_rule(shard: int) -> None:
    with installation():
        for seed in range(shard, SEEDS, SHARDS):
            try:
                simulate(seed)
            except Broken as broken:
                pytest.fail(f"seed {seed}: {broken}")


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_a_deliberate_defect_is_caught(defect: Defect) -> None:
    with installation():
        assert first_caught(defect, most=MOST_SEEDS), "no rule was broken"


def test_a_seed_is_replayed_exactly() -> None:
    with installation():
        for seed in range(7, 12):
            assert simulate(seed) == simulate(seed) != []

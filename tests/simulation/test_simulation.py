"""Many small histories: none breaks an invariant. A seed that does is replayed by ``simulate(seed)``."""

from __future__ import annotations

import pytest

from tests.simulation.invariants import Broken
from tests.simulation.world import installation, simulate

pytestmark = pytest.mark.django_db

SHARDS, SEEDS = 4, 100


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_history_breaks_an_invariant(shard: int) -> None:
    with installation():
        for seed in range(shard * SEEDS, (shard + 1) * SEEDS):
            try:
                simulate(seed)
            except Broken as broken:
                pytest.fail(f"seed {seed}: {broken}")

"""T8: all nodes are cut off at once for most of two leases: more likely the network than five deaths.

Nothing is taken from them for one lease beyond their own. It counts from the last heartbeat, up to 0.6 s before the
cut, and after it the next one takes its time: so the cut is shorter than two leases by more than that.
"""

from __future__ import annotations

from tests.chaos.rig import LEASE_SECONDS
from tests.chaos.scenarios.stage import Figure, Stage, exactly, verdict_figures


def run(stage: Stage) -> list[Figure]:
    """Full slots, a partition, and its end before the hold is over."""
    rig = stage.rig
    count = len(rig.nodes) * rig.slots
    stage.submit(count, ms=2 * LEASE_SECONDS * 1000 + 3000, timeout_seconds=60)
    stage.until(lambda: len(stage.gather_runs()) >= count, seconds=20)
    for node in rig.nodes:
        stage.strike("partition", node, 2 * LEASE_SECONDS - 1.5, "blackhole")
    stage.until_ended()
    found, verdict = stage.judge()
    held = [change for change in found.records.changes if change.kind == "pool.held"]
    # Each engine watches, and each tells.
    return [
        exactly("attempts given up", 0, sum(row.outcome == "lost" for row in found.records.attempts)),
        exactly("alerts, one of each engine", len(rig.engines), len(held)),
        exactly("tasks that succeeded", count, verdict.figures["succeeded"]),
        *verdict_figures(verdict),
    ]

"""T3: zombies. A node is frozen, or cut off, for two leases with full slots, and comes back with results."""

from __future__ import annotations

from tests.chaos.rig import LEASE_SECONDS
from tests.chaos.scenarios.stage import Figure, Stage, at_least, exactly, now, verdict_figures

ROUNDS = 8


def run(stage: Stage) -> list[Figure]:
    """Freeze (even rounds) or cut the way to the dispatcher (odd rounds)."""
    for number in range(stage.times(ROUNDS)):
        node = stage.rig.nodes[number % len(stage.rig.nodes)]
        begun = now()
        stage.submit(stage.rig.slots * 4, ms=(1500, 4000), timeout_seconds=30)
        # Only this node may run these: their next attempt is on it when the late result of the one before arrives.
        stage.submit(stage.rig.slots, ms=(1500, 3000), labels={"at": node}, timeout_seconds=30)
        stage.until(lambda node=node, begun=begun: stage.running_on(node, 3, since=begun), seconds=10)
        if number % 2:
            # Nothing gets out, and the poller gets nothing either: the results wait on the node.
            stage.strike("partition", node, 2 * LEASE_SECONDS, "blackhole")
        else:
            stage.strike("pause_worker", node, 2 * LEASE_SECONDS)
        stage.until_ended()
        stage.until(stage.rig.is_up, seconds=30)
    found, verdict = stage.judge()
    lost = sum(row.outcome == "lost" for row in found.records.attempts)
    kept = sum(row.outcome == "superseded" for row in found.records.attempts)
    refused = sum(len(change.body["rows"]) for change in found.records.changes if change.kind == "results.refused")
    stale = sum(breach.invariant == "I5" for breach in verdict.breaches)
    return [
        at_least("zombie attempts", 3 * stage.times(ROUNDS), lost),
        exactly("stale results accepted", 0, stale),
        exactly("refused results kept for the record", refused, kept),
        at_least("results that came late and were refused", 1, refused),
        *verdict_figures(verdict),
    ]

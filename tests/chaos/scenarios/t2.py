"""T2: a worker is killed; how long until what it ran runs elsewhere, or again on the worker that came back."""

from __future__ import annotations

from tests.chaos.scenarios.stage import Figure, Stage, at_least, at_most, next_starts, now, percentile, verdict_figures

#: Lease, sweep, and half a second: the test profile's 4 s.
LIMIT_SECONDS = 4.0
RESTART_LIMIT_SECONDS = 1.0
KILLS = 6
LENGTH_MS = (100.0, 6000.0)


def run(stage: Stage) -> list[Figure]:
    """Kill each node in turn, for longer than a lease; then the same with a restart at once."""
    rounds = range(stage.times(KILLS))
    away = [_kill(stage, number, down_seconds=8.0) for number in rounds]
    back = [_kill(stage, number, down_seconds=0.0) for number in rounds]
    found, verdict = stage.judge()
    waits = [wait for node, at in away for wait in next_starts(found, node=node, at=at)]
    starts = {(line["name"], line["at"]) for line in found.rig if line["e"] == "start"}
    restarts = []
    for node, at in back:
        started = min(moment for name, moment in starts if name == node and moment > at)
        restarts += [wait - (started - at) for wait in next_starts(found, node=node, at=at)]
    return [
        at_least("samples, node stays away", 2 * len(away), len(waits)),
        at_most("kill to next start, p50", LIMIT_SECONDS, percentile(waits, 0.5), " s"),
        at_most("kill to next start, p99", LIMIT_SECONDS, percentile(waits, 0.99), " s"),
        at_least("samples, node restarts", 2 * len(back), len(restarts)),
        at_most("process start to next start, p99", RESTART_LIMIT_SECONDS, percentile(restarts, 0.99), " s"),
        *verdict_figures(verdict),
    ]


def _kill(stage: Stage, number: int, *, down_seconds: float) -> tuple[str, float]:
    """Fill all slots, kill the node in the middle of it, wait until all has ended; (node, time of the kill)."""
    node = stage.rig.nodes[number % len(stage.rig.nodes)]
    begun = now()
    stage.submit(stage.rig.slots * len(stage.rig.nodes), ms=LENGTH_MS, timeout_seconds=30)
    stage.until(lambda: stage.running_on(node, 1, since=begun), seconds=10)
    # By then some slots of every node are free again: what is lost may wait for the detection, not for room.
    stage.pass_time(LENGTH_MS[1] / 3000)
    at = now()
    stage.strike("kill_worker", node, down_seconds)
    stage.until_ended()
    # Online again before the next is killed: two silent nodes of few are taken for a fault of the network.
    stage.until(stage.rig.is_up, seconds=30)
    return node, at

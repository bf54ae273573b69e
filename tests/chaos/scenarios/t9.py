"""T9: one node of five cannot reach the dispatcher, but is reached by it: the poller brings its results home.

A node offers the poller what has waited two seconds for its acknowledgement, so the lease has to be longer than the
test profile's 3 s; here it is 12 s, still less than half of the default.
"""

from __future__ import annotations

from tests.chaos.scenarios.stage import Figure, Stage, at_least, at_most, exactly, now, verdict_figures

SLOTS = 20
SETTINGS = {"TASKDIST_LEASE_SECONDS": "12", "TASKDIST_SUSPECT_AFTER_SECONDS": "4"}
CUT_SECONDS = 20.0


def run(stage: Stage) -> list[Figure]:
    """Full slots on the node, the way out cut, results collected before the cut ends."""
    node = stage.rig.nodes[0]
    count = SLOTS
    ids = stage.submit(count, ms=(500, 6000), labels={"at": node}, timeout_seconds=60)
    stage.until(lambda: stage.running_on(node, count), seconds=10)
    cut = now()
    stage.strike("network_from", node, CUT_SECONDS, "blackhole")
    stage.until(lambda: stage.open_tasks() == 0, seconds=CUT_SECONDS)
    home = count - stage.open_tasks()
    took = now() - cut
    stage.until_ended()
    found, verdict = stage.judge()
    runs = found.runs_by_task()
    return [
        exactly("tasks on the node", count, len(ids)),
        at_least("results home before the cut ended", 0.95, home / count),
        at_most("tasks that ran again", 0.05, sum(len(runs[task]) - 1 for task in ids) / count),
        at_most("seconds until all were home", CUT_SECONDS, took, " s"),
        *verdict_figures(verdict),
    ]

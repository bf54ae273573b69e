"""T7: the whole dispatcher is away for twenty leases while 200 tasks run.

A shorter time than the ten minutes of the default profile: what counts is how many leases pass, and these are 3 s.
"""

from __future__ import annotations

from tests.chaos.rig import LEASE_SECONDS
from tests.chaos.scenarios.stage import Figure, Stage, at_least, exactly, verdict_figures

SLOTS = 40
TASKS = 200
LEASES = 20


def run(stage: Stage) -> list[Figure]:
    """Some end during the outage and some after it."""
    rig = stage.rig
    outage = LEASES * LEASE_SECONDS
    stage.submit(TASKS, ms=(outage * 0.3 * 1000, (outage + 10) * 1000), timeout_seconds=600)
    stage.until(lambda: len(stage.gather_runs()) >= TASKS, seconds=30)
    begun = len(stage.gather_runs())
    for name in ["web", *rig.engines]:
        stage.strike("kill_web" if name == "web" else "kill_engine", name, outage)
    stage.pass_time(outage)
    stage.until_ended()
    found, verdict = stage.judge()
    lost = sum(row.outcome == "lost" for row in found.records.attempts)
    return [
        at_least("tasks running at the stop", TASKS, begun),
        exactly("attempts given up as lost", 0, lost),
        exactly("tasks that ran again", 0, sum(len(runs) - 1 for runs in found.runs_by_task().values())),
        exactly("tasks that succeeded", TASKS, verdict.figures["succeeded"]),
        *verdict_figures(verdict),
    ]

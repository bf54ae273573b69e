"""T11: a herd. All tasks fail at their first attempt, at about the same time, and all come again."""

from __future__ import annotations

from collections import Counter

from tests.chaos.records import DISPATCHED
from tests.chaos.scenarios.stage import Figure, Stage, at_most, exactly, most_at_once, verdict_figures

TASKS = 1000
#: Full jitter: the second attempts spread over this time.
BACKOFF_SECONDS = 20.0
BUCKET_SECONDS = 1.0


def run(stage: Stage) -> list[Figure]:
    """Second claims per second, at the peak and on average."""
    count = stage.times(TASKS)
    stage.submit(
        count, fails=1, timeout_seconds=30, backoff_seconds=BACKOFF_SECONDS, backoff_cap_seconds=BACKOFF_SECONDS
    )
    stage.until_ended()
    found, verdict = stage.judge()
    moments = [
        step.at
        for steps in found.steps().values()
        for step in steps
        if (step.to_state, step.attempt) == (DISPATCHED, 2)
    ]
    buckets = Counter(int(moment / BUCKET_SECONDS) for moment in moments)
    mean = len(moments) / max(1, max(buckets) - min(buckets) + 1)
    over = sum(breach.invariant == "I9" for breach in verdict.breaches)
    return [
        exactly("second attempts", count, len(moments)),
        at_most("peak ÷ mean of claims a second", 2.0, max(buckets.values()) / mean),
        exactly("nodes above their slots", 0, over),
        at_most("most tasks at once on a node", stage.rig.slots, most_at_once(found.runs)),
        *verdict_figures(verdict),
    ]

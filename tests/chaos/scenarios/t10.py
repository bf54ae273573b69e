"""T10: ten tasks that kill their node, among a thousand that do not."""

from __future__ import annotations

from tests.chaos.records import FAILED
from tests.chaos.scenarios.stage import Figure, Stage, at_most, exactly, now, verdict_figures

POISON = 10
NORMAL = 1000


def run(stage: Stage) -> list[Figure]:
    """The normal tasks alone, then the same number with the poison among them."""
    count = stage.times(NORMAL)
    begun = now()
    stage.submit(count, ms=(50, 250), timeout_seconds=30)
    stage.until_ended()
    alone = now() - begun
    begun = now()
    stage.submit(count // 2, ms=(50, 250), timeout_seconds=30)
    poison = set(stage.submit(POISON, kind="chaos.poison", timeout_seconds=30))
    stage.submit(count - count // 2, ms=(50, 250), timeout_seconds=30)
    stage.until_ended(seconds=300)
    together = now() - begun
    found, verdict = stage.judge()
    starts = [sum(run.task == task for run in found.runs) for task in poison]
    failed = [row.id for row in found.records.tasks if row.state == FAILED]
    return [
        at_most("starts of a poison task", 3, max(starts)),
        exactly("poison tasks failed", POISON, len(poison & set(failed))),
        exactly("normal tasks succeeded", 2 * count, verdict.figures["succeeded"]),
        at_most("time with poison ÷ time without", 2.0, together / alone),
        # The nodes died of their own: no fault explains it.
        *verdict_figures(verdict, ignore=("I15",)),
    ]

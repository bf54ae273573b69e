"""T4: a fifth of all answers to pushes is lost on the way; nobody knows whether the node has the tasks."""

from __future__ import annotations

from tests.chaos.scenarios.stage import Figure, Stage, at_least, at_most, exactly, verdict_figures

TASKS = 1000
BATCH = 20
SHARE = 0.2


def run(stage: Stage) -> list[Figure]:
    """A stream of small batches through the bad proxies."""
    proxies = [stage.rig.proxies[f"to-{node}"] for node in stage.rig.nodes]
    for proxy in proxies:
        proxy.set_mode("drop_response", share=SHARE)
    count = stage.times(TASKS // BATCH) * BATCH
    for _ in range(count // BATCH):
        stage.submit(BATCH, ms=(20, 100), timeout_seconds=10)
        stage.pass_time(0.2)
    stage.until_ended()
    for proxy in proxies:
        proxy.set_mode("pass")
    found, verdict = stage.judge()
    runs = found.runs_by_task()
    again = sum(len(of_task) - 1 for of_task in runs.values())
    return [
        at_least("answers lost", 1, sum(proxy.hit for proxy in proxies)),
        at_most("tasks that ran twice", 0.001, again / count),
        exactly("tasks that succeeded", count, verdict.figures["succeeded"]),
        *verdict_figures(verdict, ignore=("I15",)),
    ]

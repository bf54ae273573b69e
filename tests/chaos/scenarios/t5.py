"""T5: every result arrives ten times at once, from its node and from another that makes it up."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.chaos import records
from tests.chaos.scenarios.stage import Figure, Stage, exactly, verdict_figures

TASKS = 20
COPIES = 10
PATH = "/api/v1/nodes/results"


def run(stage: Stage) -> list[Figure]:
    """One task after the other; its node cannot report it, the storm does."""
    rig = stage.rig
    node, other = rig.nodes[:2]
    boots = dict(records.query(rig.database, "SELECT name, boot_id FROM dispatcher_node"))
    rig.proxies[f"from-{node}"].set_mode("pass")
    statuses: Counter[int] = Counter()
    words: Counter[str] = Counter()
    stolen: Counter[str] = Counter()
    count = stage.times(TASKS)
    for _ in range(count):
        ids = stage.submit(1, ms=200, labels={"at": node}, timeout_seconds=30)
        stage.until(lambda: stage.running_on(node, 1), seconds=10)
        # From here on the storm alone says what became of it: the node's own reports are held back a moment.
        rig.proxies[f"from-{node}"].set_mode("delay", delay_seconds=1.0)
        rig.proxies[f"to-{node}"].set_mode("blackhole")
        stage.until(lambda: not stage.running_on(node, 1), seconds=10)
        made = next(run for run in stage.gather_runs() if run.task == ids[0])
        own = _report(boots[node], ids[0], made.digest, stage)
        forged = _report(boots[other], ids[0], "made up", stage)
        with ThreadPoolExecutor(COPIES) as pool:
            ours = [pool.submit(_post, stage, node, own) for _ in range(COPIES)]
            theirs = [pool.submit(_post, stage, other, forged) for _ in range(COPIES)]
        for answers, tally in ((ours, words), (theirs, stolen)):
            for status, answer in (future.result() for future in answers):
                statuses[status] += 1
                tally[answer["verdicts"][0]["verdict"] if status == 200 else str(status)] += 1
        rig.proxies[f"from-{node}"].set_mode("pass")
        rig.proxies[f"to-{node}"].set_mode("pass")
        stage.until_ended()
    _, verdict = stage.judge()
    return [
        exactly("recorded", count, words["recorded"]),
        exactly("answered as duplicates", count * (COPIES - 1), words["duplicate"]),
        exactly("another node's copies counted", 0, stolen["recorded"] + stolen["duplicate"]),
        exactly("5xx other than 503", 0, sum(number for status, number in statuses.items() if status >= 500)),
        *verdict_figures(verdict),
    ]


def _post(stage: Stage, node: str, report: dict[str, Any]) -> tuple[int, Any]:
    """Report as a node does: again after a 503, which says that nothing was looked at."""
    while (answer := stage.rig.post(PATH, stage.rig.tokens[node], report))[0] == 503:
        threading.Event().wait(0.2)
    return answer


def _report(boot_id: str, task: int, digest: str | None, stage: Stage) -> dict[str, Any]:
    nonce = records.query(stage.rig.database, f"SELECT payload FROM dispatcher_task WHERE id = {task}")[0][0]
    result = {"nonce": records.nonce(nonce), "digest": digest}
    item = {"task_id": str(task), "attempt": 1, "outcome": "succeeded", "result": result, "run_ms": 200.0}
    return {"boot_id": boot_id, "results": [item]}

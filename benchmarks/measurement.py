"""One database: rounds of no-op tasks submitted in bulk, then single submits on the idle system.

Prints one line of JSON. The environment names the folder and the database, which are those of an installation made and
ended here; see ``benchmarks.__main__``.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import django

from benchmarks.probes import ApiClient, cpu_seconds
from tests.launch.installation import installation
from tests.launch.programs import eventually

BULK = 1000
TIMEOUT_SECONDS = 300.0
#: Between two single submits, so that the system is idle again.
IDLE_SECONDS = 0.05


def main() -> None:
    """Measure as the JSON argument says."""
    options = json.loads(sys.argv[1])
    django.setup()
    with installation(Path(os.environ["TASKDIST_VAR"]), database_url=os.environ["TASKDIST_DATABASE_URL"]) as installed:
        installed.start("--workers", str(options["workers"]), "--slots", str(options["slots"]))
        client = ApiClient(installed.port, installed.manage("api_token", "create", "admin").stdout.strip())
        _await_nodes(options["workers"])
        _round(client, BULK)
        processes = installed.processes()
        before = cpu_seconds(processes)
        rounds = [_round(client, options["tasks"]) for _ in range(options["rounds"])]
        after = cpu_seconds(processes)
        _say("rounds, tasks/s: " + ", ".join(f"{done:,.0f}" for _, done in rounds))
        waits = _singles(client, options["singles"])
        installed.stop()
    total = options["tasks"] * options["rounds"]
    figures: dict[str, Any] = {
        "tasks_per_second": statistics.median(done for _, done in rounds),
        "submitted_per_second": statistics.median(submitted for submitted, _ in rounds),
        "idle_start_p50_ms": statistics.median(waits),
        "idle_start_p99_ms": statistics.quantiles(waits, n=100)[98],
        **{f"cpu_us_{kind}": (after[kind] - before[kind]) / total * 1e6 for kind in after},
        "rounds_tasks_per_second": [done for _, done in rounds],
    }
    print(json.dumps(figures))


def _await_nodes(count: int) -> None:
    from dispatcher.models import Node
    from dispatcher.states import NodeState

    if not eventually(lambda: Node.objects.filter(state=NodeState.ONLINE).count() == count, seconds=30):
        raise SystemExit("the worker nodes did not come online")


def _round(client: ApiClient, count: int) -> tuple[float, float]:
    """Submit ``count`` no-op tasks and wait for their ends; (submitted, done) in tasks a second."""
    from dispatcher.models import Task
    from dispatcher.states import TaskState

    body = json.dumps({"tasks": [{"type": "demo.noop", "payload": {"number": n}} for n in range(BULK)]}).encode()
    last = Task.objects.order_by("-id").values_list("id", flat=True).first() or 0
    begun = time.time()
    for _ in range(count // BULK):
        client.post("/api/v1/tasks", body)
    submitted = time.time()
    _await_quiet()
    ends = Task.objects.filter(id__gt=last, state=TaskState.SUCCEEDED, attempt=1)
    if ends.count() != count:
        raise SystemExit(f"{ends.count()} of {count} tasks succeeded at their first attempt")
    finished = max(ends.values_list("finished_at", flat=True)).timestamp()
    return count / (submitted - begun), count / (finished - begun)


def _await_quiet() -> None:
    """Wait until no task is waiting or active; asks little, so that asking costs little."""
    from dispatcher.models import Task
    from dispatcher.states import TaskState

    pause, deadline = threading.Event(), time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if not (Task.objects.filter(state=TaskState.QUEUED).exists() or Task.objects.active().exists()):
            return
        pause.wait(0.05)
    raise SystemExit(f"tasks are still open after {TIMEOUT_SECONDS:.0f} s")


def _singles(client: ApiClient, count: int) -> list[float]:
    """Milliseconds from the begin of a submit over HTTP to the begin of the handler, one task after the other."""
    from dispatcher.models import Task

    pause = threading.Event()
    begun: dict[int, float] = {}
    for _ in range(count):
        moment = time.time()
        made = client.post("/api/v1/tasks", b'{"type": "demo.clock"}')
        begun[int(made["id"])] = moment
        _await_quiet()
        pause.wait(IDLE_SECONDS)
    results = dict(Task.objects.filter(id__in=list(begun)).values_list("id", "result"))
    return [(json.loads(results[pk] or "0")["at"] - moment) * 1000 for pk, moment in begun.items()]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

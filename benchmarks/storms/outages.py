"""T6: the database stops hard again and again. T11: thousands of tasks fail at once and are tried again."""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from typing import Any

from benchmarks.storms.site import SLOTS, WORKERS, Figure, Site, say
from tests.launch.programs import eventually
from tests.storms.load import Load

#: How long the database is away each time, in seconds; of SQLite's writer from outside longer than others wait.
AWAY_SECONDS = {"postgres": 2.0, "sqlite": 6.0}
RESUME_SECONDS = 5.0


def database_restarts(made: Site, options: argparse.Namespace) -> list[Figure]:
    """PostgreSQL is stopped without a checkpoint; for SQLite somebody else writes without an end."""
    kind = "sqlite" if made.installed.environment["TASKDIST_DATABASE_URL"] == "" else "postgres"
    pause = threading.Event()
    accepted: list[float] = []
    finished: list[float] = []
    task = {"type": "demo.sleep", "payload": {"seconds": 0.02}}
    before = made.installed.processes()
    with Load(made.installed.port, made.token, clients=3, batch=5, task=task) as load:
        for cycle in range(options.cycles):
            pause.wait(max(1.0, options.seconds - AWAY_SECONDS[kind]))
            made.store.break_down()
            pause.wait(AWAY_SECONDS[kind])
            made.store.mend()
            mended, done = time.monotonic(), made.count("state = 4")
            eventually(lambda at=mended: load.acknowledged_since(at) > 0, seconds=60)
            accepted.append(time.monotonic() - mended)
            eventually(lambda so_far=done: made.count("state = 4") > so_far, seconds=60)
            finished.append(time.monotonic() - mended)
            say(f"cycle {cycle + 1}: accepted after {accepted[-1]:.2f} s, finished after {finished[-1]:.2f} s")
    made.await_quiet()
    states = dict(made.store.query("SELECT id, state FROM dispatcher_task"))
    lost = [pk for pk in load.acknowledged if pk not in states]
    doubled = len(states) - len(load.acknowledged)
    unfinished = [pk for pk in load.acknowledged if states.get(pk) != 4]
    return [
        Figure("acknowledged", str(len(load.acknowledged)), "many", bool(load.acknowledged)),
        Figure("answers by status", _words(load.statuses), "2xx, 503", set(load.statuses) <= {0, 200, 201, 503}),
        Figure("acknowledged and lost", str(len(lost)), "0", not lost),
        Figure("made twice", str(doubled), "0", doubled == 0),
        Figure("not succeeded in the end", str(len(unfinished)), "0", not unfinished),
        Figure("answers without form", str(len(load.faults)), "0", not load.faults),
        Figure("longest to the next accepted, s", f"{max(accepted):.2f}", "≤ 5", max(accepted) <= RESUME_SECONDS),
        Figure("longest to the next finished, s", f"{max(finished):.2f}", "≤ 5", max(finished) <= RESUME_SECONDS),
        Figure("processes as before", str(before == made.installed.processes()), "True",
               before == made.installed.processes()),
    ]  # fmt: skip


def retry_herd(made: Site, options: argparse.Namespace) -> list[Figure]:
    """Half of all first attempts fail within seconds; their retries have a backoff of up to 20 s."""
    task = {"type": "demo.flaky", "payload": {"probability": 0.5}, "max_attempts": 2, "backoff_seconds": 20}
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        held = "SELECT count(*) FROM dispatcher_task WHERE state IN (2, 3) GROUP BY node_id"
        while not done.wait(0.1):
            most = max([most, *(row[0] for row in made.store.query(held))])

    watching = threading.Thread(target=watch)
    watching.start()
    body = {"tasks": [task] * 1000}
    for _ in range(options.tasks // 1000):
        post(made, "/api/v1/tasks", body)
    made.await_quiet()
    done.set()
    watching.join()
    # The second attempts: those that were given up are rows of their own, the others are the tasks' last.
    again = made.store.query(
        "SELECT dispatched_at FROM dispatcher_attempt WHERE number = 2"
        " UNION ALL SELECT dispatched_at FROM dispatcher_task WHERE attempt = 2 AND state = 4"
    )
    per_second = Counter(int(_seconds(row[0])) for row in again)
    # The first and the last second are cut off by the edges.
    inner = [per_second[second] for second in range(min(per_second) + 1, max(per_second))]
    ratio = max(inner) / (sum(inner) / len(inner))
    say(f"second attempts per second: {inner}")
    return [
        Figure("second attempts", str(len(again)), "about half", bool(again)),
        Figure("peak / mean of a second", f"{ratio:.2f}", "≤ 2", ratio <= 2.0),
        Figure(f"most in flight at once on a node of {SLOTS} slots, credit included", str(most)),
        Figure("not final", str(made.count("state NOT IN (4, 5)")), "0", made.count("state NOT IN (4, 5)") == 0),
        Figure("nodes", str(WORKERS)),
    ]  # fmt: skip


def post(made: Site, path: str, body: Any) -> Any:
    """POST JSON; the decoded answer."""
    headers = {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", made.installed.port, timeout=60)) as connection:
        connection.request("POST", path, json.dumps(body), headers)
        return json.load(connection.getresponse())


def _seconds(value: Any) -> float:
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp()


def _words(statuses: Counter[int]) -> str:
    return ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(statuses.items()))

"""A whole installation under load whose database goes away and comes back."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATABASE
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually
from tests.storms.load import Load
from tests.storms.stores import Postgres, Sqlite, database

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("database storm")]

#: Longest wait for anything on a busy machine, in seconds; the figures are measured by benchmarks/storms.
PATIENCE = 60
#: Short, so that an outage of more than a lease is no long wait; the test has been run with 30 and 300 as well.
LEASE_SECONDS = 8
OUTAGE_SECONDS = 12
FINAL = (4, 5, 6, 7)
RUNNING, SUCCEEDED = 3, 4


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def states(stored: Postgres | Sqlite) -> dict[int, int]:
    return dict(stored.query("SELECT id, state FROM dispatcher_task"))


def program_pids(installed: Installation) -> dict[str, int]:
    return {name: pid for name, pid in installed.processes().items() if name in ("web", "engine", "local-1", "local-2")}


def test_nothing_that_was_acknowledged_is_lost_and_everything_resumes_by_itself(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with database(DATABASE, var) as stored, installation(var, database_url=stored.url) as installed:
        installed.start()
        token = installed.manage("api_token", "create", "admin").stdout.strip()
        assert eventually(lambda: status_of(f"{installed.url}/readyz") == 200, seconds=PATIENCE)
        pids = program_pids(installed)
        assert len(pids) == 4
        with Load(installed.port, token, task={"type": "demo.sleep", "payload": {"seconds": 0.02}}) as load:
            assert eventually(lambda: len(load.acknowledged) >= 20, seconds=PATIENCE)
            stored.break_down()
            assert eventually(lambda: load.statuses[503] >= 3, seconds=PATIENCE)
            assert status_of(f"{installed.url}/healthz") == 200
            if DATABASE == "postgres":
                assert status_of(f"{installed.url}/readyz") == 503
            stored.mend()
            mended = time.monotonic()
            assert eventually(lambda: load.acknowledged_since(mended) >= 20, seconds=PATIENCE)
        assert load.faults == []
        assert set(load.statuses) <= {200, 201, 503}
        await_all(lambda: states(stored), load.acknowledged)
        found = states(stored)
        # Nothing lost, nothing made twice: each batch has its keys.
        assert set(found) == set(load.acknowledged)
        assert set(found.values()) == {SUCCEEDED}
        assert program_pids(installed) == pids
        assert eventually(lambda: status_of(f"{installed.url}/readyz") == 200, seconds=PATIENCE)


def test_f30_an_outage_longer_than_all_leases_costs_no_attempt_and_no_program(tmp_path: Path) -> None:
    var = tmp_path / "var"
    lease = {
        "TASKDIST_LEASE_SECONDS": str(LEASE_SECONDS),
        "TASKDIST_SUSPECT_AFTER_SECONDS": str(LEASE_SECONDS / 2),
        "TASKDIST_HEARTBEAT_SECONDS": str(LEASE_SECONDS / 4),
    }
    task = {"type": "demo.sleep", "payload": {"seconds": LEASE_SECONDS * 0.75}, "max_attempts": 1}
    with (
        database(DATABASE, var) as stored,
        installation(var, database_url=stored.url, **lease) as installed,
    ):
        installed.start()
        token = installed.manage("api_token", "create", "admin").stdout.strip()
        assert eventually(lambda: status_of(f"{installed.url}/readyz") == 200, seconds=PATIENCE)
        pids = program_pids(installed)
        assert post_tasks(installed, token, [task] * 4)[0] == 201
        # They end while nobody can take their results in.
        assert eventually(lambda: set(states(stored).values()) == {RUNNING}, seconds=PATIENCE)
        stored.break_down()
        end = time.monotonic() + OUTAGE_SECONDS
        seen = set()
        while time.monotonic() < end:
            seen.add(post_tasks(installed, token, [task]))
            assert status_of(f"{installed.url}/healthz") == 200
            threading.Event().wait(0.5)
        assert seen == {(503, True)}
        stored.mend()
        assert eventually(lambda: set(states(stored).values()) == {SUCCEEDED}, seconds=PATIENCE)
        assert stored.query("SELECT DISTINCT attempt FROM dispatcher_task") == [(1,)]
        assert stored.query("SELECT outcome FROM dispatcher_attempt") == []
        assert program_pids(installed) == pids
        assert eventually(lambda: status_of(f"{installed.url}/readyz") == 200, seconds=PATIENCE)
        assert post_tasks(installed, token, [task])[0] == 201


def post_tasks(installed: Installation, token: str, tasks: list[dict[str, Any]]) -> tuple[int, bool]:
    """The status of the answer, and whether it says when to come back."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{installed.url}/api/v1/tasks", json.dumps({"tasks": tasks}).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, False
    except urllib.error.HTTPError as error:
        with error:
            return error.code, bool(error.headers["Retry-After"])


def await_all(look: Callable[[], dict[int, int]], acknowledged: dict[int, float]) -> None:
    def all_final() -> bool:
        found = look()
        return all(found.get(pk) in FINAL for pk in acknowledged)

    eventually(all_final, seconds=PATIENCE)

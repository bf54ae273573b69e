"""A whole installation under load whose database goes away and comes back."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DATABASE
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually
from tests.storms.load import Load
from tests.storms.stores import Postgres, Sqlite, database

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("database storm")]

#: Longest wait for anything on a busy machine, in seconds; the figures are measured by benchmarks/storms.
PATIENCE = 60
FINAL = (4, 5, 6, 7)
SUCCEEDED = 4


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


def await_all(look: Callable[[], dict[int, int]], acknowledged: dict[int, float]) -> None:
    def all_final() -> bool:
        found = look()
        return all(found.get(pk) in FINAL for pk in acknowledged)

    eventually(all_final, seconds=PATIENCE)

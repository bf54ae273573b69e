"""A whole installation under load whose database goes away and comes back."""

from __future__ import annotations

import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import DATABASE
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually
from tests.postgres_server import PostgresServer
from tests.storms.load import Load

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("database storm")]

#: Longest wait for anything on a busy machine, in seconds; the figures are measured by benchmarks/storms.
PATIENCE = 60
FINAL = (4, 5, 6, 7)
SUCCEEDED = 4


class Postgres:
    """A server of our own, which is stopped without a word and started again."""

    def __init__(self, _var: Path) -> None:
        self._server = PostgresServer()
        self._server.start()
        self.url = self._server.url

    def break_down(self) -> None:
        self._server.crash()

    def mend(self) -> None:
        self._server.revive()

    def query(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql).fetchall()

    def stop(self) -> None:
        self._server.stop()


class Sqlite:
    """A file that somebody else writes to without an end."""

    url = ""

    def __init__(self, var: Path) -> None:
        self._path = var / "taskdist.sqlite3"
        self._writer: sqlite3.Connection | None = None

    def break_down(self) -> None:
        self._writer = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        self._writer.execute("BEGIN IMMEDIATE")

    def mend(self) -> None:
        assert self._writer is not None
        self._writer.execute("ROLLBACK")
        self._writer.close()

    def query(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql).fetchall()

    def stop(self) -> None:
        return


@contextmanager
def database(var: Path) -> Iterator[Postgres | Sqlite]:
    made = Postgres(var) if DATABASE == "postgres" else Sqlite(var)
    try:
        yield made
    finally:
        made.stop()


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
    with database(var) as stored, installation(var, database_url=stored.url) as installed:
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

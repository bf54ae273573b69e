"""Databases that can be taken away from a running installation and given back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres_server import PostgresServer


class Postgres:
    """A server of our own, which is stopped without a word and started again."""

    def __init__(self, *, durable: bool) -> None:
        self._server = PostgresServer(durable=durable)
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
def database(kind: str, var: Path, *, durable: bool = False) -> Iterator[Postgres | Sqlite]:
    """One of ``kind`` for the installation in ``var``."""
    made = Postgres(durable=durable) if kind == "postgres" else Sqlite(var)
    try:
        yield made
    finally:
        made.stop()

"""What runs here: the database, the engines and how they do, and what stays for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.db import connection

from dispatcher.conf import conf
from dispatcher.models import EngineProcess

#: An engine that was not heard from for so long does not run.
ENGINE_SILENCE = timedelta(seconds=30)


class EngineRow(TypedDict):
    """One engine that has been seen within the last hour."""

    host: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    is_online: bool
    #: Names of the loops that have not finished a pass for long.
    late_loops: list[str]


class Installation(TypedDict):
    """The facts about an installation."""

    database: str
    engines: list[EngineRow]
    #: Days that things stay, by the name of the setting that says so.
    kept_days: dict[str, float]


def installation(now: datetime) -> Installation:
    """What runs here, in one small statement; the rest is known to the process."""
    return Installation(database=_database(), engines=_engines(now), kept_days=_kept_days())


def _database() -> str:
    """The database with its version, such as "PostgreSQL 16.4"."""
    server: Any = connection
    server.ensure_connection()
    if connection.vendor == "postgresql":
        version = int(server.pg_version)
        return f"PostgreSQL {version // 10000}.{version % 10000}"
    return f"SQLite {server.Database.sqlite_version}"


def _engines(now: datetime) -> list[EngineRow]:
    return [
        EngineRow(
            host=engine.host,
            pid=engine.pid,
            started_at=engine.started_at,
            last_seen_at=engine.last_seen_at,
            is_online=engine.last_seen_at > now - ENGINE_SILENCE,
            late_loops=engine.late_loops(now),
        )
        for engine in EngineProcess.objects.order_by("-last_seen_at", "id")[:20]
    ]


def _kept_days() -> dict[str, float]:
    names = ("keep_tasks_days", "keep_feed_days", "keep_audit_days", "keep_rollup_days", "keep_idempotency_days")
    return {name: getattr(conf(), name) for name in names}

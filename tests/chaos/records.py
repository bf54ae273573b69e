"""What the database says after a run, read by plain SQL: the checker trusts none of the project's own reading."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

#: States by number, as stored.
SCHEDULED, QUEUED, DISPATCHED, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED = range(8)
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELLED, EXPIRED})


class TaskRow(NamedTuple):
    """A task."""

    id: int
    state: int
    attempt: int
    released: int
    crashes: int
    max_attempts: int
    #: The node's name.
    node: str | None
    nonce: str
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class AttemptRow(NamedTuple):
    """An attempt that ended otherwise than well, or a refused late report."""

    task: int
    number: int
    node: str | None
    outcome: str
    error: str


class ChangeRow(NamedTuple):
    """One line of the feed; ``at`` in POSIX seconds."""

    id: int
    at: float
    kind: str
    body: dict[str, Any]


@dataclass
class Records:
    """Everything read in one go."""

    tasks: list[TaskRow]
    attempts: list[AttemptRow]
    changes: list[ChangeRow]
    #: Node id → name.
    nodes: dict[int, str]
    #: state → tasks, as counted by the roll-ups for the dashboard (active states under RUNNING).
    counted: dict[int, int] = field(default_factory=dict)
    #: Lanes of tasks that one node alone may run → that node.
    bound: dict[int, str] = field(default_factory=dict)


_TASKS = """
    SELECT id, state, attempt, released, crashes, max_attempts, node_id, payload, result, error FROM dispatcher_task
"""
_ATTEMPTS = "SELECT task_id, number, node_id, outcome, error FROM dispatcher_attempt"
_CHANGES = "SELECT id, at, kind, body FROM dispatcher_change ORDER BY id"
_COUNTS = "SELECT state, sum(count) FROM dispatcher_statecount GROUP BY state"
_LANES = "SELECT id, labels FROM dispatcher_lane"
#: I11: what an open task waits for is written in its row: a time, its place in a lane, or a node with a deadline.
_UNDRIVEN = """
    SELECT id FROM dispatcher_task
    WHERE (state = 0 AND run_at IS NULL) OR (state = 1 AND queued_at IS NULL)
       OR (state IN (2, 3) AND (node_id IS NULL OR attempt_deadline IS NULL OR dispatched_at IS NULL))
"""
_OPEN = "SELECT count(*) FROM dispatcher_task WHERE state IN (0, 1, 2, 3)"


def query(database: str, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement; ``database`` is a PostgreSQL URL or the path of a SQLite file."""
    if database.startswith("postgres"):
        with psycopg.connect(database, connect_timeout=5) as connection:
            return connection.execute(sql.encode()).fetchall()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        return list(connection.execute(sql))


def count_open(database: str) -> int:
    """Tasks that have not ended."""
    return int(query(database, _OPEN)[0][0])


def last_change(database: str) -> int:
    """The number of the newest change of the feed."""
    return int(query(database, "SELECT coalesce(max(id), 0) FROM dispatcher_change")[0][0])


def undriven(database: str) -> set[int]:
    """Open tasks for which nothing would ever happen."""
    return {int(row[0]) for row in query(database, _UNDRIVEN)}


def ended(database: str, *, after: int) -> dict[int, tuple[int, int, str | None]]:
    """Ended tasks above an id: task → (state, attempt, digest of the result)."""
    rows = query(
        database, f"SELECT id, state, attempt, result FROM dispatcher_task WHERE state > 3 AND id > {int(after)}"
    )
    return {row[0]: (row[1], row[2], (json.loads(row[3]) if row[3] else {}).get("digest")) for row in rows}


def read(database: str) -> Records:
    """Everything the checker looks at."""
    nodes = {row[0]: row[1] for row in query(database, "SELECT id, name FROM dispatcher_node")}
    return Records(
        tasks=[_task(row, nodes) for row in query(database, _TASKS)],
        attempts=[
            AttemptRow(row[0], row[1], nodes.get(row[2]), row[3], row[4] or "") for row in query(database, _ATTEMPTS)
        ],
        changes=[ChangeRow(row[0], _posix(row[1]), row[2], json.loads(row[3])) for row in query(database, _CHANGES)],
        nodes=nodes,
        counted={int(state): int(count) for state, count in query(database, _COUNTS)},
        bound={row[0]: node for row in query(database, _LANES) if (node := json.loads(row[1]).get("at"))},
    )


def nonce(payload: str) -> str:
    """What marks a task of the rig, from its payload's JSON."""
    found = json.loads(payload)
    return str(found.get("nonce", "")) if isinstance(found, dict) else ""


def _task(row: tuple[Any, ...], nodes: dict[int, str]) -> TaskRow:
    result = json.loads(row[8]) if row[8] else None
    return TaskRow(*row[:6], nodes.get(row[6]), nonce(row[7]), result, json.loads(row[9]) if row[9] else None)


def _posix(at: datetime | str) -> float:
    if isinstance(at, str):
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return at.timestamp()

"""PostgreSQL: one statement per batch, arrays in, rows out.

``(t.state + 0)`` instead of ``t.state``: after an ANALYZE that saw no row in the wanted state the planner would expect
one row, drive the join from the partial index on the state, and become a hundred times slower. The expression hides
the column's statistics and the partial indexes, so the primary key drives the join whatever ANALYZE saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

from dispatcher.models.statements import (
    INSERT_COLUMNS,
    Claim,
    Claimed,
    Ending,
    Head,
    NewTask,
    Start,
    Succeeded,
    Success,
)

CLAIM = """
    UPDATE dispatcher_task AS t
    SET state = 2, attempt = t.attempt + 1, node_id = c.node_id, incarnation = c.incarnation,
        dispatched_at = %s, started_at = NULL, run_at = NULL,
        attempt_deadline = %s + make_interval(secs => coalesce(t.timeout_seconds, c.timeout_seconds, %s) + %s)
    FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::int[], %s::float8[])
        AS c(id, attempt, node_id, incarnation, timeout_seconds)
    JOIN dispatcher_node n ON n.id = c.node_id AND n.incarnation = c.incarnation AND n.intent = 'run'
    WHERE t.id = c.id AND t.attempt = c.attempt AND (t.state + 0) = 1
      AND (t.expires_at IS NULL OR t.expires_at > %s OR t.attempt > t.released)
    RETURNING t.id, t.attempt, t.lane_id, t.node_id, t.incarnation, t.max_attempts,
              coalesce(t.timeout_seconds, c.timeout_seconds, %s), t.payload
"""

START = """
    UPDATE dispatcher_task AS t
    SET state = 3, started_at = s.started_at,
        attempt_deadline = t.attempt_deadline + greatest(s.now - t.dispatched_at, interval '0')
    FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[]) AS s(id, attempt, started_at, now)
    WHERE t.id = s.id AND t.attempt = s.attempt AND t.node_id = %s AND (t.state + 0) = 2
    RETURNING t.id, t.lane_id
"""

SUCCEED = """
    UPDATE dispatcher_task AS t
    SET state = 4, finished_at = %s, started_at = coalesce(t.started_at, s.started_at), run_at = NULL,
        result = s.result, truncated = s.truncated, error = NULL
    FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::text[], %s::bool[])
        AS s(id, attempt, started_at, result, truncated)
    WHERE t.id = s.id AND t.attempt = s.attempt AND t.node_id = %s AND (t.state + 0) = ANY(%s::int[])
    RETURNING t.id, t.lane_id, (extract(epoch FROM t.started_at - t.queued_at) * 1000)::float8
"""

END_ATTEMPTS = """
    UPDATE dispatcher_task AS t
    SET state = e.to_state, started_at = coalesce(t.started_at, e.started_at), run_at = e.run_at,
        finished_at = e.finished_at, error = coalesce(e.error, t.error), released = t.released + e.released,
        crashes = t.crashes + e.crashes, truncated = t.truncated OR e.truncated
    FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
                %s::text[], %s::int[], %s::int[], %s::bool[])
        AS e(id, attempt, to_state, started_at, run_at, finished_at, error, released, crashes, truncated)
    WHERE t.id = e.id AND t.attempt = e.attempt AND (t.state + 0) = ANY(%s::int[])
    RETURNING t.id
"""


def _run(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one statement with server-side parameters (Django's own cursor would write arrays out as text)."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def allocate_ids(count: int) -> Sequence[int]:
    sql = "SELECT nextval('dispatcher_task_id_seq') FROM generate_series(1, %s)"
    return [row[0] for row in _run(sql, (count,))]


def insert_tasks(rows: Sequence[NewTask]) -> None:
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(f"COPY dispatcher_task ({INSERT_COLUMNS}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def ready_lanes() -> list[int]:
    sql = """
        SELECT l.id FROM dispatcher_lane l
        WHERE EXISTS (SELECT 1 FROM dispatcher_task t WHERE t.lane_id = l.id AND t.state = 1)
    """
    return [row[0] for row in _run(sql, ())]


def in_flight() -> list[tuple[int, int, int]]:
    sql = "SELECT node_id, lane_id, count(*) FROM dispatcher_task WHERE state IN (2, 3) GROUP BY node_id, lane_id"
    return [(row[0], row[1], row[2]) for row in _run(sql, ())]


def suspects() -> list[tuple[int, int]]:
    sql = "SELECT node_id, count(*) FROM dispatcher_task WHERE state IN (2, 3) AND crashes > 0 GROUP BY node_id"
    return [(row[0], row[1]) for row in _run(sql, ())]


def lock_heads(wanted: Sequence[tuple[int, int]]) -> list[Head]:
    sql = """
        SELECT t.id, t.lane_id, t.priority, t.affinity_key, t.node_id, t.attempt, t.crashes,
               CASE WHEN t.crashes > 0 THEN t.queued_at END
        FROM unnest(%s::int[], %s::int[]) AS w(lane_id, n)
        CROSS JOIN LATERAL (
            SELECT id, lane_id, priority, affinity_key, node_id, attempt, crashes, queued_at FROM dispatcher_task
            WHERE lane_id = w.lane_id AND state = 1
            ORDER BY priority DESC, id LIMIT w.n FOR UPDATE SKIP LOCKED
        ) t
    """
    return [Head(*row) for row in _run(sql, _columns(wanted))] if wanted else []


def claim(rows: Sequence[Claim], *, now: datetime, timeout: float, grace: float) -> list[Claimed]:
    if not rows:
        return []
    return [Claimed(*row) for row in _run(CLAIM, (now, now, timeout, grace, *_columns(rows), now, timeout))]


def start(rows: Sequence[Start], *, node_id: int) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in _run(START, (*_columns(rows), node_id))] if rows else []


def succeed(rows: Sequence[Success], *, node_id: int, now: datetime, states: Sequence[int]) -> list[Succeeded]:
    if not rows:
        return []
    return [Succeeded(*row) for row in _run(SUCCEED, (now, *_columns(rows), node_id, list(states)))]


def end_attempts(rows: Sequence[Ending], *, states: Sequence[int]) -> list[int]:
    return [row[0] for row in _run(END_ATTEMPTS, (*_columns(rows), list(states)))] if rows else []

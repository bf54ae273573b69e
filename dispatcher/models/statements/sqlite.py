"""SQLite: one small prepared statement per row inside the batch's transaction; faster here than one big one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

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


def _stamp(at: datetime | None) -> str | None:
    """A time as Django stores it here: UTC without zone, as text that sorts."""
    return None if at is None else str(at.astimezone(UTC).replace(tzinfo=None))


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC)


def _run_each(sql: str, params: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Run the statement for each parameter row and gather what it returns.

    Goes past Django's cursor wrapper, which would rewrite the placeholders for every row.
    """
    connection.ensure_connection()
    found: list[tuple[Any, ...]] = []
    with connection.wrap_database_errors:
        execute = connection.connection.execute
        for row in params:
            found.extend(execute(sql, row))
    return found


def allocate_ids(count: int) -> Sequence[int]:
    # Safe because every transaction here begins IMMEDIATE: nobody else inserts before we commit.
    rows = _run_each("SELECT seq FROM sqlite_sequence WHERE name = 'dispatcher_task'", [()])
    last = rows[0][0] if rows else 0
    return range(last + 1, last + count + 1)


def insert_tasks(rows: Sequence[NewTask]) -> None:
    marks = ", ".join("?" * len(NewTask._fields))
    sql = f"INSERT INTO dispatcher_task ({INSERT_COLUMNS}) VALUES ({marks})"
    connection.ensure_connection()
    with connection.wrap_database_errors:
        connection.connection.executemany(
            sql,
            [
                (*r[:5], _stamp(r.created_at), _stamp(r.run_at), _stamp(r.queued_at), _stamp(r.expires_at), *r[9:])
                for r in rows
            ],
        )


def ready_lanes() -> list[int]:
    sql = """
        SELECT l.id FROM dispatcher_lane l
        WHERE EXISTS (SELECT 1 FROM dispatcher_task t WHERE t.lane_id = l.id AND t.state = 1)
    """
    return [row[0] for row in _run_each(sql, [()])]


def in_flight() -> list[tuple[int, int, int]]:
    sql = "SELECT node_id, lane_id, count(*) FROM dispatcher_task WHERE state IN (2, 3) GROUP BY node_id, lane_id"
    return [(row[0], row[1], row[2]) for row in _run_each(sql, [()])]


def suspects() -> list[tuple[int, int]]:
    sql = "SELECT node_id, count(*) FROM dispatcher_task WHERE state IN (2, 3) AND crashes > 0 GROUP BY node_id"
    return [(row[0], row[1]) for row in _run_each(sql, [()])]


def lock_heads(wanted: Sequence[tuple[int, int]]) -> list[Head]:
    # The transaction holds the only write lock, so these rows are locked as it is.
    sql = """
        SELECT id, lane_id, priority, affinity_key, node_id, attempt, crashes,
            CASE WHEN crashes > 0 THEN queued_at END
        FROM dispatcher_task
        WHERE lane_id = ? AND state = 1 ORDER BY priority DESC, id LIMIT ?
    """
    return [Head(*row) if row[7] is None else Head._make((*row[:7], _time(row[7]))) for row in _run_each(sql, wanted)]


def claim(rows: Sequence[Claim], *, now: datetime, timeout: float, grace: float) -> list[Claimed]:
    sql = """
        UPDATE dispatcher_task AS t
        SET state = 2, attempt = attempt + 1, node_id = :node, incarnation = :incarnation,
            dispatched_at = :now, started_at = NULL, run_at = NULL,
            attempt_deadline = strftime('%Y-%m-%d %H:%M:%f', :now,
                                        '+' || (coalesce(timeout_seconds, :timeout) + :grace) || ' seconds')
        WHERE id = :id AND attempt = :attempt AND state = 1
          AND (expires_at IS NULL OR expires_at > :now OR attempt > released)
          AND EXISTS (SELECT 1 FROM dispatcher_node n
                      WHERE n.id = :node AND n.incarnation = :incarnation AND n.intent = 'run')
        RETURNING id, attempt, lane_id, node_id, incarnation, max_attempts, coalesce(timeout_seconds, :timeout), payload
    """
    stamp = _stamp(now)
    params: list[Any] = [
        {
            "id": r.task_id, "attempt": r.attempt, "node": r.node_id, "incarnation": r.incarnation, "now": stamp,
            "timeout": timeout if r.timeout_seconds is None else r.timeout_seconds, "grace": grace,
        }
        for r in rows
    ]  # fmt: skip
    return [Claimed(*row) for row in _run_each(sql, params)]


def start(rows: Sequence[Start], *, node_id: int) -> list[tuple[int, int]]:
    sql = """
        UPDATE dispatcher_task
        SET state = 3, started_at = ?,
            attempt_deadline = strftime(
                '%Y-%m-%d %H:%M:%f', attempt_deadline,
                printf('+%.3f seconds', max(0, (julianday(?) - julianday(dispatched_at)) * 86400)))
        WHERE id = ? AND attempt = ? AND node_id = ? AND state = 2
        RETURNING id, lane_id
    """
    params = [(_stamp(r.started_at), _stamp(r.now), r.task_id, r.attempt, node_id) for r in rows]
    return [(row[0], row[1]) for row in _run_each(sql, params)]


def succeed(rows: Sequence[Success], *, node_id: int, now: datetime, states: Sequence[int]) -> list[Succeeded]:
    sql = f"""
        UPDATE dispatcher_task
        SET state = 4, finished_at = ?, started_at = coalesce(started_at, ?), run_at = NULL,
            result = ?, truncated = ?, error = NULL
        WHERE id = ? AND attempt = ? AND node_id = ? AND state IN ({_numbers(states)})
        RETURNING id, lane_id, (julianday(started_at) - julianday(queued_at)) * 86400000.0
    """
    ended = _stamp(now)
    params = [(ended, _stamp(r.started_at), r.result, r.truncated, r.task_id, r.attempt, node_id) for r in rows]
    return [Succeeded(*row) for row in _run_each(sql, params)]


def end_attempts(rows: Sequence[Ending], *, states: Sequence[int]) -> list[int]:
    sql = f"""
        UPDATE dispatcher_task
        SET state = ?, started_at = coalesce(started_at, ?), run_at = ?, finished_at = ?, error = coalesce(?, error),
            released = released + ?, crashes = crashes + ?, truncated = (truncated OR ?)
        WHERE id = ? AND attempt = ? AND state IN ({_numbers(states)})
        RETURNING id
    """
    params = [
        (
            r.to_state, _stamp(r.started_at), _stamp(r.run_at), _stamp(r.finished_at), r.error,
            r.released, r.crashes, r.truncated, r.task_id, r.attempt,
        )
        for r in rows
    ]  # fmt: skip
    return [row[0] for row in _run_each(sql, params)]


def _numbers(states: Sequence[int]) -> str:
    return ", ".join(str(int(state)) for state in states)

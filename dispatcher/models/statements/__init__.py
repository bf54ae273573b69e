"""The hot statements on tasks, once per database, side by side.

``postgres`` and ``sqlite`` offer the same functions with the same arguments; ``statements()`` is the one in force. Only
``dispatcher.lifecycle`` calls those that write. All of them work on batches and run inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import ModuleType
from typing import NamedTuple, Protocol, cast

from django.db import connection


class NewTask(NamedTuple):
    """A row to insert, in the order of ``INSERT_COLUMNS``."""

    id: int
    lane_id: int
    state: int
    priority: int
    max_attempts: int
    created_at: datetime
    run_at: datetime | None
    queued_at: datetime | None
    expires_at: datetime | None
    timeout_seconds: float | None
    backoff_seconds: float
    backoff_cap_seconds: float
    affinity_key: str
    tags: str
    submitted_by: str
    retry_of: int | None
    payload: str
    attempt: int = 0
    released: int = 0
    crashes: int = 0
    truncated: bool = False


INSERT_COLUMNS = ", ".join(NewTask._fields)


class Head(NamedTuple):
    """A ready task, locked for this transaction."""

    id: int
    lane_id: int
    priority: int
    affinity_key: str
    #: Node of the previous attempt, None before the first.
    node_id: int | None
    attempt: int
    #: Attempts that ended with a crashed process or a lost node.
    crashes: int = 0
    #: Since when it is ready; only of tasks that have crashed.
    queued_at: datetime | None = None


class Claim(NamedTuple):
    """A queued task at its current attempt, and the incarnation of the node that shall have it."""

    task_id: int
    attempt: int
    node_id: int
    incarnation: int
    #: What the node declares for the type: the run time of a task that names none. None: the default of all types.
    timeout_seconds: float | None = None


class Claimed(NamedTuple):
    """A claimed task with what its push needs; ``attempt`` is the new number."""

    id: int
    attempt: int
    lane_id: int
    node_id: int
    incarnation: int
    max_attempts: int
    #: Run time of the attempt: the task's own, the node's for the type, or the default. The deadline counts with it.
    timeout_seconds: float
    payload: str


class Start(NamedTuple):
    """An attempt that its node says it runs."""

    task_id: int
    attempt: int
    started_at: datetime
    #: The deadline of the attempt moves by the time from its dispatch to this.
    now: datetime


class Success(NamedTuple):
    """The result of an attempt that succeeded."""

    task_id: int
    attempt: int
    #: Used unless the start was recorded already.
    started_at: datetime
    result: str | None
    truncated: bool


class Succeeded(NamedTuple):
    """A task whose success counted."""

    id: int
    lane_id: int
    wait_ms: float | None


class Ending(NamedTuple):
    """The end of an attempt other than success: where the task goes from there."""

    task_id: int
    attempt: int
    to_state: int
    #: Used unless the start was recorded already; None if it never began.
    started_at: datetime | None
    run_at: datetime | None
    finished_at: datetime | None
    error: str | None
    released: int
    crashes: int
    truncated: bool


class Statements(Protocol):
    """What both modules offer."""

    def allocate_ids(self, count: int) -> Sequence[int]:
        """Fresh task ids, ascending."""

    def insert_tasks(self, rows: Sequence[NewTask]) -> None:
        """Insert new tasks."""

    def ready_lanes(self) -> list[int]:
        """Ids of lanes that have a queued task."""

    def in_flight(self) -> list[tuple[int, int, int]]:
        """(node id, lane id, tasks) of what nodes hold. Costs one pass over the active tasks."""

    def suspects(self) -> list[tuple[int, int]]:
        """(node id, tasks on it that have crashed their process or lost their node before)."""

    def lock_heads(self, wanted: Sequence[tuple[int, int]]) -> list[Head]:
        """The first n queued tasks of each (lane id, n), skipping those another engine has locked."""

    def claim(self, rows: Sequence[Claim], *, now: datetime, timeout: float, grace: float) -> list[Claimed]:
        """queued → dispatched, if still queued at that attempt and the node is the same incarnation and wanted.

        Not if its deadline for the start has passed, unless an earlier attempt was started. ``timeout``: the run time
        where neither task nor node says another.
        """

    def start(self, rows: Sequence[Start], *, node_id: int) -> list[tuple[int, int]]:
        """dispatched → running; returns (task id, lane id) of those that moved."""

    def succeed(
        self, rows: Sequence[Success], *, node_id: int, now: datetime, states: Sequence[int]
    ) -> list[Succeeded]:
        """→ succeeded, from one of ``states``, if the attempt is the current one and was that node's."""

    def end_attempts(self, rows: Sequence[Ending], *, states: Sequence[int]) -> list[int]:
        """→ ``to_state``, from one of ``states``, if the attempt is the current one; returns the ids that moved."""


def statements() -> Statements:
    """The statements for the database in use."""
    module: ModuleType
    if connection.vendor == "postgresql":
        from dispatcher.models.statements import postgres as module
    else:
        from dispatcher.models.statements import sqlite as module
    return cast("Statements", module)

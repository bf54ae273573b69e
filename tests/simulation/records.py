"""What the oracle keeps: runs as workers saw them, attempts as the feed told of them, tasks as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

TASKS = """
    SELECT id, state, attempt, released, max_attempts, node_id, incarnation, run_at IS NULL, queued_at IS NULL,
           attempt_deadline, finished_at IS NULL, result, error
    FROM dispatcher_task ORDER BY id
"""


class Row(NamedTuple):
    """A task as ``TASKS`` reads it."""

    id: int
    state: int
    attempt: int
    released: int
    max_attempts: int
    node_id: int | None
    incarnation: int
    no_run_at: bool
    no_queued_at: bool
    deadline: Any
    no_finish: bool
    result: str | None
    error: str | None


@dataclass(eq=False)
class Execution:
    """One run of a handler, as its worker saw it."""

    task_id: int
    attempt: int
    worker: Worker
    epoch: int
    began: float
    digest: str
    ended: float | None = None
    outcome: str = ""


@dataclass
class Claimed:
    """An attempt as the feed told of it."""

    node_id: int
    at: float
    #: How it ended, "" while it has not.
    outcome: str = ""

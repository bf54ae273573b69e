"""Rows of tasks, as lists show them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from dispatcher.events import version
from dispatcher.models import Node, Task, TaskProgress
from dispatcher.models.attempt import MAX_PROGRESS_CHARS
from dispatcher.models.lanes import lanes_by_id
from dispatcher.queries import errors
from dispatcher.queries.shapes import Progress, TaskRow
from dispatcher.redaction import redactor
from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState

#: What a row is made from: never payload, result or a whole error.
COLUMNS = (
    "id", "lane_id", "state", "priority", "attempt", "released", "max_attempts", "node_id", "created_at", "run_at",
    "queued_at", "started_at", "finished_at", "cancel_requested_at", "tags", "submitted_by",
    "error_head",
)  # fmt: skip


def task_rows(ids: Collection[int]) -> list[TaskRow]:
    """The rows of these tasks, newest first; tasks that do not exist are left out. At most four statements."""
    if not ids:
        return []
    found = Task.objects.filter(id__in=ids).order_by("-id").annotate(error_head=errors.HEAD_SOURCE).values(*COLUMNS)
    return rows_of(list(found))


def rows_of(found: Collection[Mapping[str, Any]]) -> list[TaskRow]:
    """Rows from ``COLUMNS``, in the order given."""
    lanes = lanes_by_id({raw["lane_id"] for raw in found})
    names = node_names({raw["node_id"] for raw in found})
    progress = progress_of([raw["id"] for raw in found if raw["state"] in ACTIVE])
    rows = []
    for raw in found:
        known = progress.get(raw["id"])
        current = known[1] if known is not None and known[0] == raw["attempt"] else None
        lane = lanes[raw["lane_id"]]
        rows.append(_row(raw, lane.queue, lane.type, names.get(raw["node_id"]), current))
    return rows


def node_names(ids: Iterable[int | None]) -> dict[int | None, str]:
    """Names of nodes by id."""
    wanted = {pk for pk in ids if pk is not None}
    return dict(Node.objects.filter(id__in=wanted).values_list("id", "name")) if wanted else {}


def progress_of(ids: Collection[int]) -> dict[int, tuple[int, Progress]]:
    """Task id → (attempt, how far it is)."""
    if not ids:
        return {}
    found = TaskProgress.objects.filter(task_id__in=ids).values_list("task_id", "attempt", "fraction", "message", "at")
    mask = redactor().cut_text
    return {
        task_id: (attempt, Progress(fraction=fraction, message=mask(message, MAX_PROGRESS_CHARS), at=at))
        for task_id, attempt, fraction, message, at in found
    }


def _row(raw: Mapping[str, Any], queue: str, task_type: str, node: str | None, progress: Progress | None) -> TaskRow:
    state = TaskState(raw["state"])
    queued_at = None if state == TaskState.SCHEDULED else raw["queued_at"]
    started_at = None if _has_not_started(raw, state) else raw["started_at"]
    finished_at = raw["finished_at"]
    return TaskRow(
        id=str(raw["id"]),
        version=version(state, raw["attempt"]),
        state=state.word,
        type=task_type,
        queue=queue,
        node=node,
        attempt=raw["attempt"],
        counted_attempts=raw["attempt"] - raw["released"],
        max_attempts=raw["max_attempts"],
        priority=raw["priority"],
        tags=json.loads(raw["tags"]),
        submitted_by=raw["submitted_by"],
        cancel_requested=raw["cancel_requested_at"] is not None and state not in TERMINAL,
        created_at=raw["created_at"],
        run_at=raw["run_at"] if state == TaskState.SCHEDULED else None,
        queued_at=queued_at,
        started_at=started_at,
        finished_at=finished_at,
        wait_ms=_ms_between(queued_at, started_at),
        run_ms=_ms_between(started_at, finished_at),
        progress=progress,
        error=errors.head(raw["error_head"]),
    )


def _has_not_started(raw: Mapping[str, Any], state: TaskState) -> bool:
    """Whether the start time on the row is that of an earlier attempt: it stays there while the task waits again.

    A task that was cancelled while it waited ended at the moment at which that was asked for.
    """
    if state == TaskState.CANCELLED:
        return bool(raw["cancel_requested_at"] == raw["finished_at"])
    return state in WAITING or state in {TaskState.EXPIRED, TaskState.DISPATCHED}


def _ms_between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, round((end - start).total_seconds() * 1000, 3))

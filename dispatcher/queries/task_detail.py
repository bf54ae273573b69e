"""Everything about one task: its timeline, its texts, its log lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from dispatcher.models import Attempt, Node, Task, TaskOrigin
from dispatcher.queries import errors
from dispatcher.queries.related_tasks import related, same_cause
from dispatcher.queries.shapes import AttemptRow, ErrorDetail, TaskDetail, TaskDocument, TaskHolder, TaskRow
from dispatcher.queries.task_logs import TAIL_LINES, log_ends, log_tail
from dispatcher.queries.task_rows import COLUMNS, node_names, rows_of
from dispatcher.queries.waiting import waiting
from dispatcher.redaction import MASK, Sight
from dispatcher.states import ACTIVE, TERMINAL, AttemptOutcome, TaskState

#: The newest attempts shown; the others are only counted.
MAX_ATTEMPTS = 50
MAX_RETRIES = 20

_HELD = {state.word for state in ACTIVE}
_MORE = (
    "affinity_key", "timeout_seconds", "backoff_seconds", "backoff_cap_seconds", "submitted_by", "dispatched_at",
    "expires_at", "attempt_deadline", "retry_of", "payload", "result", "error", "truncated", "sanitized",
    "lane__labels",
)  # fmt: skip


def task_detail(task_id: int, sight: Sight = Sight.MASKED) -> TaskDetail | None:
    """The task with its attempts; None if there is none (deleted for its age, or never made)."""
    found = list(Task.objects.filter(id=task_id).annotate(error_head=errors.HEAD_SOURCE).values(*COLUMNS, *_MORE))
    if not found:
        return None
    raw, row = found[0], rows_of(found)[0]
    is_active = raw["state"] in ACTIVE
    attempts, omitted = _attempts(task_id, raw, sight)
    payload, result, failure = _texts(raw, sight)
    if is_active or raw["state"] == TaskState.SUCCEEDED:
        attempts.append(_current(row, raw["dispatched_at"]))
    retries = Task.objects.filter(retry_of=task_id).order_by("-id").values_list("id", flat=True)
    origin = TaskOrigin.objects.filter(task=task_id).values_list("clone_of", flat=True).first()
    clones = TaskOrigin.objects.filter(clone_of=task_id).order_by("-task").values_list("task_id", flat=True)
    return TaskDetail(
        **row,
        labels=json.loads(raw["lane__labels"]),
        affinity_key=raw["affinity_key"],
        timeout_seconds=raw["timeout_seconds"],
        backoff_seconds=raw["backoff_seconds"],
        backoff_cap_seconds=raw["backoff_cap_seconds"],
        dispatched_at=raw["dispatched_at"] if is_active or raw["finished_at"] else None,
        expires_at=raw["expires_at"],
        attempt_deadline=raw["attempt_deadline"] if is_active else None,
        cancel_requested_at=raw["cancel_requested_at"],
        retry_of=None if raw["retry_of"] is None else str(raw["retry_of"]),
        retries=[str(pk) for pk in retries[:MAX_RETRIES]],
        clone_of=None if origin is None else str(origin),
        clones=[str(pk) for pk in clones[:MAX_RETRIES]],
        payload=payload,
        result=result,
        failure=failure,
        truncated=raw["truncated"],
        sanitized=raw["sanitized"],
        masked=sight is not Sight.ALL and (payload, result, failure) != _texts(raw, Sight.ALL),
        attempts=attempts,
        attempts_omitted=omitted,
    )


def task_document(
    task_id: int, now: datetime, sight: Sight = Sight.MASKED, *, tail: int = TAIL_LINES
) -> TaskDocument | None:
    """The document of the live topic: the task, why it waits, and the last ``tail`` lines of its log."""
    detail = task_detail(task_id, sight)
    if detail is None:
        return None
    logs = log_tail(task_id, sight, limit=tail)
    if sight is not Sight.ALL:
        detail["masked"] = detail["masked"] or any(MASK in line["text"] for line in logs)
    return TaskDocument(
        **detail,
        waiting=waiting(task_id, now),
        holder=_holder(detail),
        related=related(detail),
        same_cause=same_cause(detail, now),
        logs=logs,
        log_ends=log_ends(task_id),
    )


def _holder(task: TaskDetail) -> TaskHolder | None:
    node = Node.objects.defer("types").filter(name=task["node"]).first() if task["state"] in _HELD else None
    if node is None:
        return None
    # By the index of what nodes hold, and no further than their slots.
    busy = len(Task.objects.active().filter(node_id=node.pk).order_by().values_list("id", flat=True)[: node.slots])
    return TaskHolder(
        last_seen_at=node.last_seen_at, lease_expires_at=node.lease_expires_at, slots=node.slots, busy=busy
    )


def _texts(raw: Mapping[str, Any], sight: Sight) -> tuple[str, str | None, ErrorDetail | None]:
    """Payload, result and last failure."""
    result = raw["result"]
    return (
        sight.data.json(raw["payload"]),
        None if result is None else sight.data.json(result, is_cut=raw["truncated"]),
        errors.detail(raw["error"], sight),
    )


def _current(row: TaskRow, dispatched_at: datetime | None) -> AttemptRow:
    """The attempt that lives on the task itself."""
    return AttemptRow(
        id="current",
        number=row["attempt"],
        node=row["node"],
        outcome=row["state"],
        queued_at=row["queued_at"],
        dispatched_at=dispatched_at,
        started_at=row["started_at"],
        ended_at=row["finished_at"],
        retry_at=None,
        error=None,
    )


def _attempts(task_id: int, task: Mapping[str, Any], sight: Sight) -> tuple[list[AttemptRow], int]:
    """The newest ended attempts, oldest first, and how many older ones there are."""
    rows = list(Attempt.objects.filter(task_id=task_id).order_by("-id")[: MAX_ATTEMPTS + 1])
    shown = sorted(rows[:MAX_ATTEMPTS], key=lambda row: (row.number, row.pk))
    omitted = 0
    if len(rows) > MAX_ATTEMPTS:
        omitted = Attempt.objects.filter(task_id=task_id, id__lte=rows[MAX_ATTEMPTS].pk).count()
    names = node_names({row.node_id for row in shown})
    due = _due_after(shown, task)
    return [
        AttemptRow(
            id=str(row.pk),
            number=row.number,
            node=names.get(row.node_id),
            outcome=row.outcome,
            queued_at=row.queued_at,
            dispatched_at=row.dispatched_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            retry_at=due.get(row.pk),
            error=errors.detail(row.error, sight),
        )
        for row in shown
    ], omitted


def _due_after(attempts: list[Attempt], task: Mapping[str, Any]) -> dict[int, datetime | None]:
    """When the attempt after each of these was due. A refused report is no attempt of its own."""
    real = [row for row in attempts if row.outcome != AttemptOutcome.SUPERSEDED]
    found: dict[int, datetime | None] = {row.pk: later.queued_at for row, later in pairwise(real)}
    if real and not (task["state"] in TERMINAL and real[-1].number == task["attempt"]):
        found[real[-1].pk] = task["run_at"] or task["queued_at"]
    return found

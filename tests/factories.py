"""Rows as they lie in the database, made directly: whatever a state implies is filled in, and told to the feed.

For tests of what reads. Tests of what moves tasks use the lifecycle itself.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from dispatcher import events
from dispatcher.models import (
    Attempt,
    BulkJob,
    Change,
    EngineProcess,
    Lane,
    LogChunk,
    Node,
    Queue,
    SavedView,
    Task,
    TaskProgress,
    TaskTag,
)
from dispatcher.models.feed import node_of
from dispatcher.models.node import digest_of
from dispatcher.models.queue import canonical_labels
from dispatcher.states import ACTIVE, TERMINAL, NodeState, TaskState

#: The time of tests that do not choose one.
NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)

#: States that a task has passed through before it is in the one named.
_WAYS = {
    TaskState.DISPATCHED: (TaskState.QUEUED,),
    TaskState.RUNNING: (TaskState.QUEUED, TaskState.DISPATCHED),
    TaskState.SUCCEEDED: (TaskState.QUEUED, TaskState.DISPATCHED),
    TaskState.FAILED: (TaskState.QUEUED, TaskState.DISPATCHED),
    TaskState.CANCELLED: (TaskState.QUEUED,),
    TaskState.EXPIRED: (TaskState.QUEUED,),
}

_numbers = itertools.count(1)


def make_user(name: str = "alice", *, password: str = "sesam-9-öffne", **fields: Any) -> Any:
    """A user who can sign in; ``is_staff`` and the like as ``fields``."""
    return get_user_model().objects.create_user(name, password=password, **fields)


def make_queue(name: str = "default", *, now: datetime = NOW, **fields: Any) -> Queue:
    return Queue.objects.get_or_create(name=name, defaults={"created_at": now, **fields})[0]


def make_lane(queue: str = "default", task_type: str = "echo", *, labels: Mapping[str, str] | None = None) -> Lane:
    """The lane, made once; its queue as well."""
    make_queue(queue)
    return Lane.objects.get_or_create(queue=queue, type=task_type, labels=canonical_labels(dict(labels or {})))[0]


def make_node(name: str = "", *, now: datetime = NOW, state: NodeState = NodeState.ONLINE, **fields: Any) -> Node:
    """A node that was heard from just now, unless ``state`` or ``fields`` say otherwise."""
    name = name or f"node-{next(_numbers)}"
    return Node.objects.create(
        name=name,
        state=state,
        **{
            "url": f"http://{name}:9000",
            "boot_id": f"boot-{name}",
            "incarnation": 1,
            "slots": 4,
            "created_at": now,
            "registered_at": now,
            "last_seen_at": now,
            "lease_expires_at": now + timedelta(seconds=30),
            "types_digest": digest_of(fields.get("types")),
        }
        | fields,
    )


def make_engine(name: str = "engine-1", *, now: datetime = NOW) -> EngineProcess:
    return EngineProcess.objects.create(id=name, host="localhost", pid=1, started_at=now, last_seen_at=now)


def make_change(event: events.Event, *, at: datetime = NOW, actor: str = "") -> Change:
    """A committed row of the feed."""
    return Change.objects.create(at=at, kind=event.kind, actor=actor, body=events.encode(event), node_id=node_of(event))


def tell(
    task: Task,
    from_state: TaskState | None,
    *,
    at: datetime = NOW,
    outcome: str = "",
    wait_ms: float | None = None,
    run_ms: float | None = None,
    actor: str = "",
) -> Change:
    """Tell the feed that the task came to its present state from ``from_state``."""
    before = None if from_state is None else from_state.value
    row = events.TaskChange(
        task.pk, before, task.state, task.attempt, task.lane_id, task.node_id, outcome, wait_ms, run_ms
    )
    return make_change(events.TasksChanged(rows=[row]), at=at, actor=actor)


def make_task(
    *,
    state: TaskState = TaskState.QUEUED,
    lane: Lane | None = None,
    queue: str = "default",
    task_type: str = "echo",
    node: Node | None = None,
    tags: Sequence[str] = (),
    now: datetime = NOW,
    feed: bool = True,
    **fields: Any,
) -> Task:
    """A task in ``state``, with the times, node and attempt that the state implies; told to the feed as a new task
    and, if it is further than that, as having come to its state."""
    lane = lane or make_lane(queue, task_type)
    implied = _implied(state, now)
    if fields.get("attempt", implied.get("attempt", 0)) or node is not None or "started_at" in fields:
        node = node or Node.objects.order_by("id").first() or make_node(now=now)
        implied = {"attempt": 1, "node_id": node.pk, "incarnation": node.incarnation} | _dispatched(now) | implied
        if state == TaskState.EXPIRED:
            # Whoever had it gave it back.
            implied["released"] = fields.get("attempt", 1)
    row = {"created_at": now, "max_attempts": 3, "payload": "{}", "tags": json.dumps(list(tags))} | implied | fields
    task: Task = Task.objects.create(lane=lane, state=state.value, **row)
    TaskTag.objects.bulk_create(TaskTag(task=task, tag=tag) for tag in tags)
    if feed:
        _tell_all(task, state, now)
    return task


def _implied(state: TaskState, now: datetime) -> dict[str, Any]:
    if state == TaskState.SCHEDULED:
        return {"run_at": now + timedelta(minutes=5)}
    fields: dict[str, Any] = {"queued_at": now}
    if state in ACTIVE or state in {TaskState.SUCCEEDED, TaskState.FAILED}:
        fields["attempt"] = 1
    if state in {TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED}:
        fields["started_at"] = now
    if state in TERMINAL:
        fields["finished_at"] = now
    if state == TaskState.SUCCEEDED:
        fields["result"] = "null"
    if state == TaskState.FAILED:
        fields["error"] = make_error("ValueError", "bad value")
    if state == TaskState.EXPIRED:
        fields["expires_at"] = now
    return fields


def _dispatched(now: datetime) -> dict[str, Any]:
    """What a claim sets, and leaves set for good."""
    return {"queued_at": now, "dispatched_at": now, "attempt_deadline": now + timedelta(hours=1)}


def _tell_all(task: Task, state: TaskState, now: datetime) -> None:
    """Tell the feed the shortest way to ``state``, one transition after the other."""
    before: TaskState | None = None
    for after in _WAYS.get(state, ()):
        row = events.TaskChange(
            task.pk, None if before is None else before.value, after.value, task.attempt, task.lane_id, task.node_id
        )
        make_change(events.TasksChanged(rows=[row]), at=now)
        before = after
    ended = {TaskState.SUCCEEDED: "succeeded", TaskState.FAILED: "failed"}.get(state, "")
    tell(task, before, at=now, outcome=ended, wait_ms=5.0 if ended else None, run_ms=20.0 if ended else None)


def make_bulk_job(*, state: str = "running", now: datetime = NOW, **fields: Any) -> BulkJob:
    """A bulk action, begun by alice, with what its state implies."""
    implied: dict[str, Any] = {"paused_at": now, "paused_by": "alice"} if state == "paused" else {}
    if state in ("done", "cancelled", "failed"):
        implied["finished_at"] = now
    if state == "failed":
        implied["error"] = "it broke"
    row = {
        "action": "retry", "query": "state:failed", "actor": "alice", "batch_size": 100, "per_second": 50.0,
        "newest_id": 1000, "cursor": 1 if state == "done" else 1001, "expected": 1000,
        "created_at": now, "next_at": now,
    }  # fmt: skip
    return BulkJob.objects.create(**row | {"state": state} | implied | fields)


def make_view(owner: Any = None, *, name: str = "Failures", now: datetime = NOW, **fields: Any) -> SavedView:
    """A saved view."""
    owner = owner or make_user("vera")
    return SavedView.objects.create(owner=owner, name=name, created_at=now, changed_at=now, **fields)


def make_error(kind: str = "ValueError", message: str = "bad value", traceback: str = "Traceback …") -> str:
    """An error as it is stored."""
    return json.dumps({"type": kind, "message": message, "traceback": traceback})


def make_attempt(
    task: Task,
    *,
    number: int = 1,
    outcome: str = "failed",
    node: Node | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> Attempt:
    """An ended attempt of the task."""
    row = {"queued_at": now, "dispatched_at": now, "started_at": now, "ended_at": now, "error": make_error()} | fields
    node = node or task.node or make_node(now=now)
    return Attempt.objects.create(task=task, number=number, outcome=outcome, node=node, **row)


def make_logs(
    task: Task, texts: Sequence[str], *, attempt: int = 1, first_n: int = 1, now: datetime = NOW, feed: bool = True
) -> LogChunk:
    """Log lines that arrived together."""
    ms = round(now.timestamp() * 1000)
    lines = [[first_n + index, ms, "info", text] for index, text in enumerate(texts)]
    last = first_n + len(texts) - 1
    chunk = LogChunk.objects.create(task=task, attempt=attempt, first_n=first_n, last_n=last, lines=json.dumps(lines))
    if feed:
        make_change(events.TasksLogged(rows=[(task.pk, attempt, first_n, last)]), at=now)
    return chunk


def make_progress(
    task: Task, fraction: float | None, message: str = "", *, now: datetime = NOW, feed: bool = True
) -> TaskProgress:
    """How far the task's current attempt is, in place of what was known."""
    progress, _ = TaskProgress.objects.update_or_create(
        task=task, defaults={"attempt": task.attempt, "fraction": fraction, "message": message, "at": now}
    )
    if feed:
        make_change(events.TasksProgressed(rows=[(task.pk, task.attempt, fraction, message)]), at=now)
    return progress

"""What happened to a task, in order: from its row, its attempts, and what the feed keeps of who did something to it.

Nothing is written for it. Transitions are read from the times of the attempts; the feed is asked only for the rows that
a person or program caused, so that its retention takes away who it was, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet

from dispatcher import events
from dispatcher.models import Attempt, Change, Task
from dispatcher.models.by_time import first_id_since
from dispatcher.models.feed_reader import latest_position
from dispatcher.queries import errors
from dispatcher.queries.shapes import TaskEvent, TaskEventsPage
from dispatcher.queries.task_rows import node_names
from dispatcher.states import ACTIVE, TERMINAL, AttemptOutcome, TaskState

#: Events of one page.
MAX_EVENTS: Final = 200
#: The newest rows of the audit trail, since the task was made, that are looked through for it.
AUDIT_WINDOW: Final = 2000
_AUDITED: Final = (events.TasksChanged.kind, events.TasksCancelRequested.kind, events.TaskUnmasked.kind)
#: How much an event tells; what is not here is "normal".
_LEVELS: Final = {
    "succeeded": "good",
    "released": "minor", "rejected": "minor", "superseded": "minor", "queued": "minor", "dispatched": "minor",
    "failed": "bad", "timed_out": "bad", "crashed": "bad", "lost": "bad", "expired": "bad",
    "cancel_requested": "warning", "cancelled": "warning", "unmasked": "warning", "retry_scheduled": "warning",
}  # fmt: skip
#: Events of one moment come in this order.
_ORDER: Final = (
    "created", "queued", "dispatched", "started", "cancel_requested", "unmasked", "failed", "timed_out", "crashed",
    "lost", "rejected", "released", "superseded", "retry_scheduled", "succeeded", "ended", "cancelled", "expired",
)  # fmt: skip
_COLUMNS: Final = (
    "id", "state", "attempt", "node_id", "created_at", "submitted_by", "retry_of", "run_at", "queued_at",
    "dispatched_at", "started_at", "finished_at", "cancel_requested_at",
)  # fmt: skip


class _Happened(NamedTuple):
    """An event before it is shown."""

    at: datetime
    kind: str
    attempt: int = 0
    node_id: int | None = None
    actor: str = ""
    detail: str = ""
    until: datetime | None = None

    @property
    def id(self) -> str:
        """Rises with time; older pages are asked for with it."""
        micros = round(self.at.timestamp() * 1_000_000)
        rank = _ORDER.index(self.kind) if self.kind in _ORDER else 0
        return f"{micros:017d}-{self.attempt:010d}-{rank:02d}"


def task_events(task_id: int, *, before: str = "", limit: int = MAX_EVENTS) -> TaskEventsPage | None:
    """The newest events of the task with ids below ``before``, oldest first; None if there is no such task."""
    limit = min(max(limit, 1), MAX_EVENTS)
    task = Task.objects.filter(id=task_id).values(*_COLUMNS).first()
    if task is None:
        return None
    # Every attempt makes at least one event.
    attempts = list(_attempts(task_id, before)[: limit + 1])
    all_events = [*_of_task(task), *_of_attempts(attempts, task), *_of_audit(task)]
    found = {event.id: event for event in all_events if not before or event.id < before}
    ordered = [found[key] for key in sorted(found)]
    page = ordered[-limit:]
    names = node_names({event.node_id for event in page})
    return TaskEventsPage(
        events=[_shown(event, names) for event in page],
        before=page[0].id if len(ordered) > limit else None,
    )


def is_event_id(text: str) -> bool:
    """Whether ``text`` may be the id of an event."""
    parts = text.split("-")
    is_id = text.isascii() and all(part.isdigit() for part in parts)
    return is_id and [len(part) for part in parts] == [17, 10, 2]


def _attempts(task_id: int, before: str) -> QuerySet[Attempt]:
    """Ended attempts, the newest first, without those that are wholly after ``before``."""
    attempts = Attempt.objects.filter(task_id=task_id).order_by("-id")
    if not before:
        return attempts
    until = datetime.fromtimestamp(int(before.partition("-")[0]) / 1_000_000 + 1, tz=UTC)
    return attempts.filter(Q(queued_at__lte=until) | Q(queued_at__isnull=True, ended_at__lte=until))


def _of_task(task: Mapping[str, Any]) -> Iterator[_Happened]:
    """Its beginning, its current attempt, its end."""
    detail = f"#{task['retry_of']}" if task["retry_of"] else ""
    yield _Happened(task["created_at"], "created", actor=task["submitted_by"], detail=detail)
    state, number, node = TaskState(task["state"]), task["attempt"], task["node_id"]
    if task["queued_at"] and state is TaskState.QUEUED:
        yield _Happened(task["queued_at"], "queued", number + 1)
    if state in ACTIVE or state is TaskState.SUCCEEDED:
        yield from _on_node(number, node, task["queued_at"], task["dispatched_at"], task["started_at"])
    # A failed task's end is that of its last attempt.
    if state in TERMINAL and state is not TaskState.FAILED:
        yield _Happened(task["finished_at"], state.word, number, node if state is TaskState.SUCCEEDED else None)


def _on_node(
    number: int, node: int | None, queued: datetime | None, dispatched: datetime | None, started: datetime | None
) -> Iterator[_Happened]:
    if queued:
        yield _Happened(queued, "queued", number)
    if dispatched:
        yield _Happened(dispatched, "dispatched", number, node)
    if started:
        yield _Happened(started, "started", number, node)


def _of_attempts(attempts: Sequence[Attempt], task: Mapping[str, Any]) -> Iterator[_Happened]:
    """What happened in each ended attempt, and when the next one was due."""
    following: Attempt | None = None
    for attempt in attempts:
        if attempt.outcome == AttemptOutcome.SUPERSEDED:
            yield _Happened(attempt.ended_at, attempt.outcome, attempt.number, attempt.node_id)
            continue
        number, node = attempt.number, attempt.node_id
        yield from _on_node(number, node, attempt.queued_at, attempt.dispatched_at, attempt.started_at)
        error = errors.head(attempt.error[: errors.HEAD_SOURCE_CHARS]) if attempt.error else None
        yield _Happened(attempt.ended_at, attempt.outcome, number, node, detail=error or "")
        is_last = task["state"] in TERMINAL and number == task["attempt"]
        due = following.queued_at if following else None if is_last else task["run_at"] or task["queued_at"]
        if due is not None:
            yield _Happened(attempt.ended_at, "retry_scheduled", number, until=due)
        following = attempt


def _of_audit(task: Mapping[str, Any]) -> Iterator[_Happened]:
    """Who cancelled it, asked to, or looked at its secrets, as far as the audit trail is kept and looked through."""
    pk = task["id"]
    first = first_id_since(Change.objects.all(), "at", task["created_at"], newest=latest_position())
    window = Change.objects.exclude(actor="").filter(id__gte=first).order_by("-id").values("id")[:AUDIT_WINDOW]
    rows = Change.objects.filter(id__in=list(window.values_list("id", flat=True)), kind__in=_AUDITED)
    is_asked_told = False
    for row in rows.filter(body__contains=str(pk)).order_by("id"):
        match events.decode(row.kind, row.body):
            case events.TasksCancelRequested(rows=asked):
                for task_id, number, node in asked:
                    if task_id == pk:
                        is_asked_told = True
                        yield _Happened(row.at, "cancel_requested", number, node, row.actor)
            case events.TasksChanged(rows=moved):
                for change in moved:
                    if change.task_id == pk and change.to_state == TaskState.CANCELLED:
                        yield _Happened(row.at, "cancelled", change.attempt, actor=row.actor)
            case events.TaskUnmasked(task_id=task_id) if task_id == pk:
                yield _Happened(row.at, "unmasked", actor=row.actor)
    # A task that waited ended at once: nobody was asked.
    if task["cancel_requested_at"] not in (None, task["finished_at"]) and not is_asked_told:
        yield _Happened(task["cancel_requested_at"], "cancel_requested", task["attempt"])


def _shown(event: _Happened, names: Mapping[int | None, str]) -> TaskEvent:
    return TaskEvent(
        id=event.id,
        at=event.at,
        kind=event.kind,
        level=_LEVELS.get(event.kind, "normal"),
        attempt=event.attempt or None,
        node=names.get(event.node_id),
        actor=event.actor,
        detail=event.detail,
        until=event.until,
    )

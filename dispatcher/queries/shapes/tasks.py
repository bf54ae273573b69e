"""Shapes of tasks."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Progress(TypedDict):
    """How far a running task is, in its own words."""

    #: 0.0 to 1.0, or None when unknown.
    fraction: float | None
    message: str
    at: datetime


class TaskRow(TypedDict):
    """One task in a list."""

    id: str
    #: Rises with every transition; of two rows for the same task the one with the larger version is newer.
    version: int
    state: str
    type: str
    queue: str
    #: Name of the node of the current or last attempt.
    node: str | None
    #: The fence: rises at every claim.
    attempt: int
    #: Attempts that count against max_attempts; "2/3" on the screen is counted_attempts/max_attempts.
    counted_attempts: int
    max_attempts: int
    priority: int
    tags: list[str]
    submitted_by: str
    cancel_requested: bool
    created_at: datetime
    #: When it is due; set while scheduled.
    run_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    #: From ready to started, for the current attempt; None before the start is known.
    wait_ms: float | None
    #: From started to finished; None before the end.
    run_ms: float | None
    #: Only while active, and only of the current attempt.
    progress: Progress | None
    #: Type and first line of the last failure, at most 200 characters.
    error: str | None


class TaskPage(TypedDict):
    """A page of tasks, newest first."""

    rows: list[TaskRow]
    #: Pass it as ``after`` for what follows; None at the end. A page may be short, or empty, and still have a next one:
    #: each page looks through a bounded number of tasks.
    next: str | None
    #: All matching tasks with an id above this one were looked at; None when that is all there are.
    searched_to: str | None


class ErrorDetail(TypedDict):
    """A failure in full, as far as its size allowed."""

    type: str
    message: str
    traceback: str


class AttemptRow(TypedDict):
    """One attempt in the timeline of a task, oldest first."""

    #: Unique within the task; "current" for the attempt that lives on the task itself.
    id: str
    number: int
    node: str | None
    #: An attempt outcome, "succeeded", "dispatched" or "running".
    outcome: str
    queued_at: datetime | None
    dispatched_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    #: When the next one was due, or will be; None after the last.
    retry_at: datetime | None
    error: ErrorDetail | None


class LogLine(TypedDict):
    """One log line of a task."""

    #: "<attempt>.<n>"
    id: str
    attempt: int
    #: Counts from 1 within the attempt.
    n: int
    at: datetime
    level: str
    text: str


class LogPage(TypedDict):
    """Log lines of one attempt, in order."""

    attempt: int
    lines: list[LogLine]
    #: Pass it as ``after`` for what follows; None if there was nothing more.
    next: int | None


class LogEnd(TypedDict):
    """How far the log of one attempt has come."""

    attempt: int
    #: The number of its last line.
    last: int


class TaskEvent(TypedDict):
    """One thing that happened to a task."""

    #: Rises with time.
    id: str
    at: datetime
    #: created, queued, dispatched, started, retry_scheduled, cancel_requested, unmasked, or the outcome of an attempt
    #: or of the task.
    kind: str
    #: minor, normal, good, warning or bad.
    level: str
    attempt: int | None
    node: str | None
    #: Who caused it, if a person or program did and the audit trail has it.
    actor: str
    #: The error's head, or the task that this one is a retry of.
    detail: str
    #: When the next attempt is due, or was.
    until: datetime | None


class TaskEventsPage(TypedDict):
    """What happened to a task, oldest first: the newest, or those before another page."""

    events: list[TaskEvent]
    #: Pass it as `before` for those before these; None if there are none.
    before: str | None


class TaskDetail(TaskRow):
    """Everything about one task but its log lines."""

    labels: dict[str, str]
    affinity_key: str
    timeout_seconds: float | None
    backoff_seconds: float
    backoff_cap_seconds: float
    dispatched_at: datetime | None
    #: Not started by then: expired.
    expires_at: datetime | None
    #: No report of the current attempt by then: lost.
    attempt_deadline: datetime | None
    cancel_requested_at: datetime | None
    retry_of: str | None
    #: Tasks that are retries of this one, newest first, at most 20.
    retries: list[str]
    #: The task that this one is a changed copy of.
    clone_of: str | None
    #: Tasks that are changed copies of this one, newest first, at most 20.
    clones: list[str]
    #: JSON text, as submitted.
    payload: str
    #: JSON text, or None if there is none.
    result: str | None
    #: The last failure in full.
    failure: ErrorDetail | None
    #: Result or failure were cut to size.
    truncated: bool
    #: What a node reported held what no row may hold; it was replaced.
    sanitized: bool
    #: Payload, result, an error or a log line held secrets, which are masked here.
    masked: bool
    #: The newest 50.
    attempts: list[AttemptRow]
    attempts_omitted: int


class Obstacle(TypedDict):
    """One thing that keeps a task from a node, or from all of them."""

    #: Stable; programs may match on it.
    code: str
    text: str
    #: What the text speaks of, by name: node, queue, type, label, seconds …
    facts: dict[str, str | int]


class Cause(Obstacle):
    """One reason of the sentence that tells why a task waits."""

    #: How many nodes have it; 0 where it holds for all alike.
    nodes: int


class NodeObstacles(TypedDict):
    """What keeps a task from one node."""

    name: str
    #: The decisive one first; empty if the node could take the task now.
    reasons: list[Obstacle]
    #: The last attempt ended badly there: only if no other node can take it.
    avoided: bool


class Waiting(TypedDict):
    """Why a ready task has not been given to a node yet."""

    #: turn: nothing but others before it; transient: passes by itself; operator: somebody has to act; impossible: no
    #: registered node can ever run it as declared.
    kind: str
    #: One sentence.
    text: str
    #: Where it would go now if it were its turn.
    node: str | None
    #: What holds on every node alike.
    reasons: list[Obstacle]
    #: At most 50, those that are closest to taking it first.
    nodes: list[NodeObstacles]
    nodes_omitted: int
    #: What the sentence is made of, the most frequent first: for whoever says it in another language.
    because: list[Cause]
    #: What would keep it waiting besides.
    besides: list[Cause]


class RelatedTask(TypedDict):
    """A task that has to do with another, as of the moment at which the document was made."""

    id: str
    #: What it is to the other: retry_of, clone_of (those are where the other comes from), retry, clone.
    relation: str
    state: str
    type: str
    #: For the word of its state.
    attempt: int
    cancel_requested: bool
    created_at: datetime


class SameCause(TypedDict):
    """Failures of the last hour of the same type and the same error, but for numbers in it."""

    #: The newest 50.
    count: int
    is_more: bool
    #: In the search language: exactly these.
    query: str


class TaskHolder(TypedDict):
    """The node that has a task now, as far as the task's fate hangs on it."""

    last_seen_at: datetime | None
    #: Not heard from by then: what it has is given to others.
    lease_expires_at: datetime | None
    slots: int
    #: Slots in use, by our own accounting.
    busy: int


class TaskDocument(TaskDetail):
    """The document of the live topic ``task:<id>``."""

    #: None unless the task is ready and waits for a node.
    waiting: Waiting | None
    #: None unless it is on a node.
    holder: TaskHolder | None
    #: What it was made from and what was made from it, at most 42.
    related: list[RelatedTask]
    #: Of a failed task: those that failed like it in the last hour, itself included; None if none but itself did.
    same_cause: SameCause | None
    #: The last 200 lines of all attempts, by attempt and n.
    logs: list[LogLine]
    #: The newest 50 attempts that wrote any, by attempt.
    log_ends: list[LogEnd]

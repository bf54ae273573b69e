"""The shapes of everything that pages, API and live topics show.

Values are ready to be encoded by msgspec: times are aware ``datetime`` (in JSON: ISO 8601, UTC, ``Z``), durations are
milliseconds, task ids are strings of digits. Ages are never sent: who shows them counts from the time given.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class Counts(TypedDict):
    """Tasks per state."""

    scheduled: int
    queued: int
    dispatched: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


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


class TaskDetail(TaskRow):
    """Everything about one task but its log lines."""

    labels: dict[str, str]
    affinity_key: str
    timeout_seconds: float | None
    backoff_seconds: float
    backoff_cap_seconds: float
    submitted_by: str
    dispatched_at: datetime | None
    #: Not started by then: expired.
    expires_at: datetime | None
    #: No report of the current attempt by then: lost.
    attempt_deadline: datetime | None
    cancel_requested_at: datetime | None
    retry_of: str | None
    #: Tasks that are retries of this one, newest first, at most 20.
    retries: list[str]
    #: JSON text, as submitted.
    payload: str
    #: JSON text, or None if there is none.
    result: str | None
    #: The last failure in full.
    failure: ErrorDetail | None
    #: Result or failure were cut to size.
    truncated: bool
    #: The newest 50.
    attempts: list[AttemptRow]
    attempts_omitted: int


class Obstacle(TypedDict):
    """One thing that keeps a task from a node, or from all of them."""

    #: Stable; programs may match on it.
    code: str
    text: str


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


class TaskDocument(TaskDetail):
    """The document of the live topic ``task:<id>``."""

    #: None unless the task is ready and waits for a node.
    waiting: Waiting | None
    #: The last 1,000 lines of all attempts, by attempt and n.
    logs: list[LogLine]


class NodeRow(TypedDict):
    """One node in a list. Load is by our own accounting, never what the node says of itself."""

    name: str
    #: online, suspect, offline
    state: str
    #: What the operator wants: run, drain, disabled; ``reason`` says why.
    intent: str
    reason: str
    #: The node itself takes no more work.
    draining: bool
    slots: int
    #: All attempts that it has.
    held: int
    #: Slots in use: at most ``slots``.
    busy: int
    #: Attempts beyond the slots.
    waiting_on_node: int
    #: Attempts that it has reported as running; short tasks end before that.
    running: int
    labels: dict[str, str]
    version: str
    #: closed, open, half_open
    breaker: str
    #: Written to the two-file tutorial.
    tutorial: bool
    last_seen_at: datetime | None
    #: No pushes before then; None when there is no pause.
    held_until: datetime | None
    #: Attempts that ended in the last hour.
    succeeded_last_hour: int
    failed_last_hour: int


class TypeInfo(TypedDict):
    """What a node says of one task type."""

    name: str
    version: str
    description: str
    timeout_seconds: float | None
    schema: dict[str, Any] | None


class NodeDetail(TypedDict):
    """Everything about one node; the document of the live topic ``node:<name>``."""

    node: NodeRow
    url: str
    boot_id: str
    incarnation: int
    protocol: int
    #: Queues that it serves; empty means all.
    queues: list[str]
    #: None: any type.
    types: list[TypeInfo] | None
    created_at: datetime
    registered_at: datetime | None
    lease_expires_at: datetime | None
    push_failures: int
    #: What it has now, newest first, at most 200.
    tasks: list[TaskRow]
    #: Failed tasks whose last attempt was here, newest first, at most 20 of the newest 1,000 failed tasks.
    failures: list[TaskRow]


class Pause(TypedDict):
    """Why a queue hands out nothing."""

    by: str
    reason: str
    since: datetime


class QueueRow(TypedDict):
    """One queue in a list."""

    name: str
    description: str
    policy: str
    #: Ready tasks.
    depth: int
    scheduled: int
    active: int
    #: Since when the longest-waiting ready task waits.
    oldest_since: datetime | None
    #: Submitted, and brought to an end, in the last minute.
    in_per_minute: float
    out_per_minute: float
    paused: Pause | None
    #: Ready tasks at the end of each of the last 30 minutes, oldest first; the last one is now.
    depth_history: list[int]


class OldestWait(TypedDict):
    """The ready task that waits longest."""

    queue: str
    since: datetime


class SeriesPoint(TypedDict):
    """One minute of the charts. Percentiles are milliseconds, None without data."""

    minute: datetime
    succeeded: int
    #: Ended for good in failure.
    failed: int
    #: Cancelled or expired.
    other: int
    #: Attempts that failed or were lost and are tried again.
    retried: int
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None
    run_p50: float | None
    run_p95: float | None
    run_p99: float | None
    #: Ready tasks at the end of the minute, for the queues that had any.
    depth: dict[str, int]


class FailureGroup(TypedDict):
    """Failed tasks of the last hour with the same task type and error, out of the newest 200 failed tasks."""

    type: str
    error: str
    count: int
    last_task: str
    last_at: datetime


class Pool(TypedDict):
    """The nodes that are not disabled, and the slots of those that are online."""

    nodes_online: int
    nodes_total: int
    slots_busy: int
    slots_total: int


class Overview(Pool):
    """The document of the live topic ``overview``."""

    counts: Counts
    failed_last_hour: int
    oldest_wait: OldestWait | None
    #: Tasks brought to an end, per second, over the last minute.
    finished_per_second: float
    #: Engine processes heard from within 30 seconds. Without one nothing moves.
    engines_online: int
    #: The last 60 minutes, oldest first; the last one is not over.
    series: list[SeriesPoint]
    nodes: list[NodeRow]
    queues: list[QueueRow]
    #: At most 10, most frequent first.
    failures: list[FailureGroup]


class TasksDocument(TypedDict):
    """The document of the live topic ``tasks``."""

    #: The tasks on the screen, newest first, also when they match the filters no longer. Deleted tasks leave.
    rows: list[TaskRow]
    #: Matching tasks that belong on this page and are not on it, at most 500.
    new: int
    new_is_capped: bool
    #: Tasks per state, for the filters queue and type; None with other filters than these and state. With one of
    #: these two, active tasks are not told apart and count as running.
    counts: Counts | None


class NodesDocument(Pool):
    """The document of the live topic ``nodes``."""

    nodes: list[NodeRow]


class QueuesDocument(TypedDict):
    """The document of the live topic ``queues``."""

    queues: list[QueueRow]


class TypeRow(TypedDict):
    """One task type: advertised by nodes that are not offline, or seen on tasks."""

    name: str
    description: str
    timeout_seconds: float | None
    #: JSON Schema of the payload, from the node that started last.
    schema: dict[str, Any] | None
    #: Names of the nodes that run it; nodes that run any type are not listed.
    nodes: list[str]
    #: Versions that these nodes have; more than one means that they differ.
    versions: list[str]
    #: Queues in which tasks of this type were seen.
    queues: list[str]


class AuditRow(TypedDict):
    """What someone did."""

    id: str
    at: datetime
    kind: str
    actor: str
    #: The event's fields, lists of tasks cut to the first 20.
    facts: dict[str, Any]


class AuditPage(TypedDict):
    """A page of the audit trail, newest first."""

    rows: list[AuditRow]
    next: str | None

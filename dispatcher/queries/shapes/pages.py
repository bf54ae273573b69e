"""Shapes of nodes, queues, figures and the documents of pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from dispatcher.queries.shapes.nodes import Enrolment, NodeCell, NodeListRow
from dispatcher.queries.shapes.tasks import TaskRow


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
    #: Nodes that are online, wanted and serve it, by name: the first three, and how many more.
    served_by: list[str]
    served_by_more: int
    #: Ready tasks at the end of each of the last 30 minutes, oldest first; the last one is now.
    depth_history: list[int]


class QueueMinutePoint(TypedDict):
    """One minute of a queue. ``depth``: ready tasks at its end; ``oldest``: how long the first of them waited then."""

    minute: datetime
    submitted: int
    ended: int
    depth: int
    #: In milliseconds.
    oldest: int


class QueueDetail(TypedDict):
    """Everything about one queue; the document of the live topic ``queue:<name>``."""

    queue: QueueRow
    created_at: datetime
    #: The last 60 minutes, oldest first; the last one is not over.
    series: list[QueueMinutePoint]
    #: Those that serve it, problems first, at most 50 of ``nodes_matching``.
    nodes: list[NodeListRow]
    nodes_matching: int
    #: Slots of those among them that are online and get work.
    slots_busy: int
    slots_total: int


class OldestWait(TypedDict):
    """The ready task that waits longest."""

    queue: str
    since: datetime


class SeriesPoint(TypedDict):
    """One step of the charts: a minute unless the range is long. Percentiles are milliseconds, None without data."""

    #: When it begins.
    minute: datetime
    succeeded: int
    #: Ended for good in failure.
    failed: int
    #: Cancelled or expired.
    other: int
    #: Attempts that failed or were lost and are tried again.
    retried: int
    submitted: int
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None
    run_p50: float | None
    run_p95: float | None
    run_p99: float | None
    #: Ready tasks at the end of the minute, for the queues that had any; at most 8 queues. In longer steps the most.
    depth: dict[str, int]
    #: For how long the first of them has waited then, in milliseconds, likewise.
    oldest: dict[str, int]


class FailureGroup(TypedDict):
    """Failed tasks with the same task type and error, out of the newest 200 failed tasks."""

    type: str
    error: str
    count: int
    last_task: str
    last_at: datetime


class Series(TypedDict):
    """The charts of a stretch of time."""

    #: 15m, 1h, 6h, 24h or 7d: it moves with the clock; "" for one that stays.
    range: str
    start: datetime
    #: Where its last step ends; in the future if that is not over.
    end: datetime
    step_seconds: int
    #: Oldest first, one per step, without gaps.
    points: list[SeriesPoint]
    #: The queues in the points, deepest first, and how many are left out.
    queues: list[str]
    queues_omitted: int
    #: Tasks that failed for good; in the range of the same length before it (None: not kept for so long).
    failed: int
    failed_before: int | None
    #: At most 10, most frequent first.
    failures: list[FailureGroup]


class Stuck(TypedDict):
    """Tasks on nodes that do not get on. Each is counted once."""

    #: Their node has not been heard from for too long: its lease is running out, or has run out.
    on_silent_nodes: int
    #: The one node that is silent so; None if there are none, or several.
    node: str | None
    #: Longer on a node than their attempt may take; at most 1,000.
    overdue: int


class Pool(TypedDict):
    """The nodes that are not disabled, and the slots of those that are online."""

    nodes_online: int
    nodes_total: int
    slots_busy: int
    slots_total: int


class Overview(Pool):
    """The document of the live topic ``overview``."""

    counts: Counts
    #: Tasks that failed for good in the last hour, and in the hour before.
    failed: int
    failed_before: int | None
    stuck: Stuck
    oldest_wait: OldestWait | None
    #: Tasks brought to an end, per second, over the last minute.
    finished_per_second: float
    #: Engine processes heard from within 30 seconds. Without one nothing moves.
    engines_online: int
    #: The last 60 minutes, oldest first; the last one is not over.
    series: list[SeriesPoint]
    #: The first 8, problems first.
    nodes: list[NodeListRow]
    #: All of them, if there are more.
    cells: list[NodeCell]
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

    #: Those that match the filter, problems first, at most as many as were asked for.
    nodes: list[NodeListRow]
    #: All that match.
    cells: list[NodeCell]
    matching: int
    #: Nodes of the pool by status, whatever the filter, and ``problem`` for all that somebody should look at.
    statuses: dict[str, int]
    #: The version that most nodes online have.
    usual_version: str
    #: The last ten, newest first.
    enrolments: list[Enrolment]


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


class TypeLine(TypedDict):
    """One task type in a list, with its last hour."""

    name: str
    description: str
    #: Of the nodes that are online; more than one means that they differ.
    versions: list[str]
    has_schema: bool
    #: Nodes that are online advertise different schemas.
    schemas_differ: bool
    #: Nodes that can run it, with those that take any type.
    nodes_online: int
    nodes_total: int
    #: Tasks brought to an end in the last minute.
    per_minute: float
    succeeded_last_hour: int
    failed_last_hour: int
    #: Of the tasks that succeeded or failed in the last hour; None without any.
    failed_share: float | None
    #: Over the last hour, in ms; None without data.
    wait_p95: float | None
    run_p95: float | None
    #: Tasks brought to an end in each of the last 60 minutes, oldest first; the last one is not over.
    history: list[int]


class TypesDocument(TypedDict):
    """The document of the live topic ``types``."""

    types: list[TypeLine]


class TypeOffer(TypedDict):
    """Nodes that advertise a type alike."""

    key: str
    version: str
    #: Names the schema; "" for nodes without one.
    schema: str
    #: Payloads are checked by this schema.
    is_used: bool
    #: Online, by name, at most 50.
    nodes: list[str]
    nodes_online: int
    nodes_total: int


class TypeDetail(TypedDict):
    """Everything about one type; the document of the live topic ``type:<name>``."""

    type: TypeLine
    timeout_seconds: float | None
    #: The JSON Schema that payloads are checked by: of most nodes that are online, else of the last that was.
    schema: dict[str, Any] | None
    #: Why schemas that nodes sent are not used.
    schema_errors: list[str]
    #: Keywords of the schema that are not checked at submission.
    unchecked: list[str]
    #: By version.
    offers: list[TypeOffer]
    #: Queues in which its tasks were seen.
    queues: list[str]
    #: The last 60 minutes, oldest first; the last one is not over. Depths are not kept by type.
    series: list[SeriesPoint]


class AuditRow(TypedDict):
    """What someone did."""

    id: str
    at: datetime
    kind: str
    actor: str
    #: The event's fields, lists of tasks cut to the first 20.
    facts: dict[str, Any]
    #: How many tasks it was about, those that were cut included.
    num_tasks: int


class ActivityDocument(TypedDict):
    """The document of the live topic ``activity``."""

    #: The id of the newest action that matches.
    newest: str | None


class AuditPage(TypedDict):
    """A page of the audit trail, newest first."""

    rows: list[AuditRow]
    #: Where the next page begins; None if there is none.
    next: str | None
    #: Down to which action it was looked for more, if not through all of them.
    searched_to: str | None


class SavedViewRow(TypedDict):
    """A view of the list of tasks that somebody keeps by a name."""

    id: str
    name: str
    #: In the search language; "" for all tasks.
    q: str
    #: "" for the newest first.
    sort: str
    #: Names of columns with commas between; "" for the reader's own choice.
    cols: str
    owner: str
    #: Whether everybody sees it.
    shared: bool
    changed_at: datetime


class SavedViews(TypedDict):
    """Those of who asks, and those that others share."""

    views: list[SavedViewRow]

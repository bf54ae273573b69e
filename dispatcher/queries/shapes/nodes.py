"""Shapes of nodes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from dispatcher.queries.shapes.tasks import TaskRow


class NodeRow(TypedDict):
    """One node in a list. Load is by our own accounting, never what the node says of itself."""

    name: str
    #: online, suspect, offline
    state: str
    #: What the operator wants: run, drain, disabled; ``reason`` says why.
    intent: str
    reason: str
    #: Of a drain with a deadline: when it ends, and whether what is left then is handed back to run elsewhere.
    drain_until: datetime | None
    hands_back: bool | None
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


class NodeListRow(NodeRow):
    """One node in the list of the pool. While it beats on time, large pools leave ``last_seen_at`` out (None)."""

    #: offline, suspect, breaker, trial, refusing, draining, drained, online, disabled: the most pressing of what it is.
    status: str
    #: Its place: problems first.
    rank: int
    #: Its version is not the one that most nodes online have.
    skew: bool


class NodeCell(TypedDict):
    """One node on the map."""

    name: str
    status: str
    rank: int
    slots: int
    busy: int


class Enrolment(TypedDict):
    """A node that joined with an enrolment token; ``token`` is how that begins."""

    token: str
    node: str
    at: datetime


class NodeMinutePoint(TypedDict):
    """How the attempts on a node ended in one minute."""

    minute: datetime
    succeeded: int
    failed: int


class NodeEventRow(TypedDict):
    """Something that happened to a node."""

    id: str
    at: datetime
    kind: str
    #: Who asked for it; "" for what was found.
    actor: str
    reason: str


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
    status: str
    #: Who wanted what ``intent`` says; "" if nobody did, or nobody knows any longer.
    intent_by: str
    intent_at: datetime | None
    #: The last 60 minutes, oldest first; the last one is not over.
    series: list[NodeMinutePoint]
    #: Newest first, at most 50.
    events: list[NodeEventRow]

"""The shapes of answers that the views put together themselves; all others are read models or wire messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, TypedDict, get_type_hints

import msgspec

from dispatcher.api.problems import FieldError
from dispatcher.queries import shapes
from workers import protocol


class _Problem(TypedDict):
    type: str
    title: str
    status: int


class Problem(_Problem, total=False):
    """What went wrong (RFC 9457). `type` is a name for programs, or "about:blank" where the status says it all."""

    detail: str
    errors: list[FieldError]


class _TaskId(TypedDict):
    id: str


class TaskSummary(_TaskId, total=False):
    """A task as it stands right after it was taken; nothing but its id where it could not be read back."""

    state: str
    type: str
    queue: str
    labels: dict[str, str]
    priority: int
    tags: list[str]
    attempt: int
    max_attempts: int
    timeout_seconds: float | None
    created_at: datetime
    run_at: datetime | None
    deadline: datetime | None
    submitted_by: str
    retry_of: str | None


class TasksTaken(TypedDict):
    """The ids of the tasks in the order sent, and the places of those that were there before."""

    ids: list[str]
    existing: list[int]


class TasksPage(TypedDict):
    """Tasks, newest first or by `sort`. `next` goes into `after`; null at the end.

    `searched_to`: tasks with lower ids were not looked at for this page; null where it is full or there are none. With
    `sort=created`, the oldest first, those with higher ids. With other orders, which sort up to 1,000 tasks, the newest
    that match: it says where those end, on full pages too.
    """

    tasks: list[shapes.TaskRow]
    next: str | None
    searched_to: str | None


def _full_task() -> type[msgspec.Struct]:
    """``TaskDetail`` as the API has it: payload and result as the JSON that they are, and why it waits."""
    members: dict[str, Any] = get_type_hints(shapes.TaskDetail, include_extras=True)
    members["deadline"] = members.pop("expires_at")
    members |= {"payload": Any, "result": Any, "waiting": shapes.Waiting | None}
    made = msgspec.defstruct("TaskInFull", list(members.items()))
    made.__doc__ = "Everything about one task but its log lines. Secrets are masked."
    return made


TaskInFull: Final = _full_task()


class CancelOutcome(TypedDict):
    """Whether the task is cancelled, or its node was asked to stop it."""

    id: str
    outcome: Literal["cancelled", "requested"]


class TasksCancelled(TypedDict):
    """The ids by what became of them."""

    cancelled: list[str]
    requested: list[str]
    too_late: list[str]
    unknown: list[str]


class TasksRetried(TypedDict):
    """The new task of each old one, and the ids for which there is none."""

    created: dict[str, str]
    not_finished: list[str]
    unknown: list[str]


class NodeSteered(TypedDict):
    """How the node stands now, and whether that is a change."""

    name: str
    state: str
    intent: str
    reason: str
    #: Of a drain with a deadline: when it ends, and whether what is left then is handed back.
    drain_until: datetime | None
    hands_back: bool | None
    changed: bool


class Nodes(TypedDict):
    """All nodes with their load."""

    nodes: list[shapes.NodeRow]


class RotationAsked(TypedDict):
    """How many credentials the node is asked to change."""

    name: str
    credentials: int


class EnrolmentToken(TypedDict):
    """A token with which nodes join; shown this once."""

    token: str
    uses: int
    expires_at: datetime


class Queue(TypedDict):
    """A queue as it is set."""

    name: str
    policy: str
    description: str
    paused: shapes.Pause | None


class Change(TypedDict):
    """Something that happened. The members of `facts` depend on `kind`."""

    id: str
    at: datetime
    kind: str
    actor: str
    facts: dict[str, Any]


class ChangesPage(TypedDict):
    """What happened, oldest first. `next` goes into `after`; it stays where it is when there is nothing new."""

    changes: list[Change]
    next: str


class Health(TypedDict):
    """All is well."""

    status: Literal["ok"]


class Unwell(TypedDict):
    """What is missing."""

    status: Literal["unavailable"]
    missing: str


class TutorialTask(TypedDict):
    """The task by the client's name for it, and by ours."""

    taskId: str | int
    id: str
    state: str


class TutorialNode(TypedDict):
    """What the worker shall do, and how often it shall say that it lives."""

    nodeId: str | int
    status: protocol.DesiredStatus
    heartbeatSeconds: float


class TutorialRegistered(TutorialNode, total=False):
    """The same, with the worker's own credential once, for an enrolment token."""

    credential: str


class TutorialVerdict(TypedDict):
    """What became of the result."""

    taskId: str | int
    verdict: Literal["recorded", "duplicate"]

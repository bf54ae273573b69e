"""The table of the routes: what each takes and answers, beyond what all of their kind do.

Addresses and methods come from the URL resolver, rights and whether a body has to be sent from the views, and the
descriptions from the docstrings of their methods: a route that is missing here, or here and nowhere else, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from dispatcher.api import bulk_routes, node_intake, nodes, queue_routes, seed, tasks, view_routes
from dispatcher.api.openapi import answers, parameters
from dispatcher.api.openapi.parameters import Parameter
from dispatcher.api.openapi.schemas import schema_of
from dispatcher.api.task_input import TaskInput
from dispatcher.api.validation import LINE, NAME
from dispatcher.api.views import NoFields
from dispatcher.queries import shapes
from workers import protocol


class Tasks(msgspec.Struct, forbid_unknown_fields=True):
    """Tasks to submit: all of them, or none."""

    tasks: Annotated[list[TaskInput], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one route. ``name`` is what a generated client calls it."""

    name: str
    #: What a success holds, by status.
    answers: dict[int, Any]
    #: The type of the body; None: it takes none.
    body: Any = None
    #: Bodies that are right, by what they show.
    examples: dict[str, Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    #: Errors beyond those of all routes of its kind: 404 and 409.
    errors: tuple[int, ...] = ()
    #: Whether a success names what was made in the header Location.
    location: Literal["never", "of one", "always"] = "never"
    #: An error that is no problem document, by its status.
    other_errors: dict[int, Any] | None = None


_IDS: Final = {"two": {"ids": ["124", "125"]}}
_REASON: Final = {"a reason": {"reason": "disk full"}}
_DRAIN: Final = {"within ten minutes": {"reason": "new kernel", "deadline_seconds": 600, "hand_back": True}}

_TASKS: Final = {
    "GET /api/v1/tasks": Operation(
        name="list_tasks", answers={200: answers.TasksPage}, parameters=parameters.TASK_FILTERS
    ),
    "POST /api/v1/tasks": Operation(
        name="submit_tasks",
        body=(TaskInput, Tasks, Annotated[list[TaskInput], msgspec.Meta(min_length=1)]),
        examples={
            "one": {"type": "demo.count_words", "payload": {"text": "a rose is a rose"}},
            "many": [{"type": "demo.echo", "payload": 1}, {"type": "demo.echo", "payload": 2, "queue": "night"}],
        },
        parameters=(parameters.IDEMPOTENCY_KEY,),
        answers={
            201: (answers.TaskSummary, answers.TasksTaken),
            200: (answers.TaskSummary, answers.TasksTaken),
        },
        errors=(409, 422),
        location="of one",
    ),
    "POST /api/v1/tasks/cancel": Operation(
        name="cancel_tasks", body=tasks.Ids, examples=_IDS, answers={200: answers.TasksCancelled}
    ),
    "POST /api/v1/tasks/retry": Operation(
        name="retry_tasks",
        body=tasks.Ids,
        examples=_IDS,
        answers={201: answers.TasksRetried, 200: answers.TasksRetried},
    ),
    "GET /api/v1/tasks/{task_id}": Operation(
        name="read_task", answers={200: answers.TaskInFull}, parameters=(parameters.UNMASKED,), errors=(404,)
    ),
    "GET /api/v1/tasks/{task_id}/logs": Operation(
        name="read_task_logs", answers={200: shapes.LogPage}, parameters=parameters.LOG_LINES, errors=(404,)
    ),
    "GET /api/v1/tasks/{task_id}/events": Operation(
        name="read_task_events", answers={200: shapes.TaskEventsPage}, parameters=parameters.EVENTS, errors=(404,)
    ),
    "POST /api/v1/tasks/{task_id}/cancel": Operation(
        name="cancel_task",
        body=NoFields,
        answers={200: answers.CancelOutcome, 202: answers.CancelOutcome},
        errors=(404, 409),
    ),
    "POST /api/v1/tasks/{task_id}/retry": Operation(
        name="retry_task", body=NoFields, answers={201: answers.TaskSummary}, errors=(404, 409), location="always"
    ),
}

_FAILED: Final = {"action": "retry", "q": "state:failed queue:gpu,cpu"}

_BULK: Final = {
    "GET /api/v1/bulk": Operation(
        name="list_bulk_actions", answers={200: shapes.BulkPage}, parameters=parameters.BULK_PAGE
    ),
    "POST /api/v1/bulk": Operation(
        name="start_bulk_action",
        body=bulk_routes.BulkOrder,
        examples={"retry what failed": _FAILED | {"batch_size": 100, "per_second": 50.0}},
        parameters=(parameters.IDEMPOTENCY_KEY,),
        answers={201: shapes.BulkDocument, 200: shapes.BulkDocument},
        errors=(409,),
        location="always",
    ),
    "POST /api/v1/bulk/preview": Operation(
        name="preview_bulk_action",
        body=bulk_routes.BulkQuestion,
        examples={"retry what failed": _FAILED},
        answers={200: shapes.BulkPreview},
    ),
    "GET /api/v1/bulk/{job_id}": Operation(name="read_bulk_action", answers={200: shapes.BulkDocument}, errors=(404,)),
    **{
        f"POST /api/v1/bulk/{{job_id}}/{word}": Operation(
            name=f"{word}_bulk_action", body=NoFields, answers={200: shapes.BulkDocument}, errors=(404, 409)
        )
        for word in ("pause", "resume", "cancel")
    },
}

_NODES: Final = {
    "GET /api/v1/nodes": Operation(name="list_nodes", answers={200: answers.Nodes}),
    "GET /api/v1/nodes/{name}": Operation(name="read_node", answers={200: shapes.NodeDetail}, errors=(404,)),
    **{
        f"POST /api/v1/nodes/{{name}}/{action}": Operation(
            name=f"{action}_node",
            body=nodes.DrainRequest if action == "drain" else nodes.Reason,
            examples=_DRAIN if action == "drain" else _REASON,
            answers={200: answers.NodeSteered},
            errors=(404,),
        )
        for action in nodes.ACTIONS
    },
    "POST /api/v1/nodes/{name}/rotate": Operation(
        name="rotate_node_credential", body=NoFields, answers={200: answers.RotationAsked}, errors=(404, 409)
    ),
    "POST /api/v1/nodes/enrolment-tokens": Operation(
        name="create_enrolment_token",
        body=nodes.EnrolmentRequest,
        examples={"a rack": {"label": "rack 4", "uses": 2, "expires_in_seconds": 3600}},
        answers={201: answers.EnrolmentToken},
    ),
}

_QUEUES: Final = {
    "GET /api/v1/queues": Operation(name="list_queues", answers={200: shapes.QueuesDocument}),
    "POST /api/v1/queues": Operation(
        name="create_queue",
        body=queue_routes.NewQueue,
        examples={"spread": {"name": "thumbnails", "policy": "spread", "description": "small and many"}},
        answers={201: answers.Queue},
        errors=(409,),
        location="always",
    ),
    "GET /api/v1/queues/{name}": Operation(name="read_queue", answers={200: shapes.QueueRow}, errors=(404,)),
    "PATCH /api/v1/queues/{name}": Operation(
        name="edit_queue",
        body=queue_routes.QueueEdit,
        examples={"policy": {"policy": "round_robin"}},
        answers={200: answers.Queue},
        errors=(404,),
    ),
    "POST /api/v1/queues/{name}/pause": Operation(
        name="pause_queue", body=nodes.Reason, examples=_REASON, answers={200: answers.Queue}, errors=(404,)
    ),
    "POST /api/v1/queues/{name}/resume": Operation(
        name="resume_queue", body=nodes.Reason, examples=_REASON, answers={200: answers.Queue}, errors=(404,)
    ),
}

_VIEWS: Final = {
    "GET /api/v1/views": Operation(name="list_views", answers={200: shapes.SavedViews}),
    "POST /api/v1/views": Operation(
        name="save_view",
        body=view_routes.NewView,
        examples={"for everybody": {"name": "Failures of gpu", "q": "state:failed queue:gpu", "shared": True}},
        answers={201: shapes.SavedViewRow},
        errors=(409,),
        location="always",
    ),
    "GET /api/v1/views/{view_id}": Operation(name="read_view", answers={200: shapes.SavedViewRow}, errors=(404,)),
    "PATCH /api/v1/views/{view_id}": Operation(
        name="edit_view",
        body=view_routes.ViewEdit,
        examples={"another name": {"name": "Failures of gpu and cpu", "q": "state:failed queue:gpu,cpu"}},
        answers={200: shapes.SavedViewRow},
        errors=(404, 409),
    ),
    "DELETE /api/v1/views/{view_id}": Operation(
        name="delete_view", body=NoFields, answers={200: shapes.SavedViewRow}, errors=(404,)
    ),
}

_TYPES: Final = {
    "GET /api/v1/types": Operation(name="list_types", answers={200: shapes.TypesDocument}),
    "GET /api/v1/types/{name}": Operation(name="read_type", answers={200: shapes.TypeDetail}, errors=(404,)),
}

_FEED: Final = {
    "GET /api/v1/counts": Operation(name="read_counts", answers={200: shapes.Counts}),
    "GET /api/v1/series": Operation(
        name="read_series", answers={200: shapes.Series}, parameters=parameters.SERIES, errors=(404,)
    ),
    "GET /api/v1/changes": Operation(
        name="list_changes", answers={200: answers.ChangesPage}, parameters=parameters.CHANGES
    ),
    "GET /api/v1/openapi.json": Operation(name="read_openapi", answers={200: dict[str, Any]}),
    "GET /healthz": Operation(name="is_alive", answers={200: answers.Health}),
    "GET /readyz": Operation(name="is_ready", answers={200: answers.Health}, other_errors={503: answers.Unwell}),
}

_BY_NODES: Final = {
    "POST /api/v1/nodes/register": Operation(
        name="register",
        body=protocol.Register,
        examples={"a start": {"name": "gpu-1", "url": "http://127.0.0.1:9000", "boot_id": "4f1c", "slots": 4}},
        answers={200: protocol.Registered},
        errors=(409,),
    ),
    "POST /api/v1/nodes/heartbeat": Operation(
        name="heartbeat",
        body=protocol.Heartbeat,
        examples={"idle": {"boot_id": "4f1c", "free_slots": 4}},
        answers={200: protocol.HeartbeatReply},
        errors=(409,),
    ),
    "POST /api/v1/nodes/results": Operation(
        name="report",
        body=protocol.Report,
        examples={
            "one result": {
                "boot_id": "4f1c",
                "results": [{"task_id": "123", "attempt": 1, "outcome": "succeeded", "result": 4}],
            }
        },
        answers={200: protocol.ReportReply},
    ),
    "POST /api/v1/nodes/credential": Operation(
        name="renew_credential", body=NoFields, answers={200: protocol.Renewed}, errors=(409,)
    ),
}

#: What ``node_intake.check_registration`` asks for beyond the types of the wire, which both sides share.
_ADDRESS: Final = {"pattern": r"^https?://[^/?#@%\s]+(?:/[^?#\s]*)?$"}
_SLOTS: Final = {"minimum": 1, "maximum": node_intake.MAX_SLOTS}
CONDITIONS: Final[dict[type, dict[str, dict[str, Any]]]] = {
    protocol.Register: {
        "name": schema_of(Annotated[str, msgspec.Meta(min_length=1, max_length=100), NAME]),
        "url": _ADDRESS,
        "boot_id": schema_of(Annotated[str, msgspec.Meta(min_length=1, max_length=64), LINE]),
        "slots": _SLOTS,
        "version": schema_of(Annotated[str, msgspec.Meta(max_length=50), LINE]),
        "protocol": {"minimum": 1, "maximum": protocol.PROTOCOL_VERSION},
        "newest_protocol": {"minimum": 1, "maximum": node_intake.MAX_PROTOCOL},
    },
    seed.SeedRegister: {"url": _ADDRESS, "slots": _SLOTS},
}

_TUTORIAL: Final = {
    "POST /task": Operation(
        name="tutorial_submit",
        body=seed.SeedTask,
        examples={"an order": {"taskId": "order-7", "payload": {"n": 7}}},
        answers={201: answers.TutorialTask, 200: answers.TutorialTask},
        errors=(409, 422),
        location="always",
    ),
    "POST /register": Operation(
        name="tutorial_register",
        body=seed.SeedRegister,
        examples={"a start": {"nodeId": "gpu-1", "url": "http://127.0.0.1:3001"}},
        answers={200: answers.TutorialRegistered},
        errors=(409,),
    ),
    "POST /heartbeat": Operation(
        name="tutorial_heartbeat",
        body=seed.SeedHeartbeat,
        examples={"alive": {"nodeId": "gpu-1"}},
        answers={200: answers.TutorialNode},
        errors=(409,),
    ),
    "POST /result": Operation(
        name="tutorial_result",
        body=seed.SeedResult,
        examples={
            "success": {"taskId": "123", "nodeId": "gpu-1", "result": {"sum": 28}},
            "failure": {"taskId": "123", "nodeId": "gpu-1", "error": "no such file"},
        },
        answers={200: answers.TutorialVerdict},
        errors=(404, 409),
    ),
}

#: By the heading of each group: what it is about, and its operations by method and address.
GROUPS: Final[dict[str, tuple[str, dict[str, Operation]]]] = {
    "tasks": ("Submit, read, cancel, retry.", _TASKS),
    "bulk actions": ("Retry or cancel all tasks that match a query, in the background.", _BULK),
    "queues": ("List, make, edit, pause, resume.", _QUEUES),
    "views": ("Views of the list of tasks that are kept by a name.", _VIEWS),
    "types": ("Task types: their schemas, who runs them, how it goes.", _TYPES),
    "nodes": ("Nodes as people see and steer them.", _NODES),
    "feed": ("Counts, changes, health, and this document.", _FEED),
    "calls of nodes": ("What worker nodes call; docs/worker_protocol.md has the sense of it.", _BY_NODES),
    "tutorial": ("The routes of the two-file tutorial.", _TUTORIAL),
}

#: What the dispatcher calls on a node, below the address that the node registered with: body and answer.
PUSHED: Final[dict[str, tuple[str, str, Any, dict[int, Any]]]] = {
    "tasks": (
        "POST",
        "Take these tasks. 429 or 503 with Retry-After: not now.",
        protocol.Push,
        {202: protocol.PushReply},
    ),
    "control": ("POST", "Follow these orders.", protocol.Control, {200: protocol.ControlReply}),
    "status": ("GET", "Say what is held and finished.", None, {200: protocol.NodeStatus}),
}

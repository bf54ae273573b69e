"""The routes of the two-file tutorial, at the root, in its own words (camelCase), for programs in any language.

They are a thin translation to the wire contract: same credentials, same registry, same verdicts. ``nodeId`` has to be
the name of the credential's node. A register is a start of the worker: what the previous start held is given to others.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

import msgspec
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request

from dispatcher import lifecycle, node_output, node_registry
from dispatcher.api import node_intake, task_input
from dispatcher.api.authentication import EnrollingNodeAuthentication
from dispatcher.api.node_wire import LeaseRoute, NodeRoute
from dispatcher.api.problems import IDEMPOTENCY_CONFLICT, STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.validation import LINE, NAME
from dispatcher.api.views import ApiView, answer
from dispatcher.conf import conf
from dispatcher.models import Node, Task
from dispatcher.models.task import parse_task_id
from dispatcher.scopes import Scope
from dispatcher.states import TaskState
from workers import protocol

#: The type of tasks that name none.
DEFAULT_TYPE: Final = "task"

#: The tutorial does not say whether ids are text or numbers.
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=task_input.MAX_KEY_CHARS), LINE] | int
_NodeId = Annotated[str, msgspec.Meta(min_length=1, max_length=task_input.MAX_KEY_CHARS), NAME] | int


class SeedTask(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """``POST /task``: ``taskId`` is the client's own name for it; sent twice, the task is made once."""

    task_id: _Id
    payload: msgspec.Raw = protocol.EMPTY_JSON
    type: task_input.TypeName = DEFAULT_TYPE


class SeedRegister(msgspec.Struct, rename="camel"):
    """``POST /register``. Other members are ignored."""

    node_id: _NodeId
    url: str
    slots: int = 1
    #: Names of the task types it runs; null: any. Left out: the type of tasks that name none, for the tutorial has no
    #: types and its workers could do nothing sensible with those of others.
    types: list[str] | None = msgspec.field(default_factory=lambda: [DEFAULT_TYPE])
    labels: dict[str, str] = {}
    queues: list[str] = []


class SeedHeartbeat(msgspec.Struct, rename="camel"):
    """``POST /heartbeat``. Other members are ignored."""

    node_id: _NodeId


class SeedError(msgspec.Struct):
    """An error as an object; a plain string does as well."""

    message: str = ""
    type: str = "Error"
    traceback: str = ""


class SeedResult(msgspec.Struct, rename="camel"):
    """``POST /result``: the end of a task, with a ``result`` or an ``error``. Other members are ignored."""

    task_id: _Id
    node_id: _NodeId
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: SeedError | str | msgspec.UnsetType | None = msgspec.UNSET
    #: As it came with the task; left out: the one that the node has now.
    attempt: int | None = None


_task = msgspec.json.Decoder(SeedTask)
_register = msgspec.json.Decoder(SeedRegister)
_heartbeat = msgspec.json.Decoder(SeedHeartbeat)
_result = msgspec.json.Decoder(SeedResult)


class TaskRoute(ApiView):
    """``POST /task``."""

    writes = Scope.TASKS_WRITE

    body_required = True

    def post(self, _request: Request) -> HttpResponse:
        """Submit the task (201), or find it again by its ``taskId`` (200)."""
        wanted = self.read(_task)
        key, now = str(wanted.task_id), self.now
        item = task_input.TaskInput(type=wanted.type, payload=wanted.payload, idempotency_key=key)
        names = {"idempotency_key": "taskId"}
        if errors := task_input.errors_of(item, now):
            raise invalid([FieldError(message, names.get(field, field)) for field, message in errors])
        task_input.check_payloads([item], is_single=True)
        try:
            made = lifecycle.submit(task_input.specs_of([item], now), submitted_by=self.actor, now=now)[0]
        except lifecycle.IdempotencyConflict:
            raise Problem(
                409, f"taskId {key!r} was used before with another task.", type=IDEMPOTENCY_CONFLICT
            ) from None
        return answer(
            {"taskId": wanted.task_id, "id": str(made.task_id), "state": _state_word(made)},
            status=200 if made.existing else 201,
            headers={"Location": reverse("api:task", args=[made.task_id])},
        )


def _state_word(made: lifecycle.Submitted) -> str:
    """The state of a task that was just taken: what cannot be read any more makes no error of that."""
    if not made.existing:
        return TaskState.QUEUED.word
    task = Task.objects.filter(pk=made.task_id).only("state").first()
    return task.state_word if task is not None else "deleted"


class RegisterRoute(LeaseRoute):
    """``POST /register``."""

    authentication_classes = (EnrollingNodeAuthentication,)

    def post(self, _request: Request) -> HttpResponse:
        """Take the worker in; with an enrolment token the answer holds its own credential, once."""
        said = node_intake.receive(self.http, _register)
        message = protocol.Register(
            name=str(said.node_id),
            url=said.url,
            # The tutorial knows no starts: each register is one.
            boot_id=secrets.token_hex(16),
            slots=said.slots,
            labels=said.labels,
            queues=said.queues,
            types=None if said.types is None else {name: protocol.TypeInfo() for name in said.types},
        )
        node_intake.check_registration(message)
        node, credential = node_intake.admit(message, self.credential, now=self.now, is_tutorial=True)
        body: dict[str, Any] = {
            "nodeId": said.node_id,
            "status": node_registry.desired_status(node),
            "heartbeatSeconds": conf().heartbeat_seconds,
        }
        if credential is not None:
            body["credential"] = credential
        return answer(body)


class HeartbeatRoute(LeaseRoute):
    """``POST /heartbeat``."""

    def post(self, _request: Request) -> HttpResponse:
        """What the worker shall do. 409: register first."""
        said = node_intake.receive(self.http, _heartbeat)
        node = _own_node(self, said.node_id)
        reply = node_registry.heartbeat(protocol.Heartbeat(boot_id=node.boot_id), node=node, now=self.now)
        return answer({"nodeId": said.node_id, "status": reply.status, "heartbeatSeconds": reply.heartbeat_seconds})


class ResultRoute(NodeRoute):
    """``POST /result``."""

    def post(self, _request: Request) -> HttpResponse:
        """Record the result once: 200 also for a repeated one, 409 when another attempt has taken over."""
        said, is_changed = node_intake.receive_noting(self.http, _result)
        node = _own_node(self, said.node_id)
        task_id = str(said.task_id)
        result = _task_result(said, task_id, _attempt(said, task_id, node))
        result.sanitized = is_changed
        node_output.keep_flat(result)
        report = protocol.Report(boot_id=node.boot_id, results=[result])
        verdict = node_intake.record(report, node=node, now=self.now).verdicts[0].verdict
        if verdict == "unknown":
            raise Problem(404, f"There is no task {task_id[:40]!r}.")
        if verdict == "superseded":
            raise Problem(
                409,
                "This result does not count: the task has ended otherwise, or another attempt has it.",
                type=STATE_CONFLICT,
            )
        return answer({"taskId": said.task_id, "verdict": verdict})


def _own_node(view: NodeRoute, node_id: str | int) -> Node:
    """The calling node, which has to be the one that it says it is."""
    if str(node_id) != view.node.name:
        raise Problem(403, f"This token belongs to the node {view.node.name!r}, not to {str(node_id)[:100]!r}.")
    return view.node


def _attempt(said: SeedResult, task_id: str, node: Node) -> int:
    """The attempt that the result is of: as said, or the last one that this node was given."""
    if said.attempt is not None:
        return said.attempt
    number = parse_task_id(task_id)
    if number is None:
        raise Problem(404, f"There is no task {task_id[:40]!r}.")
    row = Task.objects.filter(pk=number).values_list("attempt", "node_id").first()
    if row is None:
        raise Problem(404, f"There is no task {task_id[:40]!r}.")
    attempt, node_id = row
    if node_id != node.pk or attempt < 1:
        raise Problem(409, "This result does not count: the task is not this node's.", type=STATE_CONFLICT)
    return int(attempt)


def _task_result(said: SeedResult, task_id: str, attempt: int) -> protocol.TaskResult:
    if said.error is msgspec.UNSET or said.error is None:
        if said.result is msgspec.UNSET:
            raise invalid([FieldError("give a result or an error", "result")])
        return protocol.TaskResult(task_id=task_id, attempt=attempt, outcome="succeeded", result=said.result)
    error = SeedError(message=said.error) if isinstance(said.error, str) else said.error
    return protocol.TaskResult(
        task_id=task_id,
        attempt=attempt,
        outcome="failed",
        error=protocol.TaskError(type=error.type, message=error.message, traceback=error.traceback),
    )

"""Tasks: submit, list, read, cancel, retry."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import msgspec
from django.db import DatabaseError
from django.http import HttpResponse, QueryDict
from django.urls import reverse
from rest_framework.request import Request

from dispatcher import lifecycle, queries
from dispatcher.api import json_guard, task_input
from dispatcher.api.problems import IDEMPOTENCY_CONFLICT, STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.sight import asked_sight
from dispatcher.api.validation import TASK_ID
from dispatcher.api.views import ApiView, NoFields, answer, flag, given_once, known_params, page_limit, whole_number
from dispatcher.models import Task
from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.task import parse_task_id
from dispatcher.queries.filters import FilterError, TaskFilters
from dispatcher.queries.shapes import TaskDetail
from dispatcher.queries.task_events import MAX_EVENTS, is_event_id
from dispatcher.queries.task_look import sort_of
from dispatcher.queries.task_sort import Reading, parse_cursor, read
from dispatcher.scopes import Scope
from dispatcher.states import TaskState

logger = logging.getLogger(__name__)

#: Tasks in one request to cancel or retry.
MAX_STEERED: Final = 1000

_SUMMARY: Final = (
    "lane_id", "state", "priority", "tags", "attempt", "max_attempts", "timeout_seconds", "created_at", "run_at",
    "expires_at", "submitted_by", "retry_of",
)  # fmt: skip

_NO_SUCH_TASK: Final = "There is no such task."


#: Checked by ``_task_ids``, which names every bad one.
_TaskIdText = Annotated[str, TASK_ID]
_TaskIdNumber = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1})]


class Ids(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks to steer: strings of digits; numbers are understood as well."""

    ids: Annotated[list[_TaskIdText | _TaskIdNumber], msgspec.Meta(min_length=1, max_length=MAX_STEERED)]


_ids = msgspec.json.Decoder(Ids)
_no_fields = msgspec.json.Decoder(NoFields)


class TasksView(ApiView):
    """``/tasks``: all tasks, newest first, and where new ones are submitted."""

    reads = Scope.TASKS_READ
    writes = Scope.TASKS_WRITE

    body_required = True

    def get(self, request: Request) -> HttpResponse:
        """A page of the tasks that match the filters."""
        params = given_once(request.query_params, "after", "limit", "wider", "sort")
        limit, wider = page_limit(params), flag(params, "wider")
        page = read(_filters(params), Reading.of(_cursor(params), sort=_sort(params), limit=limit, wider=wider))
        return answer({"tasks": page["rows"], "next": page["next"], "searched_to": page["searched_to"]})

    def post(self, request: Request) -> HttpResponse:
        """Submit one task or many: all of them, or none and the reasons."""
        now = self.now
        body = json_guard.read_strict(self.http)
        batch = task_input.parse(body, key=request.headers.get("Idempotency-Key"), now=now)
        try:
            made = lifecycle.submit(batch.specs, submitted_by=self.actor, now=now)
        except lifecycle.IdempotencyConflict as conflict:
            raise _conflict(conflict.indexes, is_single=batch.is_single) from None
        return _submitted_one(made[0]) if batch.is_single else _submitted_many(made)


class TaskView(ApiView):
    """``/tasks/{id}``: everything about one task but its log."""

    reads = Scope.TASKS_READ

    def get(self, request: Request, task_id: str) -> HttpResponse:
        """The task."""
        sight = asked_sight(self, task_id, known_params(request.query_params, "unmasked"))
        detail = queries.task_detail(_task_id(task_id), sight)
        if detail is None:
            raise Problem(404, _NO_SUCH_TASK)
        return answer(_document(detail) | {"waiting": queries.waiting(int(detail["id"]), self.now)})


class TaskLogsView(ApiView):
    """``/tasks/{id}/logs``: the log lines of one attempt."""

    reads = Scope.TASKS_READ

    def get(self, request: Request, task_id: str) -> HttpResponse:
        """Lines above ``after``, in order; of the newest attempt that has any unless ``attempt`` says another."""
        params = known_params(request.query_params, "attempt", "after", "limit", "unmasked")
        number = _task_id(task_id)
        if not Task.objects.filter(pk=number).exists():
            raise Problem(404, _NO_SUCH_TASK)
        return answer(
            queries.task_logs(
                number,
                attempt=whole_number(params, "attempt", 0) or None,
                after=whole_number(params, "after", 0),
                limit=page_limit(params),
                sight=asked_sight(self, task_id, params),
            )
        )


class TaskEventsView(ApiView):
    """``/tasks/{id}/events``: what happened to one task."""

    reads = Scope.TASKS_READ

    def get(self, request: Request, task_id: str) -> HttpResponse:
        """The newest events, or those ``before`` another page, oldest first."""
        params = known_params(request.query_params, "before", "limit")
        before = params.get("before", "")
        if before and not is_event_id(before):
            raise invalid([FieldError("must be what the previous page gave as before", "before")])
        limit = whole_number(params, "limit", MAX_EVENTS, least=1, most=MAX_EVENTS)
        page = queries.task_events(_task_id(task_id), before=before, limit=limit)
        if page is None:
            raise Problem(404, _NO_SUCH_TASK)
        return answer(page)


class CancelTaskView(ApiView):
    """``/tasks/{id}/cancel``."""

    writes = Scope.TASKS_WRITE

    def post(self, _request: Request, task_id: str) -> HttpResponse:
        """End a waiting task now (200), or ask the node that has it (202). 409 if it has ended."""
        self.read(_no_fields)
        number = _task_id(task_id)
        done = lifecycle.cancel([number], actor=self.actor, now=self.now)
        if done.unknown:
            raise Problem(404, _NO_SUCH_TASK)
        if done.too_late:
            raise Problem(409, "The task has ended already.", type=STATE_CONFLICT)
        outcome, status = ("requested", 202) if done.requested else ("cancelled", 200)
        return answer({"id": str(number), "outcome": outcome}, status=status)


class RetryTaskView(ApiView):
    """``/tasks/{id}/retry``."""

    writes = Scope.TASKS_WRITE

    def post(self, _request: Request, task_id: str) -> HttpResponse:
        """Make a new task like this one, which has ended. 409 if it has not."""
        self.read(_no_fields)
        number = _task_id(task_id)
        done = lifecycle.retry([number], actor=self.actor, now=self.now)
        if done.unknown:
            raise Problem(404, _NO_SUCH_TASK)
        if done.not_finished:
            raise Problem(409, "The task has not ended yet.", type=STATE_CONFLICT)
        return _with_location(done.created[number], status=201)


class CancelTasksView(ApiView):
    """``/tasks/cancel``: many at once, ``{"ids": ["1", "2"]}``."""

    writes = Scope.TASKS_WRITE

    body_required = True

    def post(self, _request: Request) -> HttpResponse:
        """The ids by what became of them."""
        task_ids = _task_ids(self.read(_ids).ids)
        done = lifecycle.cancel(task_ids, actor=self.actor, now=self.now)
        return answer(
            {
                "cancelled": _texts(done.cancelled),
                "requested": _texts(done.requested),
                "too_late": _texts(done.too_late),
                "unknown": _texts(done.unknown),
            }
        )


class RetryTasksView(ApiView):
    """``/tasks/retry``: many at once, ``{"ids": ["1", "2"]}``."""

    writes = Scope.TASKS_WRITE

    body_required = True

    def post(self, _request: Request) -> HttpResponse:
        """The new task of each, and the ids for which there is none."""
        task_ids = _task_ids(self.read(_ids).ids)
        done = lifecycle.retry(task_ids, actor=self.actor, now=self.now)
        return answer(
            {
                "created": {str(old): str(new) for old, new in done.created.items()},
                "not_finished": _texts(done.not_finished),
                "unknown": _texts(done.unknown),
            },
            status=201 if done.created else 200,
        )


def _submitted_one(made: lifecycle.Submitted) -> HttpResponse:
    return _with_location(made.task_id, status=200 if made.existing else 201)


def _submitted_many(made: Sequence[lifecycle.Submitted]) -> HttpResponse:
    existing = [index for index, one in enumerate(made) if one.existing]
    return answer(
        {"ids": [str(one.task_id) for one in made], "existing": existing},
        status=200 if len(existing) == len(made) else 201,
    )


def _with_location(task_id: int, *, status: int) -> HttpResponse:
    where = reverse("api:task", args=[task_id])
    return answer(_summary(task_id), status=status, headers={"Location": where})


def _summary(task_id: int) -> dict[str, Any]:
    """The task as it stands right after its submission, from one row; nothing but its id if that cannot be read.

    The task has been taken: an error now would make its client send it again.
    """
    try:
        found = list(Task.objects.filter(pk=task_id).values(*_SUMMARY))
        lanes = lanes_by_id([row["lane_id"] for row in found])
    except DatabaseError:
        logger.warning("task %d was taken, but cannot be read back", task_id, exc_info=True)
        found, lanes = [], {}
    if not found:
        # Or: submitted before with the same key, and deleted for its age since.
        return {"id": str(task_id)}
    row = found[0]
    lane = lanes[row["lane_id"]]
    return {
        "id": str(task_id),
        "state": TaskState(row["state"]).word,
        "type": lane.type,
        "queue": lane.queue,
        "labels": lane.label_map,
        "priority": row["priority"],
        "tags": msgspec.Raw(row["tags"].encode()),
        "attempt": row["attempt"],
        "max_attempts": row["max_attempts"],
        "timeout_seconds": row["timeout_seconds"],
        "created_at": row["created_at"],
        "run_at": row["run_at"],
        "deadline": row["expires_at"],
        "submitted_by": row["submitted_by"],
        "retry_of": None if row["retry_of"] is None else str(row["retry_of"]),
    }


def _document(detail: TaskDetail) -> dict[str, Any]:
    """A task in full. Payload and result travel as the JSON that they are; the deadline has the name of its input."""
    document: dict[str, Any] = dict(detail)
    document["payload"] = msgspec.Raw(detail["payload"].encode())
    document["result"] = None if detail["result"] is None else msgspec.Raw(detail["result"].encode())
    document["deadline"] = document.pop("expires_at")
    return document


def _task_id(text: str) -> int:
    number = parse_task_id(text)
    if number is None:
        raise Problem(404, _NO_SUCH_TASK)
    return number


def _task_ids(named: Iterable[str | int]) -> list[int]:
    numbers = [parse_task_id(str(name)) for name in named]
    if bad := [index for index, number in enumerate(numbers) if number is None]:
        raise invalid([FieldError("is no task id", "ids", index) for index in bad])
    return list(dict.fromkeys(number for number in numbers if number is not None))


def _texts(task_ids: Iterable[int]) -> list[str]:
    return [str(task_id) for task_id in task_ids]


def _conflict(indexes: Iterable[int], *, is_single: bool) -> Problem:
    message = "was used before with another task"
    return Problem(
        409,
        "The idempotency key was used before with another task; nothing was stored.",
        type=IDEMPOTENCY_CONFLICT,
        errors=[FieldError(message, "idempotency_key", None if is_single else index) for index in indexes][:100],
    )


def _filters(params: QueryDict) -> TaskFilters:
    try:
        return TaskFilters.parse(params, ignore=("after", "limit", "wider", "sort"))
    except FilterError as error:
        raise bad_filter(error) from None


def _sort(params: QueryDict) -> str:
    try:
        return sort_of(params.get("sort", ""))
    except FilterError as error:
        raise bad_filter(error) from None


def bad_filter(error: FilterError) -> Problem:
    """400 naming the parameter, and the place in a query."""
    where = error.search
    if where is None:
        return invalid([FieldError(error.message, error.name[:100])])
    return invalid([FieldError(error.message, error.name, None, where.start, where.end, where.suggestion)])


def _cursor(params: QueryDict) -> tuple[int, int | None] | None:
    text = params.get("after", "")
    cursor = parse_cursor(text)
    if text and cursor is None:
        raise invalid([FieldError("must be what the previous page gave as next", "after")])
    return cursor

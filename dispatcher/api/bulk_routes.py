"""Actions on all tasks that match a query: preview, start, watch, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request

from dispatcher import bulk, queries
from dispatcher.api.problems import IDEMPOTENCY_CONFLICT, STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.task_input import MAX_KEY_CHARS
from dispatcher.api.tasks import bad_filter
from dispatcher.api.views import ApiView, NoFields, answer, known_params, page_limit
from dispatcher.bulk.jobs import DEFAULT_BATCH, DEFAULT_PER_SECOND
from dispatcher.models import BulkJob
from dispatcher.models.bulk import MAX_BATCH, MAX_PER_SECOND, BulkAction
from dispatcher.models.task import parse_task_id
from dispatcher.queries.filters import FilterError, TaskFilters
from dispatcher.queries.shapes import BulkDocument
from dispatcher.scopes import Scope
from dispatcher.search import MAX_CHARS

_NO_SUCH_JOB: Final = "There is no such bulk action."


class BulkQuestion(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to do to which tasks."""

    action: Literal["retry", "cancel"]
    #: In the search language of `GET /tasks`; "" for all tasks.
    q: Annotated[str, msgspec.Meta(max_length=MAX_CHARS)]
    #: Retry also tasks of which there is a retry already.
    again: bool = False


class BulkOrder(BulkQuestion, forbid_unknown_fields=True, kw_only=True):
    """The same, and how fast. `per_second` null: as fast as it goes."""

    batch_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH)] = DEFAULT_BATCH
    per_second: Annotated[float, msgspec.Meta(ge=0.01, le=MAX_PER_SECOND)] | None = DEFAULT_PER_SECOND


_question = msgspec.json.Decoder(BulkQuestion)
_order = msgspec.json.Decoder(BulkOrder)
_no_fields = msgspec.json.Decoder(NoFields)


class BulkPreviewView(ApiView):
    """``/bulk/preview``."""

    # It changes nothing; who may not act may look at what would be done.
    writes = Scope.TASKS_READ

    body_required = True

    def post(self, _request: Request) -> HttpResponse:
        """Count what an action would be about, without doing anything. Up to 50,000 tasks are counted."""
        asked = self.read(_question)
        return answer(queries.bulk_preview(BulkAction(asked.action), _filters(asked), again=asked.again))


class BulkJobsView(ApiView):
    """``/bulk``."""

    reads = Scope.TASKS_READ
    writes = Scope.TASKS_WRITE

    body_required = True

    def get(self, request: Request) -> HttpResponse:
        """Bulk actions, newest first."""
        params = known_params(request.query_params, "after", "limit")
        return answer(queries.bulk_page(after=_cursor(params.get("after", "")), limit=page_limit(params)))

    def post(self, request: Request) -> HttpResponse:
        """Retry or cancel all tasks that match and are there now. An engine does it, batch by batch; nothing is done
        before the answer.
        """
        wanted = self.read(_order)
        order = bulk.BulkRequest(
            action=BulkAction(wanted.action),
            filters=_filters(wanted),
            again=wanted.again,
            batch_size=wanted.batch_size,
            per_second=wanted.per_second,
            idempotency_key=_key(request),
        )
        try:
            job, is_new = bulk.start(order, actor=self.actor, now=self.now)
        except bulk.KeyUsed:
            raise Problem(
                409,
                "The idempotency key was used before with another bulk action; nothing was begun.",
                type=IDEMPOTENCY_CONFLICT,
            ) from None
        where = reverse("api:bulk-job", args=[job.pk])
        return answer(_document(job.pk), status=201 if is_new else 200, headers={"Location": where})


class BulkJobView(ApiView):
    """``/bulk/{job_id}``."""

    reads = Scope.TASKS_READ

    def get(self, request: Request, job_id: str) -> HttpResponse:
        """How far it is, and which tasks it left as they were, and why."""
        known_params(request.query_params)
        return answer(_document(_number(job_id)))


class _SteeredView(ApiView):
    """Base of what steers one job."""

    writes = Scope.TASKS_WRITE

    def _steer(self, steer: Callable[..., BulkJob], job_id: str) -> HttpResponse:
        self.read(_no_fields)
        number = _number(job_id)
        try:
            steer(number, actor=self.actor, now=self.now)
        except bulk.UnknownJob:
            raise Problem(404, _NO_SUCH_JOB) from None
        except bulk.JobEnded as ended:
            raise Problem(409, f"It has ended already: {ended.state}.", type=STATE_CONFLICT) from None
        return answer(_document(number))


class PauseBulkView(_SteeredView):
    """``/bulk/{job_id}/pause``."""

    def post(self, _request: Request, job_id: str) -> HttpResponse:
        """Do nothing until it is resumed. A batch that is being done is finished first. 409 if it has ended."""
        return self._steer(bulk.pause, job_id)


class ResumeBulkView(_SteeredView):
    """``/bulk/{job_id}/resume``."""

    def post(self, _request: Request, job_id: str) -> HttpResponse:
        """Go on where it was. 409 if it has ended."""
        return self._steer(bulk.resume, job_id)


class CancelBulkView(_SteeredView):
    """``/bulk/{job_id}/cancel``."""

    def post(self, _request: Request, job_id: str) -> HttpResponse:
        """Do no more; what was done stays done. 409 if it has ended."""
        return self._steer(bulk.cancel, job_id)


def _document(number: int) -> BulkDocument:
    document = queries.bulk_document(number)
    if document is None:
        raise Problem(404, _NO_SUCH_JOB)
    return document


def _filters(asked: BulkQuestion) -> TaskFilters:
    if asked.again and asked.action != "retry":
        raise invalid([FieldError("is for retries only", "again")])
    try:
        filters = TaskFilters.parse({"q": asked.q})
        # As it will be kept, and read again: it may have grown.
        return TaskFilters.parse({"q": filters.text})
    except FilterError as error:
        raise bad_filter(error) from None


def _number(text: str) -> int:
    number = parse_task_id(text)
    if number is None:
        raise Problem(404, _NO_SUCH_JOB)
    return number


def _cursor(text: str) -> int | None:
    number = parse_task_id(text)
    if text and number is None:
        raise invalid([FieldError("must be what the previous page gave as next", "after")])
    return number


def _key(request: Request) -> str:
    key: Any = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
        raise invalid([FieldError(f"must be 1 to {MAX_KEY_CHARS} printable characters", "Idempotency-Key")])
    return str(key)

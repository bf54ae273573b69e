"""Errors as RFC 9457 problem documents, everywhere below /api/ and on the tutorial's routes.

    {"type": "…", "title": "Bad Request", "status": 400, "detail": "…",
     "errors": [{"index": 3, "field": "priority", "message": "…"}]}

Views raise; ``problem_words.handle`` (DRF's exception handler) makes the document. ``type`` is "about:blank" where the
status says it all, and a name of ours where a program may want to tell cases apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions

from dispatcher import faults
from dispatcher.backlog import BacklogFull
from dispatcher.credentials import RenewalRefused
from dispatcher.node_registry import EnrolmentRefused, EnrolmentUsedUp, RegisterFirst
from dispatcher.queues import UnknownQueue
from dispatcher.redaction import redactor

logger = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
#: Errors named in one answer; the detail says if there were more.
MAX_ERRORS: Final = 100

TYPE_PREFIX: Final = "urn:taskdist:problem:"
INVALID: Final = TYPE_PREFIX + "invalid"
PAYLOAD_MISMATCH: Final = TYPE_PREFIX + "payload-mismatch"
IDEMPOTENCY_CONFLICT: Final = TYPE_PREFIX + "idempotency-conflict"
REGISTER_FIRST: Final = TYPE_PREFIX + "register-first"
#: Of a 401.
CHALLENGE: Final = 'Bearer realm="taskdist"'
INSUFFICIENT_SCOPE: Final = TYPE_PREFIX + "insufficient-scope"
BACKLOG_FULL: Final = TYPE_PREFIX + "backlog-full"
STATE_CONFLICT: Final = TYPE_PREFIX + "state-conflict"


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field. ``index``: which item of a batch; None for a single object.

    Of a query in the search language: ``start`` and ``end`` enclose what is wrong, in characters from 0, and
    ``suggestion`` is the query as it may have been meant.
    """

    message: str
    field: str = ""
    index: int | None = None
    start: int | None = None
    end: int | None = None
    suggestion: str = ""


class Problem(Exception):
    """An answer other than success. ``detail`` is a sentence for the person who reads the log of the client."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        type: str = "about:blank",  # noqa: A002 - the member's name in RFC 9457
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.type = type
        self.errors = list(errors)
        self.headers = dict(headers or {})


class _Document(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[FieldError] = []


_encode = msgspec.json.Encoder().encode


def invalid(errors: Sequence[FieldError], detail: str = "") -> Problem:
    """400 with the fields that are wrong. Names at most ``MAX_ERRORS`` of them and says so."""
    if not detail:
        detail = f"{len(errors)} errors; nothing was changed." if len(errors) > 1 else in_one_line(errors[0])
    if len(errors) > MAX_ERRORS:
        detail = f"{len(errors)} errors, of which the first {MAX_ERRORS} are listed; nothing was changed."
    return Problem(400, detail, type=INVALID, errors=errors[:MAX_ERRORS])


def unfit(errors: Sequence[FieldError]) -> Problem:
    """422: the request is in order, but payloads do not fit the schemas of their types."""
    problem = invalid(errors)
    return Problem(422, problem.detail, type=PAYLOAD_MISMATCH, errors=problem.errors)


def in_one_line(error: FieldError) -> str:
    """The error with its place, for logs that keep nothing but the detail."""
    place = "" if error.index is None else f"item {error.index}"
    return ": ".join(part for part in (", ".join(filter(None, (place, error.field))), error.message) if part)


def respond(problem: Problem) -> HttpResponse:
    """The document as an HTTP answer."""
    # Names of fields and words of ours stand beside each other here; what a caller sent may look like a secret.
    mask = redactor().shapes
    document = _Document(
        type=problem.type,
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=mask(problem.detail),
        errors=[_masked(error, mask) for error in problem.errors],
    )
    return HttpResponse(
        _encode(document),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def _masked(error: FieldError, mask: Callable[[str], str]) -> FieldError:
    return msgspec.structs.replace(error, message=mask(error.message), suggestion=mask(error.suggestion))


def problem_of(error: Exception, context: Mapping[str, Any]) -> Problem:
    """What a view raised, as a problem. The unforeseen is logged, not shown."""
    problem = _as_problem(error)
    if problem is None:
        view = context.get("view")
        logger.error("unexpected error in %s", type(view).__name__, exc_info=error)
        problem = Problem(500, "Something went wrong here; it was logged.")
    return problem


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """The answer for every path below /api/ that is no route, whatever the method.

    Exempt because nothing is done here: the middleware would answer a POST without a session by a page about cookies.
    """
    path = redactor().shapes(request.path_info)
    meant = path.rstrip("/")
    hint = f"; did you mean {meant[:200]}?" if meant != path and _is_route(meant) else ". docs/api.md lists all."
    return respond(Problem(404, f"There is no route {path[:200]}{hint}"))


def _is_route(path: str) -> bool:
    try:
        return resolve(path).func is not not_found
    except Resolver404:
        return False


def _as_problem(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.APIException):
        return _from_drf(error)
    if isinstance(error, Http404):
        return Problem(404, "There is no such thing.")
    if isinstance(error, PermissionDenied):
        return Problem(403, "Not allowed.")
    if isinstance(error, BadRequest):
        return Problem(400, "The request is malformed.")
    if outage := faults.outage(error):
        logger.warning("answered 503, database %s: %s", outage.kind, error)
        return unavailable(outage)
    return _from_domain(error)


def unavailable(outage: faults.Outage) -> Problem:
    """503 with a time to come back."""
    return Problem(503, outage.detail, headers={"Retry-After": outage.retry_after()})


def _from_drf(error: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    detail = str(error.detail)
    if isinstance(error, exceptions.NotAuthenticated):
        detail = "No credentials were given: send the header Authorization: Bearer <token>."
    return Problem(error.status_code, detail, headers=headers)


def _from_domain(error: Exception) -> Problem | None:
    """What node registry, queues and backlog refuse."""
    if isinstance(error, BacklogFull):
        status = 429 if error.queue else 503
        return Problem(status, str(error), type=BACKLOG_FULL, headers={"Retry-After": error.retry_after()})
    if isinstance(error, RegisterFirst):
        return Problem(409, "Register first: this start of the node is not known.", type=REGISTER_FIRST)
    if isinstance(error, EnrolmentUsedUp):
        detail = "This enrolment token has been used. Make another by manage.py node_token enrol."
        return Problem(401, detail, headers={"WWW-Authenticate": CHALLENGE})
    if isinstance(error, EnrolmentRefused):
        return Problem(409, f"Not enrolled: {error}.", type=STATE_CONFLICT)
    if isinstance(error, RenewalRefused):
        return Problem(409, "This credential is not to be renewed, or was already.", type=STATE_CONFLICT)
    if isinstance(error, UnknownQueue):
        return Problem(404, f"There is no queue called {error}.")
    return None

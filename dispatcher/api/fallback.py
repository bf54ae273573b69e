"""What Django answers before or instead of a view: problem documents where a program asked, pages elsewhere."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults

from dispatcher import faults
from dispatcher.api.problems import Problem, respond, unavailable

logger = logging.getLogger(__name__)

_ROOT_ROUTES: Final = frozenset({"/task", "/register", "/heartbeat", "/result"})
_FOR_PROGRAMS: Final = ("/api/", "/live/")


class DatabaseOutages(MiddlewareMixin):
    """503 for every view that an outage of the database stopped: pages, admin, login, whatever is added.

    The API's own views answer before this; what fails outside of views comes by ``server_error``.
    """

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer; None for a defect, which takes its usual way."""
        outage = faults.outage(error)
        return None if outage is None else _unavailable(request, outage, error)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a host that is not ours, a header that makes no sense; 503 for a session that could not be saved."""
    if outage := faults.outage(exception):
        return _unavailable(request, outage, exception)
    if is_for_programs(request.path_info):
        return respond(Problem(HTTPStatus.BAD_REQUEST, "The request is malformed, or its host is not served here."))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: something went wrong outside of a view; 503 if that was the database."""
    error = sys.exception()
    if outage := faults.outage(error):
        return _unavailable(request, outage, error)
    if is_for_programs(request.path_info):
        return respond(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it was logged."))
    return defaults.server_error(request)


def _unavailable(request: HttpRequest, outage: faults.Outage, error: BaseException | None) -> HttpResponse:
    logger.warning("answered 503, database %s: %s", outage.kind, error)
    problem = unavailable(outage)
    if is_for_programs(request.path_info):
        return respond(problem)
    # No context processors: those may want the database. The page asks again by itself unless something was sent.
    page = render_to_string("503.html", {"outage": outage, "repeats": request.method in ("GET", "HEAD")})
    return HttpResponse(page, status=503, headers={"Cache-Control": "no-store", **problem.headers})


def is_for_programs(path: str) -> bool:
    """Whether what answers at ``path`` is read by programs: problem documents instead of pages, always in English."""
    return path.startswith(_FOR_PROGRAMS) or path in _ROOT_ROUTES

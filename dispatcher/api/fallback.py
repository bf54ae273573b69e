"""What Django answers before or instead of a view: problem documents where the API was called, pages elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from dispatcher.api.problems import Problem, respond

_ROOT_ROUTES: Final = frozenset({"/task", "/register", "/heartbeat", "/result"})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a host that is not ours, a header that makes no sense."""
    if _is_api(request):
        return respond(Problem(HTTPStatus.BAD_REQUEST, "The request is malformed, or its host is not served here."))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: something went wrong outside of a view."""
    if _is_api(request):
        return respond(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it was logged."))
    return defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/") or request.path_info in _ROOT_ROUTES

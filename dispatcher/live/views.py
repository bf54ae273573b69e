"""A topic's document by plain HTTP, for browsers whose websocket does not come about."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dispatcher.live.messages import TasksParams, encode
from dispatcher.live.topics import PassReads, Topic, TopicError, parse_topic
from dispatcher.queries import MAX_LIMIT

_OWN_NAMES = ("topic", "ids", "after", "limit")


@never_cache
@require_GET
def snapshot(request: HttpRequest) -> HttpResponse:
    """``GET /live/snapshot?topic=…``: the document of the topic, as the websocket's snapshot has it."""
    if not request.user.is_authenticated:
        return _problem(HTTPStatus.UNAUTHORIZED, "signed_out", "Sign in first.")
    try:
        topic = _topic(request)
    except TopicError as error:
        return _problem(HTTPStatus.BAD_REQUEST, error.code, str(error))
    now = timezone.now()
    document = topic.read(PassReads(now))
    if document is None:
        return _problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such thing.")
    body = {"type": "snapshot", "topic": topic.name, "server_time": now, "data": document}
    return HttpResponse(encode(body), content_type="application/json")


def _topic(request: HttpRequest) -> Topic:
    name = request.GET.get("topic", "")
    others = [key for key in request.GET if key not in _OWN_NAMES]
    if name != "tasks":
        if others or len(request.GET) > 1:
            raise TopicError("bad_params", f"the topic {name!r} has no parameters")
        return parse_topic(name, None)
    ids = [text for text in request.GET.get("ids", "").split(",") if text]
    limit = request.GET.get("limit") or "100"
    # Python refuses to read thousands of digits.
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= len(str(MAX_LIMIT))
    if len(ids) > MAX_LIMIT or not (is_number and 1 <= int(limit) <= MAX_LIMIT):
        raise TopicError("bad_params", f"limit and the number of ids must be from 1 to {MAX_LIMIT}")
    filters = {key: ",".join(request.GET.getlist(key)) for key in others}
    return parse_topic(name, TasksParams(filters, ids, request.GET.get("after") or None, int(limit)))


def _problem(status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, "code": code}
    return HttpResponse(encode(body), content_type="application/problem+json", status=status)

"""A topic's document by plain HTTP, for browsers whose websocket does not come about."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dispatcher.live.messages import TasksParams, encode
from dispatcher.live.topics import PassReads, Topic, TopicError, parse_topic
from dispatcher.models.feed_reader import latest_position
from dispatcher.queries import MAX_LIMIT

_OWN_NAMES = ("topic", "ids", "after", "newest", "limit", "seen")
_SEEN = re.compile(r"([0-9]{1,19})\.([0-9]{1,12})\.([0-9a-f]{16})")


class _Seen(NamedTuple):
    """What a browser has: as of which position in the feed and which second it was read, and a digest of it."""

    position: int
    second: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> _Seen | None:
        found = _SEEN.fullmatch(text)
        return None if found is None else cls(int(found[1]), int(found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.position}.{self.second}.{self.digest}"


@never_cache
@require_GET
def snapshot(request: HttpRequest) -> HttpResponse:
    """``GET /live/snapshot?topic=…``: the document of the topic, as the websocket's snapshot has it.

    With ``seen`` of an earlier answer: only the word that it is still the same, if it is.
    """
    if not request.user.is_authenticated:
        return _problem(HTTPStatus.UNAUTHORIZED, "signed_out", "Sign in first.")
    try:
        topic = _topic(request)
    except TopicError as error:
        return _problem(HTTPStatus.BAD_REQUEST, error.code, str(error))
    now = timezone.now()
    seen = _Seen.parse(request.GET.get("seen", ""))
    # Before the document is read: what is committed after that is news of the next request.
    position = latest_position()
    if seen is not None and seen.position == position and _is_young(seen, topic, now):
        return _same(topic, now, seen)
    document = topic.read(PassReads(now))
    if document is None:
        return _problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such thing.")
    digest = hashlib.sha256(encode(document).encode()).hexdigest()[:16]
    fresh = _Seen(position, int(now.timestamp()), digest)
    if seen is not None and seen.digest == digest:
        return _same(topic, now, fresh)
    return _json({"type": "snapshot", "topic": topic.name, "server_time": now, "seen": str(fresh), "data": document})


def _is_young(seen: _Seen, topic: Topic, now: datetime) -> bool:
    """Whether a document that no news concern need not be read again: heartbeats and the clock make none."""
    return 0 <= now.timestamp() - seen.second < topic.max_age


def _same(topic: Topic, now: datetime, seen: _Seen) -> HttpResponse:
    return _json({"type": "same", "topic": topic.name, "server_time": now, "seen": str(seen)})


def _json(body: object) -> HttpResponse:
    return HttpResponse(encode(body), content_type="application/json")


def _topic(request: HttpRequest) -> Topic:
    name = request.GET.get("topic", "")
    others = [key for key in request.GET if key not in _OWN_NAMES]
    if name != "tasks":
        if others or set(request.GET) - {"topic", "seen"}:
            raise TopicError("bad_params", f"the topic {name!r} has no parameters")
        return parse_topic(name, None)
    ids = [text for text in request.GET.get("ids", "").split(",") if text]
    limit = request.GET.get("limit") or "100"
    # Python refuses to read thousands of digits.
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= len(str(MAX_LIMIT))
    if len(ids) > MAX_LIMIT or not (is_number and 1 <= int(limit) <= MAX_LIMIT):
        raise TopicError("bad_params", f"limit and the number of ids must be from 1 to {MAX_LIMIT}")
    filters = {key: ",".join(request.GET.getlist(key)) for key in others}
    after, newest = (request.GET.get(param) or None for param in ("after", "newest"))
    return parse_topic(name, TasksParams(filters, ids, after, newest, int(limit)))


def _problem(status: HTTPStatus, code: str, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, "code": code}
    return HttpResponse(encode(body), content_type="application/problem+json", status=status)

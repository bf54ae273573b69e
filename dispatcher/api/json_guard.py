"""The guard at the edge: which request bodies are let in, alike on every database.

Two ways in. ``read_strict`` refuses what no row may hold and what two parsers would read differently. ``read_raw`` is
for what worker nodes send: a result that was computed is worth more than its tidiness, so ``dispatcher.node_output``
makes it safe instead.
"""

from __future__ import annotations

from typing import Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import RawPostDataException, UnreadablePostError

from dispatcher import json_text
from dispatcher.api.problems import Problem
from dispatcher.conf import conf

#: Of a Content-Length; more would only be padding.
_MAX_LENGTH_DIGITS: Final = 18


def check_head(request: HttpRequest, *, body_required: bool) -> None:
    """Refuse by the headers alone, before anything is read or looked up: 411, 413, 415, 400."""
    length = _declared_length(request, body_required=body_required)
    if length > conf().max_request_bytes:
        raise _too_large()
    if length == 0 and not body_required:
        return
    charset = request.content_params.get("charset", "utf-8").lower() if request.content_params else "utf-8"
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        raise Problem(415, "The body must be JSON: send the header Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "The body must not be compressed.")


def read_strict(request: HttpRequest) -> bytes:
    """The body of a request, fit for any database and any parser; empty if there is none. Raises ``Problem``."""
    body = _read(request)
    if body:
        check(body)
    return body


def read_raw(request: HttpRequest) -> bytes:
    """The body as it came, whole and not too long, but not looked at. Raises ``Problem``."""
    return _read(request)


def check(body: bytes) -> None:
    """Raise ``Problem`` (400) unless ``body`` is one JSON document within the limits."""
    try:
        json_text.check(body)
    except json_text.Unfit as unfit:
        raise Problem(400, str(unfit)) from None


def _declared_length(request: HttpRequest, *, body_required: bool) -> int:
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared:
        # Without a length, servers differ in whether the body arrives at all: an empty one must not be taken for it.
        if body_required or request.headers.get("Transfer-Encoding"):
            raise Problem(411, "Send the length of the body in the header Content-Length.")
        return 0
    if not (declared.isascii() and declared.isdigit()) or len(declared) > _MAX_LENGTH_DIGITS:
        raise Problem(400, "The header Content-Length is not a number.")
    return int(declared)


def _read(request: HttpRequest) -> bytes:
    try:
        body = request.body
    except RequestDataTooBig:
        raise _too_large() from None
    except (UnreadablePostError, RawPostDataException):
        raise Problem(400, "The body could not be read to its end.") from None
    if len(body) > conf().max_request_bytes:
        raise _too_large()
    if len(body) != int(request.META.get("CONTENT_LENGTH") or 0):
        raise Problem(400, "The body is not as long as the header Content-Length says.")
    return body


def _too_large() -> Problem:
    return Problem(413, f"The body is larger than {conf().max_request_bytes} bytes.")

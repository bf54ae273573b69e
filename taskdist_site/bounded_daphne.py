"""What daphne takes in before Django sees a request.

Daphne reads a request to its end, onto the disk if it is long, before it hands it on: without a bound, anybody could
fill the disk before a credential is looked at. And it believes a header with which a client moves itself to another
path. Whichever way daphne is started, it imports the application, and the application calls ``install``.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from io import BytesIO
from typing import Any

from daphne import http_protocol
from django.conf import settings

#: How long a refused sender may go on sending into nothing, so that it gets to read the answer, in seconds.
LINGER_SECONDS = 2.0
#: Daphne's way to be told below which path it is mounted; its option ``--root-path`` is for operators.
_ROOT_PATH_HEADER = b"daphne-root-path"


class BoundedRequest(http_protocol.WebRequest):  # type: ignore[misc]  # daphne has no types
    """A request whose body has to declare its length, and to be no longer than the settings allow."""

    _is_refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """The headers are complete; ``length`` of the body in bytes, None if it is sent in chunks."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Send the length of the body in the header Content-Length.")
        elif length > limit:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {limit} bytes.")
        else:
            self.requestHeaders.removeHeader(_ROOT_PATH_HEADER)
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a part of the body, unless the request was refused."""
        if not self._is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Hand the whole request on, unless it was refused."""
        return None if self._is_refused else super().process()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer at once, below everything that would wait for the rest, and hang up."""
        self._is_refused = True
        self.content = BytesIO()
        document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        transport = self.channel.transport
        transport.write(head.encode() + body)
        # Only the answer's side is closed: closing all would throw away what the sender has not read yet.
        transport.loseWriteConnection()
        self.channel.callLater(LINGER_SECONDS, transport.abortConnection)


def install() -> None:
    """Let daphne use it for every request from now on."""
    http_protocol.WebRequest = BoundedRequest

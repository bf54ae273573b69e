"""Refusals as bytes, for places where there is no view: problem documents with a time to come back."""

from __future__ import annotations

import json
import random
from http import HTTPStatus
from typing import Final, NamedTuple

#: Bounds of ``Retry-After`` in seconds; the value is drawn, so that those turned away do not return together.
_SOONEST: Final = 1
_LATEST: Final = 3


class Refusal(NamedTuple):
    """An answer without any work: status, one sentence, whether to come back."""

    status: int
    detail: str
    is_for_now: bool = True

    @property
    def body(self) -> bytes:
        """The problem document."""
        title = HTTPStatus(self.status).phrase
        document = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return json.dumps(document, separators=(",", ":")).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI has them."""
        found = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self.is_for_now:
            found.append((b"retry-after", str(random.randint(_SOONEST, _LATEST)).encode()))
        return found

    def http(self) -> bytes:
        """The whole answer as it goes over the wire; the connection ends with it."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in self.headers()]
        return b"\r\n".join([*lines, b"", self.body])


TOO_MANY_REQUESTS: Final = Refusal(503, "More requests are waiting than can be worked on; try again in a moment.")
TOO_MANY_CONNECTIONS: Final = Refusal(503, "Too many connections are open; try again in a moment.")
TOO_MANY_BODIES: Final = Refusal(503, "Too much is being sent at the same time; try again in a moment.")
LENGTH_REQUIRED: Final = Refusal(411, "Send the length of the body in the header Content-Length.", is_for_now=False)


def too_large(most: int) -> Refusal:
    """413: the body is larger than ``most`` bytes."""
    return Refusal(413, f"The body is larger than {most} bytes.", is_for_now=False)

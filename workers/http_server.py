"""A small HTTP/1.1 server: a thread per connection, keep-alive, strict parsing, hard limits.

It takes what the wire needs and refuses the rest with the fitting status: bodies have a length (411), a bound (413)
and no encoding (415); a header that is given twice where it must be unique is refused (400).
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 16 * 1024
#: A request that does not arrive within this time is dropped, in seconds.
REQUEST_SECONDS: Final = 30.0
#: An idle connection is kept for this long, in seconds.
IDLE_SECONDS: Final = 120.0
#: At the end, requests in progress have this long to be answered, in seconds.
CLOSE_SECONDS: Final = 1.0

_UNIQUE: Final = frozenset({b"host", b"content-length", b"content-type", b"authorization"})
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH: Final = re.compile(r"[0-9]{1,11}")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.([01])")


@dataclass(slots=True)
class Request:
    """``path`` is as received, with its query string if it has one; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    received_at: float = 0.0


@dataclass(slots=True)
class Response:
    """``is_trusted``: the sender has proved who it is, so its connection is the last to be closed when many come."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_trusted: bool = False


class BadRequest(Exception):
    """The request cannot be understood; the connection is closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem(status: int, message: str, **headers: str) -> Response:
    """An error answer: ``{"error": message}``."""
    return Response(
        status, msgspec.json.encode({"error": message}), {k.replace("_", "-"): v for k, v in headers.items()}
    )


class _Connection:
    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        self.is_idle = True
        self.is_trusted = False
        self.since = time.monotonic()
        self._buffer = bytearray()

    def read_request(self, max_body: int) -> tuple[Request, bool] | None:
        """The next request and whether the connection may stay open; ``None`` when the peer is done."""
        if not self._buffer:
            self.is_idle = True
            self.since = time.monotonic()
            self.socket.settimeout(IDLE_SECONDS)
            if not self._receive():
                return None
        self.is_idle = False
        received_at = time.monotonic()
        deadline = received_at + REQUEST_SECONDS
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequest(431, "the request's head is too large")
            self._receive_until(deadline)
        method, path, minor, headers = _parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        length = _body_length(method, headers, max_body)
        if length > len(self._buffer) and headers.get("expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._buffer) < length:
            self._receive_until(deadline)
        request = Request(method, path, headers, bytes(self._buffer[:length]), received_at)
        del self._buffer[:length]
        return request, minor == 1 and headers.get("connection", "").lower() != "close"

    def has_hung_up(self) -> bool:
        """Whether the peer has closed the connection: nobody waits for the answer."""
        try:
            self.socket.settimeout(0.0)
            return not self._buffer and not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def send(self, response: Response, *, keep: bool) -> None:
        try:
            phrase = HTTPStatus(response.status).phrase
        except ValueError:
            phrase = "Status"
        lines = [f"HTTP/1.1 {response.status} {phrase}", f"Content-Length: {len(response.body)}"]
        if response.body:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if not keep:
            lines.append("Connection: close")
        self.socket.settimeout(REQUEST_SECONDS)
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body)

    def _receive_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        if not self._receive():
            raise ConnectionResetError("closed within a request")

    def _receive(self) -> bool:
        part = self.socket.recv(262_144)
        self._buffer += part
        return bool(part)


def _parse_head(head: bytes) -> tuple[str, str, int, dict[str, str]]:
    line, *rest = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400, "no HTTP/1.1 request line")
    headers: dict[str, str] = {}
    for item in rest:
        name, colon, value = item.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise BadRequest(400, "a header that is none")
        name = name.lower()
        key = name.decode("ascii")
        if key in headers and (name in _UNIQUE or name.startswith(b"x-taskdist-")):
            raise BadRequest(400, f"the header {key} is given twice")
        text = value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return match[1].decode(), match[2].decode(), int(match[3]), headers


def _body_length(method: str, headers: dict[str, str], max_body: int) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(411, "send Content-Length instead of Transfer-Encoding")
    given = headers.get("content-length")
    if given is None:
        if method in ("POST", "PUT", "PATCH"):
            raise BadRequest(411, "Content-Length is missing")
        return 0
    if not _LENGTH.fullmatch(given):
        raise BadRequest(400, "Content-Length is no number")
    if int(given) > max_body:
        raise BadRequest(413, f"the body is larger than {max_body} bytes")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "the body must not be encoded")
    return int(given)


class HttpServer:
    """Serves ``handle`` on one address; ``handle`` is called from many threads and must not raise."""

    def __init__(
        self,
        handle: Callable[[Request], Response],
        *,
        host: str,
        port: int,
        max_body: int,
        max_connections: int = 64,
    ) -> None:
        self._handle = handle
        self._max_body = max_body
        self._max_connections = max_connections
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._is_closed = False
        self._gone = threading.Condition(self._lock)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Accept connections in a thread of its own."""
        threading.Thread(target=self._accept, name="http-accept", daemon=True).start()

    def close(self) -> None:
        """Stop accepting, let requests in progress be answered, and close every connection."""
        # On Linux only a shutdown wakes a thread that is in accept().
        with self._lock:
            self._is_closed = True
            _shut(self._listener)
            for connection in self._open:
                if connection.is_idle:
                    _shut(connection.socket)
            self._gone.wait_for(lambda: not self._open, CLOSE_SECONDS)
            for connection in self._open:
                _shut(connection.socket)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError as error:
                if self._is_closed:
                    return
                # Out of file descriptors, say: others will be closed, so it is worth another try.
                logger.warning("cannot accept a connection: %s", error)
                threading.Event().wait(0.1)
                continue
            connection = _Connection(peer)
            if self._admit(connection):
                threading.Thread(target=self._serve, args=(connection,), name="http", daemon=True).start()
            else:
                peer.close()

    def _admit(self, connection: _Connection) -> bool:
        with self._lock:
            if self._is_closed:
                return False
            if len(self._open) >= self._max_connections:
                # Whoever has not proved anything must not keep the dispatcher out by holding connections open.
                strangers = [other for other in self._open if not other.is_trusted]
                if not strangers:
                    return False
                oldest = min(strangers, key=lambda other: other.since)
                self._open.discard(oldest)
                _shut(oldest.socket)
            self._open.add(connection)
            return True

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._answer(connection):
                pass
        except (OSError, TimeoutError):
            logger.debug("a connection ended", exc_info=True)
        except Exception:
            logger.exception("a connection failed")
        finally:
            connection.socket.close()
            with self._lock:
                self._open.discard(connection)
                self._gone.notify_all()

    def _answer(self, connection: _Connection) -> bool:
        try:
            read = connection.read_request(self._max_body)
        except BadRequest as error:
            connection.send(problem(error.status, str(error)), keep=False)
            return False
        if read is None:
            return False
        request, keep = read
        if connection.has_hung_up():
            # It lay in the kernel while this node was frozen, say. The dispatcher has long called it unanswered and may
            # have given its tasks to others.
            logger.info("%s %s is not answered: who sent it has hung up", request.method, request.path)
            return False
        response = self._handle(request)
        connection.is_trusted = connection.is_trusted or response.is_trusted
        keep = keep and not self._is_closed
        connection.send(response, keep=keep)
        return keep


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("a socket was not connected any more when it was shut down")

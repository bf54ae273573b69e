"""The node's HTTP side: pushes, orders and status, all signed by the dispatcher.

Why threads and no event loop: the dispatcher keeps few connections open, so a blocking thread for each is cheap, and a
push costs exactly one change of thread (to a slot, which works off the whole burst) and one back. On an event loop
the same push would pay for a task, two callbacks across threads and the loop's own bookkeeping. Async *handlers* have
a loop of their own beside this (``executor.threads``). What a hostile peer can do with open connections is bounded
in ``http_server``.

Every request is checked against the node's own push key over the raw bytes; without a key nothing is answered.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final
from urllib.parse import urlsplit

import msgspec

from workers.http_server import HttpServer, Request, Response, problem
from workers.node import Node, inline_deadline
from workers.protocol import (
    HEADER_ID,
    HEADER_SIGNATURE,
    HEADER_TIMESTAMP,
    SIGNATURE_WINDOW_SECONDS,
    Control,
    Push,
    PushReply,
    is_signed,
)

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
#: Seconds a dispatcher shall wait after "full" or "draining".
_RETRY_AFTER: Final = "1"
_MAX_ID_CHARS: Final = 200

_decode_push = msgspec.json.Decoder(Push).decode
_decode_control = msgspec.json.Decoder(Control).decode
_encode = msgspec.json.Encoder().encode


class NodeServer:
    """Serves one node at ``host``:``port`` (0: any free port). ``wall_clock`` gives Unix seconds."""

    def __init__(self, node: Node, *, host: str, port: int, wall_clock: Callable[[], float] = time.time) -> None:
        self._node = node
        self._wall_clock = wall_clock
        self._base = ""
        self._ids = MessageIds()
        self._http = HttpServer(self.handle, host=host, port=port, max_body=MAX_BODY_BYTES)
        self.port = self._http.port
        self._routes: dict[str, tuple[str, Callable[[Request, bool], Response]]] = {
            "/tasks": ("POST", self._push),
            "/control": ("POST", self._control),
            "/status": ("GET", self._status),
        }

    def advertise(self, url: str) -> None:
        """The address that the dispatcher uses; its path, if it has one, stands before the routes and is signed."""
        self._base = urlsplit(url).path.rstrip("/")

    def start(self) -> None:
        """Start to answer."""
        self._http.start()

    def close(self) -> None:
        """Stop answering."""
        self._http.close()

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        # A proxy may have taken the advertised path's start away; what is signed is the path as the dispatcher sees it.
        path = request.path.removeprefix(self._base) if self._base else request.path
        route = self._routes.get(path)
        if route is None:
            return problem(404, "This is a worker node: POST /tasks, POST /control, GET /status.")
        method, answer = route
        if request.method != method:
            return problem(405, f"Use {method}.", Allow=method)
        refusal = self._refuse(request, self._base + path)
        if refusal is not None:
            return refusal
        is_replay = self._ids.is_known(request.headers[HEADER_ID.lower()], time.monotonic())
        try:
            response = answer(request, is_replay)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            response = problem(400, f"The body does not fit: {error}")
        except Exception:
            logger.exception("%s %s failed", method, path)
            response = problem(500, "The node failed on this request; its log says why.")
        response.is_trusted = True
        return response

    def _refuse(self, request: Request, path: str) -> Response | None:
        keys = self._node.push_keys
        if not keys.current:
            return problem(503, "This node is not registered yet.", Retry_After=_RETRY_AFTER)
        message_id = request.headers.get(HEADER_ID.lower(), "")
        now = self._wall_clock()

        def is_signed_with(key: str) -> bool:
            return is_signed(
                key,
                request.headers.get(HEADER_SIGNATURE.lower(), ""),
                message_id=message_id,
                timestamp=request.headers.get(HEADER_TIMESTAMP.lower(), ""),
                method=request.method,
                path=path,
                body=request.body,
                now=now,
            )

        if 0 < len(message_id) <= _MAX_ID_CHARS and keys.fits(is_signed_with, time.monotonic()):
            return None
        # The date lets a dispatcher whose clock is off see that this is why.
        return problem(401, "The signature is missing, wrong, or too old.", Date=formatdate(now, usegmt=True))

    def _is_ours(self, boot_id: str) -> bool:
        return hmac.compare_digest(boot_id.encode("utf-8", "replace"), self._node.boot_id.encode())

    def _push(self, request: Request, is_replay: bool) -> Response:
        push = _decode_push(request.body)
        if not self._is_ours(push.boot_id):
            return self._other_boot()
        if push.ack:
            self._node.ack(push.ack)
        admission = self._node.admit(push.tasks, is_replay=is_replay)
        self._node.wait(admission, until=inline_deadline(request.received_at))
        items = self._node.answer(admission)
        body = _encode(PushReply(items=items))
        reasons = {item.reason for item in items if item.status == "rejected"}
        if not items or any(item.status != "rejected" for item in items) or reasons - {"full", "draining"}:
            return Response(202, body)
        # All of it came at a bad time: back-pressure, with the same words per task as ever.
        return Response(503 if "draining" in reasons else 429, body, {"Retry-After": _RETRY_AFTER})

    def _control(self, request: Request, is_replay: bool) -> Response:
        order = _decode_control(request.body)
        if not self._is_ours(order.boot_id):
            return self._other_boot()
        return Response(200, _encode(self._node.control(order, is_replay=is_replay)))

    def _status(self, _request: Request, _is_replay: bool) -> Response:
        return Response(200, _encode(self._node.status()))

    def _other_boot(self) -> Response:
        return Response(
            409, _encode({"error": "This node has been started anew since.", "boot_id": self._node.boot_id})
        )


class MessageIds:
    """Which message ids came within the time for which a signature is good. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: set[str] = set()
        self._older: set[str] = set()
        self._turned_at = time.monotonic()

    def is_known(self, message_id: str, now: float) -> bool:
        """Whether the id came before; from now on it has. ``now`` is monotonic."""
        with self._lock:
            # A signature may come from a clock that is a window ahead, and is good for another window.
            if now - self._turned_at >= 2 * SIGNATURE_WINDOW_SECONDS:
                self._older, self._recent = self._recent, set()
                self._turned_at = now
            if message_id in self._recent or message_id in self._older:
                return True
            self._recent.add(message_id)
            return False

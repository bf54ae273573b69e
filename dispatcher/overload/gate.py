"""The gate in front of Django: so many requests at a time, so many that wait for a moment, the rest is told to return.

Under ASGI each request that is worked on has a thread and a database connection of its own, and nothing else limits
them. Nodes have a share of the places to themselves: clients that flood the API must not make heartbeats late, for then
the dispatcher would take the nodes for dead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.conf import settings

from dispatcher.conf import conf
from dispatcher.overload.refusal import TOO_MANY_REQUESTS, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What nodes call, and what tells whether all is well.
_FOR_NODES: Final = (
    "/api/v1/nodes/register", "/api/v1/nodes/heartbeat", "/api/v1/nodes/results", "/register", "/heartbeat", "/result",
    "/readyz", "/healthz",
)  # fmt: skip
#: Scripts and styles have places of their own and wait longer: they take a moment and no connection of the database,
#: and browsers do not ask again. A page whose script was refused would stand still and look alive.
_FILE_PLACES: Final = 4
_FILE_SECONDS: Final = 10.0
#: Answered on the spot where there is no place free: the process lives, however much it has to do.
_LIVENESS: Final = "/healthz"
#: Pooled connections that requests leave to the live hub and to session checks.
_KEPT_CONNECTIONS: Final = 2


class Places:
    """Counts who is inside; two kinds of guests, of whom one has places of its own. Belongs to one event loop."""

    def __init__(self, places: int, *, kept_for_nodes: int, backlog: int) -> None:
        self._places = places
        self._for_others = max(1, places - kept_for_nodes)
        self._backlog = backlog
        self._inside = 0
        self._others_inside = 0
        #: Who waits, in order: nodes, others.
        self._waiting: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())

    @property
    def inside(self) -> int:
        """How many are inside."""
        return self._inside

    def is_full(self, *, is_node: bool) -> bool:
        """Whether another one would have to be turned away at once."""
        return not self.has_room(is_node=is_node) and len(self._waiting[not is_node]) >= self._backlog

    async def enter(self, *, is_node: bool, seconds: float) -> bool:
        """Wait for a place up to ``seconds``; whether there is one. Then ``leave`` has to follow."""
        if self.has_room(is_node=is_node) and not self._waiting[not is_node]:
            self._take(is_node)
            return True
        if self.is_full(is_node=is_node):
            return False
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[not is_node].append(ticket)
        try:
            await asyncio.wait_for(ticket, seconds)
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.leave(is_node=is_node)
            raise
        return True

    def leave(self, *, is_node: bool) -> None:
        """Give the place to the next."""
        self._inside -= 1
        self._others_inside -= not is_node
        for waits_for_node in (True, False):
            waiting = self._waiting[not waits_for_node]
            while waiting and self.has_room(is_node=waits_for_node):
                ticket = waiting.popleft()
                if not ticket.done():
                    self._take(waits_for_node)
                    ticket.set_result(None)

    def has_room(self, *, is_node: bool) -> bool:
        """Whether one could enter now if nobody waited."""
        return self._inside < self._places and (is_node or self._others_inside < self._for_others)

    def _take(self, is_node: bool) -> None:
        self._inside += 1
        self._others_inside += not is_node


class Gate:
    """ASGI application around another one. Websockets pass: their number is limited where they are accepted."""

    def __init__(self, application: Application, places: Places | None = None) -> None:
        self._application = application
        self.places = places or _places()
        self.file_places = Places(_FILE_PLACES, kept_for_nodes=0, backlog=conf().web_backlog)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let the request in, or answer 503."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        if scope["path"] == _LIVENESS and not self.places.has_room(is_node=True):
            await _say_alive(send, with_body=scope["method"] != "HEAD")
            return
        is_node, is_file = is_for_nodes(scope["path"]), _is_file(scope["path"])
        places, seconds = (self.file_places, _FILE_SECONDS) if is_file else (self.places, conf().web_wait_seconds)
        if not await places.enter(is_node=is_node, seconds=seconds):
            await refuse(send, TOO_MANY_REQUESTS)
            return
        # The place is free when the view has ended, not when the client has gone: its thread cannot be stopped.
        work = asyncio.ensure_future(self._application(scope, _deaf_to_hangups(receive), send))
        work.add_done_callback(lambda _: places.leave(is_node=is_node))
        await asyncio.shield(work)

    def is_full_for(self, path: str) -> bool:
        """Whether a request for this path would be turned away now."""
        places = self.file_places if _is_file(path) else self.places
        return path != _LIVENESS and places.is_full(is_node=is_for_nodes(path))


def is_for_nodes(path: str) -> bool:
    """Whether the route has places kept for it."""
    return path in _FOR_NODES


def _is_file(path: str) -> bool:
    return path.startswith(settings.STATIC_URL)


async def refuse(send: Send, refusal: Refusal) -> None:
    """Answer without asking anybody."""
    await send({"type": "http.response.start", "status": refusal.status, "headers": refusal.headers()})
    await send({"type": "http.response.body", "body": refusal.body})


async def _say_alive(send: Send, *, with_body: bool) -> None:
    body = b'{"status":"ok"}' if with_body else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _deaf_to_hangups(receive: Receive) -> Receive:
    """``receive`` that tells of no hang-up once the body is there: Django would let go of a thread that works on."""
    is_complete = False

    async def receive_body() -> Message:
        nonlocal is_complete
        message = await receive()
        if is_complete and message["type"] == "http.disconnect":
            # Cancelled when the answer is ready.
            await asyncio.get_running_loop().create_future()
        is_complete = is_complete or not message.get("more_body", False)
        return message

    return receive_body


def _places() -> Places:
    places = conf().web_threads
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    if isinstance(pool, dict):
        places = max(2, min(places, pool["max_size"] - _KEPT_CONNECTIONS))
    return Places(places, kept_for_nodes=max(1, places // 3), backlog=conf().web_backlog)

"""The limits of ``dispatcher.overload.lobby`` and the gate, where daphne takes connections and reads requests.

daphne itself ends no connection that sends slowly, counts none, reads a body whole (onto the disk if it is long) before
the application sees the request, and believes a header with which a client moves itself to another path. Whichever way
daphne is started, it imports the application, and the application calls ``install``.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import daphne.server
from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet import reactor
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from dispatcher.conf import conf
from dispatcher.overload.lobby import Guest, Lobby, Phase
from dispatcher.overload.refusal import (
    LENGTH_REQUIRED,
    TOO_MANY_BODIES,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_REQUESTS,
    Refusal,
    too_large,
)

#: How often it is looked whose time is over, in seconds.
SWEEP_SECONDS = 1.0
#: How long a refused client may go on sending, so that it comes to read the answer.
LINGER_SECONDS = 2.0
#: Open files beyond the connections: the database, logs, libraries.
OTHER_FILES = 256

IsFull = Callable[[str], bool]


class Connection(ProtocolWrapper):  # type: ignore[misc]  # not typed
    """Between the socket and daphne's protocol, whichever that is at the time."""

    guest: Guest

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        """Forget it."""
        self.factory.lobby.depart(self.guest)
        super().connectionLost(reason)

    def enter(self, phase: Phase) -> None:
        """The connection is so far now."""
        self.factory.lobby.enter(self.guest, phase, time.monotonic())


class TurnedAway(Protocol):  # type: ignore[misc]
    """A connection too many: told so, whatever it wants."""

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Answer before anything is read."""
        refuse(self.transport, TOO_MANY_CONNECTIONS)


class Request(WebRequest):  # type: ignore[misc]
    """A request that is refused by its headers where that is possible."""

    def __init__(self, channel: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self._connection: Connection = channel.transport
        self._is_refused = False
        # Twisted would take forms apart here, on the event loop; Django does it.
        self._parsePOSTFormSubmission = False
        self._connection.enter(Phase.HEADERS)

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """The headers are complete; ``length`` in bytes, None if the body comes in chunks."""
        doorman = self._connection.factory
        path = self.channel._path.partition(b"?")[0].decode("latin-1")  # noqa: SLF001 - known nowhere else yet
        # For operators, who have daphne's option: a client must not move itself to another path.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        if length is None:
            self._refuse(LENGTH_REQUIRED)
        elif length > doorman.most_body:
            self._refuse(too_large(doorman.most_body))
        elif doorman.is_full(path):
            self._refuse(TOO_MANY_REQUESTS)
        elif length and not doorman.lobby.reserve(self._connection.guest, length):
            self._refuse(TOO_MANY_BODIES)
        # Nothing is kept of a refused body, however long it is.
        super().gotLength(0 if self._is_refused else length)
        self._connection.enter(Phase.BODY)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A part of the body."""
        if not self._is_refused:
            self._connection.guest.received += len(data)
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802 - Twisted's name
        """The whole request is here."""
        if self._is_refused:
            return
        self._connection.enter(Phase.RUNNING)
        super().requestReceived(command, path, version)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """What never reaches the application: as everywhere, in place of daphne's own page with its inline style."""
        refusal = Refusal(status, body, is_for_now=False)
        self.handle_reply({"type": "http.response.start", "status": status, "headers": refusal.headers()})
        self.handle_reply({"type": "http.response.body", "body": refusal.body})

    def finish(self) -> None:
        """The answer is written."""
        self._connection.factory.lobby.release(self._connection.guest)
        self._connection.enter(Phase.IDLE)
        super().finish()

    def _refuse(self, refusal: Refusal) -> None:
        self._is_refused = True
        self._connection.factory.lobby.release(self._connection.guest)
        refuse(self._connection, refusal)


class Doorman(WrappingFactory):  # type: ignore[misc]
    """Counts connections, and ends those whose time is over."""

    protocol = Connection

    def __init__(self, factory: HTTPFactory, *, lobby: Lobby, most_body: int, is_full: IsFull) -> None:
        super().__init__(factory)
        self.lobby = lobby
        self.most_body = most_body
        self.is_full = is_full
        self._connections: dict[Guest, Connection] = {}

    def doStart(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look whose time is over."""
        super().doStart()
        reactor.callLater(SWEEP_SECONDS, self._sweep)

    def buildProtocol(self, addr: IAddress) -> Protocol:  # noqa: N802 - Twisted's name
        """Let a connection in, in the place of another one if need be, or turn it away."""
        guest, gone = self.lobby.arrive(getattr(addr, "host", "") or "", time.monotonic())
        if guest is None:
            return TurnedAway()
        if gone is not None and (ended := self._connections.pop(gone, None)) is not None:
            ended.abortConnection()
        inner = self.wrappedFactory.buildProtocol(addr)
        inner.requestFactory = Request
        made = self.protocol(self, inner)
        made.guest = guest
        return made

    def registerProtocol(self, p: Connection) -> None:  # noqa: N802 - Twisted's name
        """It is open."""
        super().registerProtocol(p)
        self._connections[p.guest] = p

    def unregisterProtocol(self, p: Connection) -> None:  # noqa: N802 - Twisted's name
        """It has ended."""
        super().unregisterProtocol(p)
        self._connections.pop(p.guest, None)

    def _sweep(self) -> None:
        for guest in list(self.lobby.overdue(time.monotonic())):
            if (connection := self._connections.get(guest)) is not None:
                connection.abortConnection()
        reactor.callLater(SWEEP_SECONDS, self._sweep)


def refuse(transport: Any, refusal: Refusal) -> None:
    """Answer, and end the connection once the client had time to read that."""
    transport.write(refusal.http())
    # With data unread, closing at once would take the answer back.
    transport.loseWriteConnection()
    reactor.callLater(LINGER_SECONDS, transport.abortConnection)


def install(is_full: IsFull) -> None:
    """Let every daphne that this process starts from now on have these limits; ``is_full`` says so for a path."""

    def factory(server: daphne.server.Server) -> Doorman:
        settings = conf()
        most = _open_files(settings.max_connections + OTHER_FILES) - OTHER_FILES
        lobby = Lobby(
            most=max(1, min(settings.max_connections, most)),
            most_per_address=settings.max_connections_per_address,
            most_bytes=settings.max_buffered_bytes,
            header_seconds=settings.header_seconds,
        )
        return Doorman(HTTPFactory(server), lobby=lobby, most_body=settings.max_request_bytes, is_full=is_full)

    daphne.server.HTTPFactory = factory


def _open_files(wanted: int) -> int:
    """Raise the limit of open files as far as needed and allowed; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft

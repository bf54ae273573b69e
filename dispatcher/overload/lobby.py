"""Who is connected to a web process, from where and how far: which connection has to go, and which may not come in.

Pure bookkeeping with the time as an argument; ``dispatcher.overload.sockets`` does what it says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

#: Between two requests.
IDLE_SECONDS: Final = 75.0
#: A body has to bring so many bytes in each period, which is two thirds of the time that headers have.
BODY_PERIOD_BYTES: Final = 64 * 1024
#: A connection that is younger is not ended to make room: its request may just be on its way.
GRACE_SECONDS: Final = 1.0


class Phase(Enum):
    """How far a connection is with its present request."""

    #: Nothing or a part of the headers has come.
    HEADERS = "headers"
    BODY = "body"
    #: The application works on it, or it has become a websocket.
    RUNNING = "running"
    IDLE = "idle"


@dataclass(eq=False, slots=True)
class Guest:
    """One connection. Times are monotonic."""

    address: str
    since: float
    phase: Phase = Phase.HEADERS
    #: Of the present body: bytes that have come, and how many there were at the begin of the period.
    received: int = 0
    mark: int = 0
    #: Bytes that were reserved for the present body.
    reserved: int = 0


@dataclass(slots=True)
class _Room:
    """The connections from one address."""

    guests: set[Guest] = field(default_factory=set)
    #: Those that may be ended to make room, the longest waiting first.
    waiting: OrderedDict[Guest, None] = field(default_factory=OrderedDict)
    idle: OrderedDict[Guest, None] = field(default_factory=OrderedDict)


class Lobby:
    """All connections of a process, and the bytes that their bodies may take up."""

    def __init__(self, *, most: int, most_per_address: int, most_bytes: int, header_seconds: float) -> None:
        """``most_per_address`` 0: no limit, for a process behind a proxy, from whose address all come.

        ``header_seconds``: from the connection, or the first byte of a later request, to the end of the headers.
        """
        self._most = most
        self._most_per_address = most_per_address
        self._most_bytes = most_bytes
        self._header_seconds = header_seconds
        self._rooms: dict[str, _Room] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def arrive(self, address: str, now: float) -> tuple[Guest | None, Guest | None]:
        """A new connection: (the guest, None), (the guest, one who has to go for it) or (None, None): turn it away."""
        room = self._rooms.get(address)
        gone: Guest | None = None
        if room is not None and self._most_per_address and len(room.guests) >= self._most_per_address:
            gone = _longest_without_request(room, now)
        elif self._count >= self._most:
            # From the address that has most, so that one address cannot push out the others.
            gone = _longest_without_request(max(self._rooms.values(), key=lambda each: len(each.guests)), now)
        else:
            return self._admit(address, now), None
        if gone is None:
            return None, None
        self.depart(gone)
        return self._admit(address, now), gone

    def depart(self, guest: Guest) -> None:
        """The connection has ended. A second time changes nothing."""
        room = self._rooms.get(guest.address)
        if room is None or guest not in room.guests:
            return
        self.release(guest)
        room.guests.discard(guest)
        room.waiting.pop(guest, None)
        room.idle.pop(guest, None)
        self._count -= 1
        if not room.guests:
            del self._rooms[guest.address]

    def enter(self, guest: Guest, phase: Phase, now: float) -> None:
        """The connection is so far now."""
        room = self._rooms.get(guest.address)
        if room is None or guest not in room.guests:
            return
        if not (phase is Phase.HEADERS and guest.phase is Phase.HEADERS):
            # A first request has to be complete in the time that began with the connection.
            guest.since = now
        guest.phase, guest.received, guest.mark = phase, 0, 0
        room.waiting.pop(guest, None)
        room.idle.pop(guest, None)
        if phase is Phase.HEADERS:
            room.waiting[guest] = None
        elif phase is Phase.IDLE:
            room.idle[guest] = None

    def reserve(self, guest: Guest, count: int) -> bool:
        """Keep room for so many bytes more of the guest's body; False if there is none."""
        if self._bytes + count > self._most_bytes:
            return False
        guest.reserved += count
        self._bytes += count
        return True

    def release(self, guest: Guest) -> None:
        """The body is not needed any more."""
        self._bytes -= guest.reserved
        guest.reserved = 0

    def overdue(self, now: float) -> Iterator[Guest]:
        """Connections whose time is over."""
        for room in self._rooms.values():
            for guest in room.guests:
                if self._is_overdue(guest, now):
                    yield guest

    def _admit(self, address: str, now: float) -> Guest:
        guest = Guest(address, now)
        room = self._rooms.setdefault(address, _Room())
        room.guests.add(guest)
        room.waiting[guest] = None
        self._count += 1
        return guest

    def _is_overdue(self, guest: Guest, now: float) -> bool:
        waited = now - guest.since
        match guest.phase:
            case Phase.HEADERS:
                return waited >= self._header_seconds
            case Phase.IDLE:
                return waited >= IDLE_SECONDS
            case Phase.RUNNING:
                return False
            case Phase.BODY:
                if waited < self._header_seconds * 2 / 3:
                    return False
                is_slow = guest.received - guest.mark < BODY_PERIOD_BYTES
                guest.since, guest.mark = now, guest.received
                return is_slow


def _longest_without_request(room: _Room, now: float) -> Guest | None:
    for candidates in (room.waiting, room.idle):
        guest = next(iter(candidates), None)
        if guest is not None and now - guest.since >= GRACE_SECONDS:
            return guest
    return None

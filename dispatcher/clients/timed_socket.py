"""A socket whose every operation ends by one deadline, however slowly the other side drips."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class TimedSocket:
    """The part of a socket that ``http.client`` uses, under a deadline that is set before each exchange."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0

    def expire_at(self, deadline: float) -> None:
        """Let everything until the next call fail with ``TimeoutError`` after ``deadline`` (monotonic seconds)."""
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send all of it, or ``TimeoutError``."""
        # A timeout counts for the whole of sendall, not for each part.
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def recv_into(self, buffer: Any) -> int:
        """Receive what is there, waiting no longer than the deadline."""
        self._sock.settimeout(self._left())
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str, *args: Any, **kwargs: Any) -> io.BufferedReader:
        """A buffered reader whose reads are under the deadline."""
        return io.BufferedReader(_Reader(self))

    def is_idle(self) -> bool:
        """Whether the other side has neither closed nor sent anything unasked; only then may the socket be reused."""
        self._sock.settimeout(0)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left


class _Reader(io.RawIOBase):
    def __init__(self, source: TimedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)

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
        self._num_readers = 0
        self._is_closed = False

    def expire_at(self, deadline: float) -> None:
        """Let everything until the next call fail with ``TimeoutError`` after ``deadline`` (monotonic seconds)."""
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send all of it, or ``TimeoutError``."""
        # Not the socket's own sendall: with TLS its timeout counts for each record anew.
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._left())
            view = view[self._sock.send(view) :]

    def recv_into(self, buffer: Any) -> int:
        """Receive what is there, waiting no longer than the deadline."""
        self._sock.settimeout(self._left())
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str, *args: Any, **kwargs: Any) -> io.BufferedReader:
        """A buffered reader whose reads are under the deadline."""
        self._num_readers += 1
        return io.BufferedReader(_Reader(self))

    def reader_closed(self) -> None:
        """A reader is done."""
        self._num_readers -= 1
        if self._is_closed and not self._num_readers:
            self._sock.close()

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
        """Close the socket, once its readers are: ``http.client`` closes before the body of a last answer is read."""
        self._is_closed = True
        if not self._num_readers:
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

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._source.reader_closed()

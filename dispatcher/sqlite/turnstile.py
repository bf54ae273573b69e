"""A fair lock between threads and processes with a limit to the waiting, for one database file."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections import deque

from django.db import OperationalError

#: Between two looks at a lock of another process, in seconds: first and longest.
_FIRST_PAUSE = 0.0001
_LONGEST_PAUSE = 0.002
_GROWTH = 1.2


class TurnTimeout(OperationalError):
    """Others wrote for too long; nothing was begun."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


class Queue:
    """A lock that threads of one process get in the order in which they asked. Not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; whether it is ours."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        if ticket.acquire(timeout=max(0.0, timeout)):
            return True
        with self._guard:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                return False
        # Handed over at the last moment.
        return True

    def release(self) -> None:
        """Hand it to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_queues: dict[str, Queue] = {}


class Turnstile:
    """The turn to write. Each connection has one of its own.

    Within the process the threads queue; the first of them takes the gate, takes the lock, and leaves the gate, so that
    among processes, too, whoever waits at the gate is next. ``flock`` knows no time limit, hence the short pauses. It
    belongs to an open file, so each connection opens its own pair.
    """

    def __init__(self, database: str) -> None:
        self._queue = _queues.setdefault(database, Queue())
        self._gate = _open(f"{database}.gate")
        try:
            self._lock = _open(f"{database}.lock")
        except OSError:
            os.close(self._gate)
            raise

    def enter(self, timeout: float) -> None:
        """Wait for the turn; ``TurnTimeout`` after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        if not self._queue.acquire(timeout):
            raise TurnTimeout("database is locked: other threads wrote for too long")
        try:
            _take(self._gate, deadline)
            try:
                _take(self._lock, deadline)
            finally:
                fcntl.flock(self._gate, fcntl.LOCK_UN)
        except BaseException:
            self._queue.release()
            raise

    def leave(self) -> None:
        """Give the turn to the next."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._queue.release()

    def close(self) -> None:
        """Close the files. Leave first."""
        os.close(self._gate)
        os.close(self._lock)


def _take(file: int, deadline: float) -> None:
    pause = _FIRST_PAUSE
    clock = threading.Event()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TurnTimeout("database is locked: another process wrote for too long") from None
            clock.wait(pause)
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)
        else:
            return


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

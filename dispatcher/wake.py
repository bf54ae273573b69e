"""Wake-ups: "something was committed". They only cut latency; everybody polls as well, and that makes it correct."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

import psycopg
from django.db import connection

logger = logging.getLogger(__name__)

CHANNEL = "taskdist"
#: How often SQLite is asked whether another connection has committed. Costs about 2 % of a core.
SQLITE_POLL_SECONDS = 0.002
RECONNECT_SECONDS = 1.0


def notify() -> None:
    """Tell other processes that something was committed. Call after the commit; no-op on SQLite."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A transaction of its own, which takes an id: by default its commit would wait for the disk once more, and
            # there is nothing in it to keep.
            cursor.execute("SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, '')", [CHANNEL])


class Waker:
    """Waits for commits of others. Each instance belongs to one thread and has a connection of its own.

    ``stop`` ends a wait early; pass the event that ends the owner.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._listener: psycopg.Connection[Any] | None = None
        self._seen_version = 0

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; True if something was committed since the last call, False otherwise."""
        if connection.vendor == "postgresql":
            return self._wait_for_notification(timeout)
        return self._wait_for_version(timeout)

    def close(self) -> None:
        """Give back the connection. A later wait opens it again."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _wait_for_version(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        with connection.cursor() as cursor:
            while True:
                version = cursor.execute("PRAGMA data_version").fetchone()[0]
                if version != self._seen_version:
                    self._seen_version = version
                    return True
                left = deadline - time.monotonic()
                if left <= 0 or self._stop.wait(min(SQLITE_POLL_SECONDS, left)):
                    return False

    def _wait_for_notification(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        try:
            listener = self._listening()
            while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
                # In steps, so that a stop is noticed.
                for _ in listener.notifies(timeout=min(0.5, left), stop_after=1):
                    return True
        except psycopg.Error as error:
            logger.warning("wake-up connection lost: %s", error)
            with contextlib.suppress(psycopg.Error):
                self.close()
            self._listener = None
            self._stop.wait(min(RECONNECT_SECONDS, max(0.0, deadline - time.monotonic())))
        return False

    def _listening(self) -> psycopg.Connection[Any]:
        if self._listener is None or self._listener.closed:
            params = connection.get_connection_params()
            for key in ("pool", "cursor_factory", "context"):
                params.pop(key, None)
            self._listener = psycopg.connect(**params, autocommit=True)
            self._listener.execute(f"LISTEN {CHANNEL}")
        return self._listener

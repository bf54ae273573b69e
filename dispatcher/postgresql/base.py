"""Django's PostgreSQL backend, for servers that go away and come back.

The pool hands out connections without a look, and when the server is gone each caller waits the pool's whole timeout.
Here a connection that the server has closed meanwhile is replaced before anybody uses it, at the price of one system
call; and while the server refuses connections, one caller a second tries and the others are told at once.
"""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

#: After a failure to connect nobody tries again for so long.
PAUSE_SECONDS = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection out of the pool, or of its own where there is none."""

    #: Of this process, by alias: monotonic time until which the server counts as gone, failed connects of the pool.
    _gone_until: dict[str, float] = {}
    _failed_connects: dict[str, int] = {}

    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        """A connection that was alive a moment ago. Raises psycopg's ``OperationalError``."""
        pool = self.pool
        if not pool:
            return self._connect(conn_params)
        if time.monotonic() < self._gone_until.get(self.alias, 0.0):
            raise psycopg.OperationalError("the server could not be reached a moment ago")
        try:
            # Each look at a dead one takes it out of the pool, so this ends.
            while is_closed_by_server(connection := self._connect(conn_params)):
                connection.close()
                pool.putconn(connection)
        except PoolTimeout:
            self._note_timeout(pool)
            raise
        return connection

    def _connect(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = super().get_new_connection(conn_params)
        return connection

    def _note_timeout(self, pool: Any) -> None:
        """Tell a server that refuses connections from a pool whose connections are all in use."""
        failed = int(pool.get_stats().get("connections_errors", 0))
        if failed > self._failed_connects.get(self.alias, 0):
            self._gone_until[self.alias] = time.monotonic() + PAUSE_SECONDS
        self._failed_connects[self.alias] = failed


def is_closed_by_server(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said something since the connection was last used, which on an idle one is goodbye."""
    if connection.closed:
        return True
    look = select.poll()
    look.register(connection.pgconn.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(look.poll(0))

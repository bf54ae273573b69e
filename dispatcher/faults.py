"""What an error of the database means to whoever asked for something: the one place that tells outages from defects.

An outage is nobody's mistake and passes: the answer is 503 with a time to come back, and loops try again. Everything
else (a constraint, a missing table, wrong SQL) is a defect and is treated as one.
"""

from __future__ import annotations

import errno
import random
import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.db import InterfaceError, OperationalError


class Outage(NamedTuple):
    """Why nothing can be done now, in words without SQL, hosts or names of tables."""

    #: "unreachable", "busy", "full" or "read_only".
    kind: str
    #: One sentence for whoever asked.
    detail: str
    #: Least time after which another try makes sense, in seconds.
    wait_seconds: int

    def retry_after(self) -> str:
        """The value of ``Retry-After``: whole seconds, spread so that those turned away do not return together."""
        return str(random.randint(self.wait_seconds, 3 * self.wait_seconds))


UNREACHABLE: Final = Outage("unreachable", "The database cannot be reached; try again.", 1)
BUSY: Final = Outage("busy", "The database is busy; nothing was changed. Try again.", 1)
FULL: Final = Outage("full", "The disk of the database is full; nothing was changed. Reading still works.", 5)
READ_ONLY: Final = Outage("read_only", "The database takes no changes now; nothing was changed. Try again.", 2)

#: By SQLSTATE: classes of two characters, or whole codes, which win.
_POSTGRESQL: Final = {
    "08": UNREACHABLE,  # connection exception
    "40": BUSY,  # serialization failure, deadlock
    "53": BUSY,  # insufficient resources: memory, connections
    "53100": FULL,
    "55P03": BUSY,  # lock_timeout
    "57014": BUSY,  # statement_timeout
    "57P": UNREACHABLE,  # shut down, crashed, starting up
    "58030": FULL,  # input or output failed
    "25006": READ_ONLY,  # a standby, or one that is being switched over
    "25P03": UNREACHABLE,  # idle_in_transaction_session_timeout
}

#: By SQLite's primary result code.
_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_INTERRUPT: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_NOMEM: BUSY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: UNREACHABLE,
}
_PRIMARY_CODE: Final = 0xFF

_SYSTEM: Final = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EMFILE: BUSY, errno.ENFILE: BUSY}


def outage(error: BaseException | None) -> Outage | None:
    """The outage that ``error`` shows, looking at what caused it as well; None if it shows a defect."""
    known_by_class = False
    for link in _chain(error):
        if code := getattr(link, "sqlstate", None):
            return _POSTGRESQL.get(code) or _POSTGRESQL.get(code[:3]) or _POSTGRESQL.get(code[:2])
        if number := getattr(link, "sqlite_errorcode", None):
            return _SQLITE.get(number & _PRIMARY_CODE)
        if isinstance(link, OSError) and link.errno in _SYSTEM:
            return _SYSTEM[link.errno]
        known_by_class = known_by_class or isinstance(link, OperationalError | InterfaceError)
    # No code: no connection was made, or the one there was has gone.
    return UNREACHABLE if known_by_class else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, what was being handled when it was raised; the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

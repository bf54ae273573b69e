"""Django's SQLite backend, whose transactions take turns at a file lock before they begin.

SQLite lets a second writer wait in its busy handler, which sleeps in growing steps and is not fair: a busy writer can
starve another for seconds. Here every transaction (they all begin IMMEDIATE) first passes a turnstile of advisory file
locks beside the database. Single statements outside a transaction still rely on the busy timeout, which is also the
limit of the wait for a turn.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from django.db.backends.sqlite3 import base

from dispatcher.sqlite.turnstile import Turnstile

#: Longest wait for the turn where the settings name none, in seconds.
DEFAULT_TIMEOUT = 5.0
OWNER_ONLY = 0o600


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection; holds the turn from BEGIN to COMMIT or ROLLBACK."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turnstile: Turnstile | None = None
        self._has_turn = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect; a database made by that is for its owner only, and so are the files that SQLite puts beside it."""
        if not self.is_in_memory_db():
            # What is wrong with the place is SQLite's to say.
            with suppress(OSError):
                os.close(os.open(conn_params["database"], os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
        return super().get_new_connection(conn_params)

    def _start_transaction_under_autocommit(self) -> None:
        self._take_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # not in the stubs
        except BaseException:
            self._give_turn()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]  # not in the stubs
        finally:
            # A failed commit is followed by a rollback, which finds the turn given already.
            self._give_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]  # not in the stubs
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]  # not in the stubs
        finally:
            self._give_turn()
            if self._turnstile is not None:
                self._turnstile.close()
                self._turnstile = None

    def _take_turn(self) -> None:
        database = str(self.settings_dict["NAME"])
        if self._has_turn or self.is_in_memory_db():
            return
        if self._turnstile is None:
            self._turnstile = Turnstile(database)
        self._turnstile.enter(float(self.settings_dict["OPTIONS"].get("timeout", DEFAULT_TIMEOUT)))
        self._has_turn = True

    def _give_turn(self) -> None:
        if self._has_turn and self._turnstile is not None:
            self._has_turn = False
            self._turnstile.leave()

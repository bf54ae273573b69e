"""How long a program may wait for the database: for locks, for a statement, in an open transaction.

Set by the entry points of the long-running programs before their first connection. Commands that people run (migrate,
backups) have no limits. What the URL's own ``options`` say comes later and wins.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections


class Limits(NamedTuple):
    """Milliseconds, as PostgreSQL takes them."""

    lock_timeout: int
    statement_timeout: int
    idle_in_transaction_session_timeout: int


#: Somebody waits for the answer: rather an early 503 than a late success.
WEB: Final = Limits(2_000, 10_000, 10_000)
#: Nobody waits; passes are repeated. Engines take turns at a lock, which counts as well.
ENGINE: Final = Limits(5_000, 60_000, 30_000)


def set_limits(limits: Limits) -> None:
    """Let all connections that this process makes from now on have these limits. No-op on SQLite."""
    settings = connections.settings[DEFAULT_DB_ALIAS]
    if not settings["ENGINE"].endswith("postgresql"):
        return
    ours = " ".join(f"-c {name}={value}" for name, value in limits._asdict().items())
    options = settings["OPTIONS"]
    options["options"] = f"{ours} {options.get('options', '')}".strip()

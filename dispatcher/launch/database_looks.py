"""What `manage.py doctor` looks at in the database: reachable, migrated, durable, of a version that works, clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db import connection
from django.utils import timezone

from dispatcher.launch.database_reach import reach_advice, unreachable_reason
from dispatcher.launch.findings import Finding, fail, ok, warn
from dispatcher.models.schema import pending_migrations

OLDEST_POSTGRESQL = 150000
CLOCK_WARN_SECONDS = 1.0
CLOCK_FAIL_SECONDS = 5.0
SYNCHRONOUS_FULL = 2


def database(_now: datetime) -> Iterator[Finding]:
    """Look whether the database answers, which one it is, and whether a commit is on disk when it is acknowledged."""
    if reason := unreachable_reason():
        yield fail("database", f"not reachable: {reason}", reach_advice())
        return
    if connection.vendor == "postgresql":
        yield from _postgresql()
    else:
        yield from _sqlite()


def migrations(_now: datetime) -> Iterator[Finding]:
    """Look whether the tables are those of this version."""
    if pending := pending_migrations():
        names = ", ".join(pending[:3])
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""  # noqa: PLR2004 (as many as are named)
        yield fail("migrations", f"not applied: {names}{more}", "`manage.py migrate`, or `make run`, which does it.")
    else:
        yield ok("migrations", "all applied")


def clock(_now: datetime) -> Iterator[Finding]:
    """Look how far the clocks of this machine and of the database are apart: leases are measured by them."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
        after = timezone.now()
    # The answer was made somewhere between the two; nothing is counted that may be the way there and back.
    apart = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    seen = f"{apart:.2f} s from the database's, which says {theirs.astimezone(UTC):%H:%M:%S} UTC"
    advice = "Synchronise the clocks of both machines (chrony, systemd-timesyncd)."
    if apart >= CLOCK_FAIL_SECONDS:
        yield fail("clock", seen, advice)
    elif apart >= CLOCK_WARN_SECONDS:
        yield warn("clock", seen, advice)
    else:
        yield ok("clock", seen)


def _postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
        number, version = cursor.fetchone()
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, synchronous = cursor.fetchone()
    if number < OLDEST_POSTGRESQL:
        yield fail("database", f"PostgreSQL {version}", "Version 15 is the oldest that works.")
    else:
        yield ok("database", f"PostgreSQL {version} answers")
    if fsync == "on" and synchronous != "off":
        yield ok("durability", f"fsync {fsync}, synchronous_commit {synchronous}")
    else:
        seen = f"fsync {fsync}, synchronous_commit {synchronous}"
        yield warn("durability", seen, "A power cut can lose acknowledged tasks. Switch both on in postgresql.conf.")


def _sqlite() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        journal = str(cursor.fetchone()[0])
        cursor.execute("PRAGMA synchronous")
        synchronous = int(cursor.fetchone()[0])
        cursor.execute("SELECT sqlite_version()")
        version = cursor.fetchone()[0]
    yield ok("database", f"SQLite {version} at {connection.settings_dict['NAME']}")
    seen = f"journal_mode {journal}, synchronous {synchronous}"
    if journal != "wal":
        yield fail("durability", seen, "Put var/ on a local disk: network file systems cannot do WAL.")
    elif synchronous < SYNCHRONOUS_FULL:
        yield warn("durability", seen, "A power cut can lose acknowledged tasks: synchronous must be FULL (2).")
    else:
        yield ok("durability", seen)

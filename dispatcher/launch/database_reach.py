"""Why the database cannot be reached, in the server's own words and at once."""

from __future__ import annotations

import psycopg
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresqlConnection

CONNECT_SECONDS = 5


def unreachable_reason() -> str:
    """Return in a line why no connection can be made; "" where one can.

    PostgreSQL is asked past the pool, which would try again and again, log each time, and then only say
    that it got no connection.
    """
    # The name `connection` stands for a proxy, which is of no database's class.
    default = connections[DEFAULT_DB_ALIAS]
    try:
        if isinstance(default, PostgresqlConnection):
            parameters = {**default.get_connection_params(), "connect_timeout": CONNECT_SECONDS}
            parameters.pop("pool", None)
            psycopg.connect(**parameters).close()
        else:
            default.ensure_connection()
    except (psycopg.Error, DatabaseError, OSError) as error:
        return first_line(error)
    return ""


def require_database() -> None:
    """Raise CommandError, saying why and what to do, where the database cannot be reached."""
    if reason := unreachable_reason():
        raise CommandError(f"The database cannot be reached: {reason}. {reach_advice()}")


def reach_advice() -> str:
    """Return what to do about a database that cannot be reached."""
    if connection.vendor == "postgresql":
        return "Check TASKDIST_DATABASE_URL, and that the server runs and lets this machine in."
    path = connection.settings_dict["NAME"]
    return (
        f"Check that this user owns {path} and its folder, and that the disk is not full. "
        "A file that is not a database: move it away, or put a backup there."
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; its kind if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

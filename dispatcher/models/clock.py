"""The one clock that leases are measured by: the database's, which all machines of an installation share."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.utils import timezone


def database_now() -> datetime:
    """The time on the database's machine. With SQLite that is this one.

    Who renews a lease and who looks whether it has ended may run on different machines. Were each to go by its own
    clock, a difference between the two would end the leases of nodes that are well, or keep those of dead ones.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now

"""``manage.py engine``: move tasks until told to stop."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dispatcher import checks
from dispatcher.engine.supervisor import Engine
from dispatcher.launch.database_reach import unreachable_reason
from dispatcher.models.schema import pending_migrations
from dispatcher.postgresql.limits import ENGINE, set_limits


class Command(BaseCommand):
    """Runs one engine in the foreground."""

    help = (
        "Run the engine: it gives tasks to nodes, pushes them there, polls and watches the nodes, retries, and keeps "
        "the roll-ups. Run one; on PostgreSQL several may share the work. SIGTERM or Ctrl-C stops it within seconds."
    )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Refuse before Django's own checks, some of which open the database."""
        checks.refuse_unsafe_start()
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status 1 asks for a restart: a loop died or was stuck."""
        # A database that cannot be reached may come back, and the loops wait for it. Tables do not come by themselves.
        if not unreachable_reason() and (pending := pending_migrations()):
            raise CommandError(
                f"The tables are not those of this version: {pending[-1]} is missing. Run: manage.py migrate"
            )
        set_limits(ENGINE)
        status = Engine().run()
        if status:
            sys.exit(status)

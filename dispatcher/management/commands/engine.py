"""``manage.py engine``: move tasks until told to stop."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from dispatcher.engine.supervisor import Engine


class Command(BaseCommand):
    """Runs one engine in the foreground."""

    help = (
        "Run the engine: it gives tasks to nodes, pushes them there, polls and watches the nodes, retries, and keeps "
        "the roll-ups. Run one; on PostgreSQL several may share the work. SIGTERM or Ctrl-C stops it within seconds."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit status 1 asks for a restart: a loop died or was stuck."""
        status = Engine().run()
        if status:
            sys.exit(status)

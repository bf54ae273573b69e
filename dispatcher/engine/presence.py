"""The engine shows that it lives, and how its loops are."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import datetime

from dispatcher.engine.loop import Loop
from dispatcher.models import EngineProcess
from dispatcher.redaction import redactor

PRESENCE_SECONDS = 5.0


class Presence(Loop):
    """Renews the row of this process; removes it at an orderly end."""

    name = "presence"

    def __init__(self, loops: Sequence[Loop]) -> None:
        super().__init__(interval=PRESENCE_SECONDS)
        self._loops = loops
        self._id = uuid.uuid4().hex
        self._started_at: datetime | None = None

    def run_once(self, now: datetime) -> bool:
        """Write the row."""
        self._started_at = self._started_at or now
        moment = time.monotonic()
        EngineProcess.objects.update_or_create(
            id=self._id,
            defaults={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started_at": self._started_at,
                "last_seen_at": now,
                "loops": {
                    loop.name: {
                        "passes": loop.health.passes,
                        "interval_seconds": loop.interval,
                        "last_pass_seconds_ago": round(moment - loop.health.last_pass, 3),
                        "last_good_seconds_ago": round(moment - loop.health.last_good, 3),
                        "errors": loop.health.errors,
                        "last_error": redactor().text(loop.health.last_error)[:500],
                    }
                    for loop in self._loops
                },
            },
        )
        return False

    def close(self) -> None:
        """Remove the row."""
        EngineProcess.objects.filter(id=self._id).delete()

"""Tasks that run until a test lets them end: what shows only while they run cannot be over before it was seen."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from tests.launch.installation import Installation


class Gate:
    """A named pipe in the demo's folder. A task that reads it waits there until the gate is opened."""

    def __init__(self, installed: Installation, name: str) -> None:
        folder = installed.var / "demo"
        folder.mkdir(exist_ok=True)
        self._pipe = folder / name
        os.mkfifo(self._pipe)
        self.task: dict[str, Any] = {"type": "demo.count_words", "payload": {"file": name}}

    def open(self) -> None:
        """Let go whoever waits, and whoever comes from now on."""
        waiting = self._pipe.with_suffix(".waiting")
        self._pipe.rename(waiting)
        self._pipe.touch()
        # Opened for writing and closed again, a pipe wakes its readers; without any, it cannot be opened so.
        with suppress(OSError):
            while True:
                os.close(os.open(waiting, os.O_WRONLY | os.O_NONBLOCK))

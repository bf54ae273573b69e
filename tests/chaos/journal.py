"""Append-only journals, one JSON object per line: the witnesses of a run that are not the database.

Times are ``time.monotonic()``, which on Linux all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any


class Journal:
    """One file that this process appends to; any thread may."""

    def __init__(self, path: Path, *, synced: bool = False) -> None:
        """``synced``: a line is on the disk before ``write`` returns."""
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self._synced = synced
        self._lock = threading.Lock()
        self.path = path

    def write(self, event: str, **facts: Any) -> float:
        """Add a line; returns the time written into it."""
        moment = time.monotonic()
        line = json.dumps({"e": event, "at": moment, **facts}, separators=(",", ":")) + "\n"
        with self._lock:
            # One write of less than a page to a file opened for appending: lines of several processes do not mix.
            os.write(self._file, line.encode())
            if self._synced:
                os.fdatasync(self._file)
        return moment


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal. A last line that was cut off by a kill is left out."""
    if not path.exists():
        return []
    *whole, _rest = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in whole]

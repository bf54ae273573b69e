"""The journal of child processes, for the start after a ``kill -9``: what still runs of the last time is ended.

The children themselves die with the node (``executor.child``); what *they* started may not. Every child leads a
session, so the session number finds it all. Linux only: elsewhere the journal is kept but nothing is ended.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)


class _Journal(msgspec.Struct):
    """``boot``: the machine's boot id, without which process numbers mean nothing. ``started``: ticks by number."""

    boot: str = ""
    started: dict[int, int] = {}


class ChildJournal:
    """Which children run now, on disk. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._now = _Journal(boot=_machine_boot())

    def add(self, pid: int) -> None:
        """A child was started."""
        with self._lock:
            self._now.started[pid] = _started(pid)
            self._write()

    def remove(self, pid: int) -> None:
        """A child has ended, with all of its session."""
        with self._lock:
            if self._now.started.pop(pid, None) is not None:
                self._write()

    def end_leftovers(self) -> int:
        """End every process of the sessions in the journal that the last run left; how many there were."""
        try:
            left = msgspec.json.decode(self._path.read_bytes(), type=_Journal)
        except (OSError, msgspec.DecodeError):
            return 0
        ended = 0
        if left.boot and left.boot == self._now.boot:
            for pid, session, started in _processes():
                if session in left.started and started >= left.started[session]:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                        ended += 1
        self._path.unlink(missing_ok=True)
        return ended

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self._now))
            fresh.replace(self._path)
        except OSError as error:
            logger.warning("cannot write %s: %s", self._path, error)


def _machine_boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    fields = _stat(pid)
    return fields[1] if fields else 0


def _processes() -> list[tuple[int, int, int]]:
    """(process, session, start in clock ticks) of every process that can be seen."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [(number, *fields) for number in numbers if (fields := _stat(number))]


def _stat(pid: int) -> tuple[int, int] | None:
    """(session, start) from ``/proc/PID/stat``; the name before them may hold blanks and brackets."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[3]), int(fields[19])

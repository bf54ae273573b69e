"""What an earlier run of the node left behind, for the start after a ``kill -9``: it is ended before anything else.

The children themselves die with the node (``executor.child``), and a guardian ends what *they* started; unless both
were killed, or the machine was too slow. The journal holds the run's mark and the sessions that its children led, and
by these everything is found. Linux only: elsewhere the journal is kept but nothing is ended.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from pathlib import Path

import msgspec

from workers.executor.guardian import all_pids, end_all, stat_of

logger = logging.getLogger(__name__)


class _Journal(msgspec.Struct):
    """``boot``: the machine's boot id, without which process numbers mean nothing. ``started``: ticks by number."""

    boot: str = ""
    mark: str = ""
    started: dict[int, int] = {}


class ChildJournal:
    """Which children run now, on disk. Thread-safe."""

    def __init__(self, path: Path, *, mark: str) -> None:
        """``mark``: what the marks of this run's processes begin with."""
        self._path = path
        self._lock = threading.Lock()
        self._now = _Journal(boot=_machine_boot(), mark=mark)

    def begin(self) -> None:
        """The run has begun."""
        with self._lock:
            self._write()

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
        """End every process of the last run that is still there; how many there were."""
        try:
            left = msgspec.json.decode(self._path.read_bytes(), type=_Journal)
        except (OSError, msgspec.DecodeError):
            return 0
        ended = 0
        if left.boot and left.boot == self._now.boot:
            for pid in all_pids():
                facts = stat_of(pid)
                # A session's number may belong to a younger process by now, but not with an older one in it.
                if facts and facts[1] in left.started and facts[2] >= left.started[facts[1]]:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                        ended += 1
            ended += end_all(left.mark) if left.mark else 0
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
    facts = stat_of(pid)
    return facts[2] if facts else 0

"""Ends what tasks have started when nobody else can: a small program beside the node that outlives it.

The node's end of the pipe to its standard input closes when the node ends, however it ends. Then every process of the
run is ended: those of the sessions that the node named on the pipe, one number a line, and those that carry the run's
mark in their environment, which also finds what has left its session. What has left both is out of reach.

It is run by its path, so that it stays small: nothing but the standard library may be imported here. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

#: The variable that marks a process: run, child, for every process that a task starts without clearing it.
MARK = "TASKDIST_RUN"
#: Looks for processes that were started while others were being ended.
_MAX_ROUNDS = 50
_PAUSE_SECONDS = 0.02


def end_all(mark: str, sessions: Collection[int] = ()) -> int:
    """End every process whose mark begins with ``mark`` or that is of one of the ``sessions``; how many there were."""
    ended: set[int] = set()
    pause = threading.Event()
    for _ in range(_MAX_ROUNDS):
        found = list(_find(mark, sessions))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.add(pid)
        if not found:
            break
        pause.wait(_PAUSE_SECONDS)
    return len(ended)


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """(state, session, start in clock ticks) of a process; None if it is gone."""
    try:
        # The name before them may hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[3]), int(fields[19])


def all_pids() -> list[int]:
    """Every process that can be seen."""
    try:
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _find(mark: str, sessions: Collection[int]) -> Iterator[int]:
    wanted = f"\0{MARK}={mark}".encode()
    for pid in all_pids():
        if pid == os.getpid():
            continue
        facts = stat_of(pid)
        if facts is None or facts[0] in "ZX":
            continue
        if facts[1] in sessions or wanted in b"\0" + _environment(pid):
            yield pid


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def main(mark: str) -> None:
    """Wait for the node's end, then end the rest of the run ``mark``."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A service manager may signal everything at once, long before the node has drained.
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    for line in sys.stdin:
        sessions.add(int(line))
    end_all(mark, sessions)


if __name__ == "__main__":
    main(sys.argv[1])

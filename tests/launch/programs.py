"""Small real programs for tests of the supervisor, and ways to wait for what they do."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dispatcher.launch.programs import Program

# Writes its process id, says that it is ready, and waits for a signal.
OBEDIENT = "import os, signal; print('ready', os.getpid(), flush=True); signal.pause()"
# The same, but ignores the request to end.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n " + OBEDIENT
# The same, with a child of its own in its group, whose id it writes, too.
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print('child', child.pid, flush=True)\n" + OBEDIENT
)
FAILING = "import sys; print('cannot open the pod bay doors', file=sys.stderr); sys.exit(3)"


def program(name: str, source: str, *, stop_rank: int = 0) -> Program:
    """Return a program that runs Python source."""
    return Program(name=name, command=(sys.executable, "-c", source), stop_rank=stop_rank, environment=dict(os.environ))


def eventually(condition: Callable[[], object], *, seconds: float = 60.0) -> bool:
    """Return whether the condition comes true within the time: on a busy machine a process takes long to start."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        pause.wait(0.02)
    return bool(condition())


def numbers_after(word: str, log: Path) -> list[int]:
    """Return the numbers that lines of a log give after a word."""
    if not log.exists():
        return []
    lines = [line.split() for line in log.read_text().splitlines()]
    return [int(words[1]) for words in lines if len(words) == 2 and words[0] == word]


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended and only waits to be noticed does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"

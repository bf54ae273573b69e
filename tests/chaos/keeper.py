"""Starts the processes of a run, starts them again when they die, and leaves none behind.

Everything is started by the thread that calls ``tick``: Linux sends the parent-death signal when the *thread* that
started a process is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.architecture.sources import ROOT
from tests.chaos.journal import Journal

RESTART_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass
class Kept:
    """One program: running, or down until ``start_at`` (monotonic)."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    #: Whether the next exit was asked for.
    is_expected: bool = False
    starts: int = 0


@dataclass
class Keeper:
    """``mark`` is in the environment of all processes, and of what they start: by it, leftovers are found."""

    folder: Path
    journal: Journal
    mark: str
    programs: dict[str, Kept] = field(default_factory=dict)
    #: (name, exit status) of programs that ended without having been told to.
    surprises: list[tuple[str, int]] = field(default_factory=list)

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Keep a program from now on; ``tick`` starts it."""
        self.programs[name] = Kept(name, command, {**environment, "CHAOS_RUN": self.mark})

    def tick(self) -> None:
        """Notice who has died; start who is due."""
        now = time.monotonic()
        for kept in self.programs.values():
            if kept.process is not None and (status := kept.process.poll()) is not None:
                self.journal.write("exit", name=kept.name, pid=kept.process.pid, status=status)
                if not kept.is_expected:
                    self.surprises.append((kept.name, status))
                kept.is_expected = False
                kept.process = None
                kept.start_at = max(kept.start_at, now + RESTART_SECONDS)
            if kept.process is None and now >= kept.start_at:
                self._start(kept)

    def pid(self, name: str) -> int | None:
        """The process id of a program that runs."""
        process = self.programs[name].process
        return process.pid if process is not None and process.poll() is None else None

    def kill(self, name: str, *, down_seconds: float = 0.0) -> bool:
        """SIGKILL, and start again after that time. False if it is down already."""
        kept, pid = self.programs[name], self.pid(name)
        if pid is None:
            return False
        kept.is_expected = True
        kept.start_at = time.monotonic() + down_seconds
        os.kill(pid, signal.SIGKILL)
        return True

    def send(self, name: str, number: int) -> int | None:
        """Send a signal; the id of the process that got it."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, number)
        return pid

    def children(self, name: str) -> list[int]:
        """Processes that a program has started."""
        pid = self.pid(name)
        with suppress(OSError):
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] or [
                int(word)
                for thread in Path(f"/proc/{pid}/task").iterdir()
                for word in (thread / "children").read_text().split()
            ]
        return []

    def close(self) -> None:
        """Kill everything, also what a killed program has left running."""
        for kept in self.programs.values():
            kept.start_at = float("inf")
            if kept.process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(kept.process.pid, signal.SIGKILL)
                kept.process.wait(10)
        for pid in self.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def leftovers(self) -> list[int]:
        """Processes with our mark in their environment that no program here is."""
        known = {kept.process.pid for kept in self.programs.values() if kept.process is not None}
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) not in known and int(folder.name) != os.getpid():
                with suppress(OSError):
                    if f"CHAOS_RUN={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found

    def _start(self, kept: Kept) -> None:
        with (self.folder / "log" / f"{kept.name}.log").open("ab") as log:
            kept.process = subprocess.Popen(
                list(kept.command),
                cwd=ROOT,
                env=dict(kept.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: _prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 (one system call)
            )
        kept.starts += 1
        self.journal.write("start", name=kept.name, pid=kept.process.pid)

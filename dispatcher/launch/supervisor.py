"""Keeps an installation's processes running, and ends them together."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from dispatcher.launch.child import Child, Stage, describe_status
from dispatcher.launch.logs import LogFile
from dispatcher.launch.programs import Program
from workers.log_lines import escaped

LOOK_SECONDS = 0.2
# Workers may finish what they run for a while; the rest of the time is for the engine and the web tier.
WORKERS_SECONDS = 5.0
STOP_SECONDS = 8.0
KEEPER_SECONDS = 2.0

Say = Callable[[str], None]


class Supervisor:
    """Starts programs, starts them again when they die, and stops them in the order of their ranks.

    All of it runs in the caller's thread. `say` gets the lines for the console; it must not raise.
    """

    def __init__(
        self, *, working_dir: Path, log_dir: Path, holding: int, say: Say, is_deserted: Callable[[], bool]
    ) -> None:
        self._working_dir = working_dir
        self._log_dir = log_dir
        self._holding = holding
        self._say = say
        self._is_deserted = is_deserted
        self._children: list[Child] = []
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._interrupts = 0
        self._keeper: subprocess.Popen[str] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the end has been asked for."""
        return self._stop.is_set()

    def listen_to_signals(self) -> None:
        """Stop on SIGTERM, SIGINT and SIGHUP; a second SIGINT kills without waiting."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def start(self, programs: Iterable[Program]) -> None:
        """Start the programs, and the keeper that ends them if this process is killed."""
        if self._keeper is None:
            self._keeper = self._start_keeper()
        for program in programs:
            if self.is_stopping:
                return
            log = LogFile(self._log_dir / f"{program.name}.log")
            child = Child(program, log, str(self._working_dir))
            self._children.append(child)
            self._launch(child)

    def run_until(self, ready: Callable[[], bool], timeout_seconds: float) -> bool:
        """Supervise until `ready()`; return False if the time or the installation ended first."""
        deadline = time.monotonic() + timeout_seconds
        while not self.is_stopping and time.monotonic() < deadline:
            if ready():
                return True
            self._look_and_wait()
        return False

    def run(self) -> None:
        """Supervise until the end is asked for."""
        while not self.is_stopping:
            self._look_and_wait()

    def look(self, now: float) -> None:
        """Look once at every child: report its problems, note its end, start it again when that is due."""
        self._keep_the_keeper()
        for child in self._children:
            for line in child.log.problems(now):
                self._say(f"{child.name:<8}| {escaped(line)}")
            child.log.keep_bounded()
            status = child.ended_with()
            if status is not None:
                self._note_end(child, status, now)
            elif child.is_due(now):
                self._launch(child)

    def stop(self) -> list[str]:
        """End all children within STOP_SECONDS; return the names of those that had to be killed."""
        self._stop.set()
        begun = time.monotonic()
        ranks = sorted({child.program.stop_rank for child in self._children})
        for rank in ranks:
            for child in self._children:
                if child.program.stop_rank == rank:
                    child.send(signal.SIGTERM)
            if rank == ranks[0]:
                self._await_end([c for c in self._children if c.program.stop_rank == rank], begun + WORKERS_SECONDS)
        self._await_end(self._children, begun + STOP_SECONDS)
        stubborn = [child for child in self._children if child.stage is Stage.RUNNING]
        for child in stubborn:
            child.send(signal.SIGKILL)
        self._hurry.clear()
        self._await_end(self._children, time.monotonic() + KEEPER_SECONDS)
        self._end_keeper()
        return [child.name for child in stubborn]

    def _look_and_wait(self) -> None:
        self.look(time.monotonic())
        if self._is_deserted():
            self._stop.set()
        self._stop.wait(LOOK_SECONDS)

    def _launch(self, child: Child) -> None:
        child.start(time.monotonic())
        self._tell_keeper(f"+{child.group}")

    def _note_end(self, child: Child, status: int, now: float) -> None:
        self._tell_keeper(f"-{child.group}")
        pause = child.plan_restart(now)
        self._say(
            f"{child.name:<8}| ended with {describe_status(status)}; starting it again in {pause:g} s "
            f"(log: {child.log.path})"
        )
        if status > 0:
            for line in child.log.last_lines():
                self._say(f"{child.name:<8}|   {escaped(line)}")

    def _await_end(self, children: list[Child], deadline: float) -> None:
        while not self._hurry.is_set():
            for child in children:
                if child.ended_with() is not None:
                    self._tell_keeper(f"-{child.group}")
            if all(child.stage is not Stage.RUNNING for child in children) or time.monotonic() >= deadline:
                return
            self._hurry.wait(LOOK_SECONDS / 4)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # A terminal sends SIGINT once per Ctrl-C; SIGTERM comes twice from `make`, which passes on its own.
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                self._hurry.set()
        self._stop.set()

    def _start_keeper(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dispatcher.launch.keeper", str(STOP_SECONDS)],
            cwd=self._working_dir,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            start_new_session=True,
            # It holds `var/` beyond our death, until the children are gone.
            pass_fds=(self._holding,),
        )

    def _keep_the_keeper(self) -> None:
        if self._keeper is None or self._keeper.poll() is None:
            return
        self._say("keeper  | has ended; starting it again")
        self._end_keeper()
        self._keeper = self._start_keeper()
        for child in self._children:
            if child.stage is Stage.RUNNING:
                self._tell_keeper(f"+{child.group}")

    def _tell_keeper(self, line: str) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            return
        # A keeper that has died is told again by the look that starts the next one.
        with suppress(BrokenPipeError):
            self._keeper.stdin.write(f"{line}\n")

    def _end_keeper(self) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            return
        with suppress(BrokenPipeError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(KEEPER_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper = None

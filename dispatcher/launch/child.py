"""One supervised process: started in a session of its own, started again when it dies, ended with its whole group."""

from __future__ import annotations

import signal
import subprocess
from enum import Enum

from dispatcher.launch.keeper import signal_group
from dispatcher.launch.logs import LogFile
from dispatcher.launch.programs import Program

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A process that lived this long was well: the next failure counts as the first.
HEALTHY_SECONDS = 30.0


class Stage(Enum):
    """Where a child is in its life."""

    NEW = "new"
    RUNNING = "running"
    PAUSING = "pausing"
    ENDED = "ended"


class Child:
    """A program and the process that runs it. Times are monotonic seconds."""

    def __init__(self, program: Program, log: LogFile, working_dir: str) -> None:
        self.program = program
        self.log = log
        self.stage = Stage.NEW
        self.group = 0
        self._working_dir = working_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_again_at = 0.0
        self._failures = 0

    @property
    def name(self) -> str:
        """The program's name, which is also the name of its log."""
        return self.program.name

    def start(self, now: float) -> None:
        """Start the process: in a new session, so that the terminal's Ctrl-C reaches only the supervisor."""
        with self.log.open_for_process() as output:
            self._process = subprocess.Popen(
                self.program.command,
                env=dict(self.program.environment),
                cwd=self._working_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.group = self._process.pid
        self._started_at = now
        self.stage = Stage.RUNNING

    def ended_with(self) -> int | None:
        """Return the exit status once the process has ended (negative: the signal), else None.

        What is left of its group is killed then, so that a new process does not run beside it.
        """
        if self.stage is not Stage.RUNNING or self._process is None:
            return None
        status = self._process.poll()
        if status is not None:
            signal_group(self.group, signal.SIGKILL)
            self.stage = Stage.ENDED
        return status

    def plan_restart(self, now: float) -> float:
        """Decide when to start again; return the pause in seconds, which doubles from failure to failure."""
        if now - self._started_at >= HEALTHY_SECONDS:
            self._failures = 0
        pause: float = min(FIRST_PAUSE_SECONDS * 2**self._failures, LONGEST_PAUSE_SECONDS)
        # Bounded, because the pause stops growing long before the power overflows.
        self._failures = min(self._failures + 1, 16)
        self._start_again_at = now + pause
        self.stage = Stage.PAUSING
        return pause

    def is_due(self, now: float) -> bool:
        """Return whether the pause before the next start is over."""
        return self.stage is Stage.PAUSING and now >= self._start_again_at

    def send(self, number: int) -> None:
        """Send a signal to the process, or with SIGKILL to its whole group; an ended one is left alone."""
        if self.stage is not Stage.RUNNING or self._process is None:
            return
        if number == signal.SIGKILL:
            signal_group(self.group, number)
        else:
            self._process.send_signal(number)


def describe_status(status: int) -> str:
    """Return an exit status in words: `status 1`, `signal SIGKILL`."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"

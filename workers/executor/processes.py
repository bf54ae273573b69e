"""Handlers in child processes: a crash or a hard timeout costs one task, not the node.

Children are started when they are needed, at most one per slot, and stay for the next task. Each leads a session of
its own and bears a mark that what it starts inherits: a child is ended together with its process group and with what
bears its mark. All of them are started by one thread that lives as long as the node: Linux sends the parent-death
signal when the *thread* that forked is gone. The guardian ends what a killed node leaves behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from workers.context import StopReason
from workers.executor import guardian
from workers.executor.guardian import MARK, end_all
from workers.executor.job import Job
from workers.executor.leftovers import ChildJournal
from workers.executor.pipe import (
    Begun,
    CommandSpec,
    Done,
    Line,
    Moved,
    Pipe,
    Ready,
    Run,
    Setup,
    Stop,
    Up,
    describe_status,
)
from workers.invoke import stopped
from workers.protocol import TaskError, TaskResult

logger = logging.getLogger(__name__)

#: How long the guardian may take at the node's end.
_GUARDIAN_SECONDS: Final = 2.0
#: Children that a run may lose before it has begun, until something must be wrong with all of them.
_MAX_CHILDREN_PER_RUN: Final = 3


class ChildFailure(Exception):
    """A child process could not be started or could not load the handlers."""


class _Process:
    """One child: the operating system's process and our end of its pipe."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: Pipe, mark: str) -> None:
        self.process = process
        self.pipe = pipe
        self._mark = mark
        self._kill_lock = threading.Lock()
        self._is_reaped = False

    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def kill(self) -> None:
        """End the child and whatever it started."""
        with self._kill_lock:
            # After the child is reaped its number may belong to others.
            if not self._is_reaped:
                _kill_group(self.process.pid)

    def reap(self) -> int:
        """Wait for the end of a child that was killed; the status as ``Popen`` gives it."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        # What left the group; now that nothing of it is started any more.
        end_all(self._mark)
        with self._kill_lock:
            self._is_reaped = True
            status = self.process.wait()
        self.pipe.close()
        return status


def _kill_group(pid: int) -> None:
    # macOS gives PermissionError for a group in which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class ProcessRunner:
    """Runs jobs in child processes, called from slot threads."""

    def __init__(
        self,
        *,
        imports: list[str],
        commands: Mapping[str, CommandSpec],
        state_dir: Path,
        max_result_bytes: int,
    ) -> None:
        command_dir = state_dir / "commands"
        if commands:
            command_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._setup = Setup(imports, dict(commands), str(command_dir), max_result_bytes, os.getpid())
        self._mark = f"{uuid.uuid4().hex}."
        self._journal = ChildJournal(state_dir / "children.json", mark=self._mark)
        self._guardian = _Guardian(self._mark)
        self._num_started = 0
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: dict[int, _Process] = {}
        #: Jobs (by id) that were killed before they had a child.
        self._doomed: set[int] = set()
        self._is_closed = False

    def end_leftovers(self) -> int:
        """End processes that an earlier run of this node left behind (it was killed); how many there were."""
        return self._journal.end_leftovers()

    def guard(self) -> None:
        """From now on nothing that a task starts outlives this process, in whatever kind of runner the task runs.

        What starts from here on inherits the mark; this process does not bear it, since it was there before.
        """
        os.environ[MARK] = f"{self._mark}0."
        self._journal.begin()
        self._spawner.submit(self._guardian.start).result()

    def run(self, job: Job) -> TaskResult:
        """Run in a child, started for it if none is free; a child that dies makes a ``crashed`` result."""
        try:
            for _ in range(_MAX_CHILDREN_PER_RUN):
                result = self._run_in(self._borrow(job), job)
                if result is not None:
                    return result
        except ChildFailure as error:
            reason = job.context.stop_reason
            if reason is not None:
                return stopped(job.task_id, job.attempt, reason, run_ms=job.run_ms(time.monotonic()))
            return _failed(job, "ChildFailure", str(error))
        finally:
            with self._lock:
                self._busy.pop(id(job), None)
                self._doomed.discard(id(job))
        return _failed(job, "ChildFailure", "child processes end before they begin with the task")

    def _run_in(self, child: _Process, job: Job) -> TaskResult | None:
        """Run the job in this child; ``None``: the child was ended before it began, so another may try."""
        conversation = _Conversation(child, job)
        result = conversation.hold()
        with self._lock:
            self._busy.pop(id(job), None)
            # After a stop the child is not used again: its end takes along whatever the handler may have left running.
            if result is not None and job.context.stop_reason is None and not self._is_closed:
                self._idle.append(child)
                return result
        status = self._end(child)
        if result is None and not conversation.has_begun and job.context.stop_reason is None:
            return None
        return _crashed(job, status) if result is None else result

    def kill(self, job: Job) -> bool:
        """End the job's child at once. A job whose child is still starting is ended as soon as it has one."""
        with self._lock:
            child = self._busy.get(id(job))
            if child is None:
                self._doomed.add(id(job))
        if child is not None:
            child.kill()
        return True

    def close(self) -> None:
        """End every child."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy.values())
        for child in busy + idle:
            child.kill()
        for child in idle:
            self._end(child)
        self._spawner.shutdown(wait=False)
        self._guardian.close()

    def _borrow(self, job: Job) -> _Process:
        child = self._take_idle()
        if child is not None:
            self._give(job, child)
            return child
        try:
            child = self._spawner.submit(self._spawn).result()
        except RuntimeError:
            raise ChildFailure("the node is ending") from None
        self._journal.add(child.process.pid)
        # Before it has loaded the handlers: should that take for ever, the job's timeout ends it.
        self._give(job, child)
        self._greet(child)
        return child

    def _give(self, job: Job, child: _Process) -> None:
        with self._lock:
            self._busy[id(job)] = child
            is_doomed = id(job) in self._doomed or self._is_closed
        if is_doomed:
            child.kill()

    def _take_idle(self) -> _Process | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                child = self._idle.pop()
            if child.is_alive():
                return child
            # It was ended from outside between two tasks; that is no task's fault.
            self._end(child)

    def _end(self, child: _Process) -> int:
        child.kill()
        status = child.reap()
        self._journal.remove(child.process.pid)
        return status

    def _spawn(self) -> _Process:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise ChildFailure(f"a child process cannot be started: {error}") from None
        self._num_started += 1
        mark = f"{self._mark}{self._num_started}."
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers.executor.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,
                env=os.environ | {MARK: mark},
            )
            self._guardian.watch(process.pid)
        except OSError as error:
            ours.close()
            raise ChildFailure(f"a child process cannot be started: {error}") from None
        finally:
            theirs.close()
        return _Process(process, Pipe(ours, Up), mark)

    def _greet(self, child: _Process) -> None:
        """Have a new child load the handlers."""
        try:
            child.pipe.send(self._setup)
            ready = child.pipe.receive()
        except OSError:
            ready = None
        if isinstance(ready, Ready) and not ready.error:
            return
        status = self._end(child)
        why = ready.error if isinstance(ready, Ready) else f"it ended with {describe_status(status)}"
        raise ChildFailure(f"a child process could not load the handlers: {why}")


class _Guardian:
    """The program that outlives the node (``executor.guardian``). One thread's."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if sys.platform != "linux" or (self._process is not None and self._process.poll() is None):
            return
        try:
            # In isolation: neither the handlers' modules nor the site's are its business.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name != MARK},
                cwd="/",
                text=True,
            )
        except OSError as error:
            logger.warning("no guardian, so what tasks start may outlive a kill of this node: %s", error)

    def watch(self, session: int) -> None:
        """Have the session ended when this process ends."""
        self.start()
        if self._process is not None and self._process.stdin is not None:
            # If it has just been killed, the next child's start makes another.
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{session}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """Let it end: it looks once more for what is left of the run."""
        if self._process is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._process.communicate(timeout=_GUARDIAN_SECONDS)


class _Conversation:
    """What is said between the node and a child over one run."""

    def __init__(self, child: _Process, job: Job) -> None:
        self._pipe = child.pipe
        self._job = job
        self.has_begun = False

    def hold(self) -> TaskResult | None:
        """Have the child run the job; ``None``: the child ended without an answer."""
        job, context = self._job, self._job.context
        run = Run(
            task_id=job.task_id,
            attempt=job.attempt,
            max_attempts=context.max_attempts,
            task_type=job.type.name,
            payload=bytes(job.payload),
            seconds=context.remaining_seconds,
        )
        try:
            self._pipe.send(run)
            context.on_stop(self._pass_on)
            while (message := self._pipe.receive()) is not None:
                if isinstance(message, Done):
                    return msgspec.json.decode(message.result, type=TaskResult)
                self._take_in(message)
        except (OSError, msgspec.DecodeError):
            logger.debug("the child of task %s went away", job.task_id, exc_info=True)
        finally:
            context.on_stop(None)
        return None

    def _take_in(self, message: Up) -> None:
        if isinstance(message, Line):
            self._job.context.write_line(message.level, message.text, ())
        elif isinstance(message, Moved):
            self._job.context.progress(message.fraction, message.message)
        elif isinstance(message, Begun):
            self.has_begun = True

    def _pass_on(self, reason: StopReason) -> None:
        # If the child is gone, the receiving side sees it.
        with contextlib.suppress(OSError):
            self._pipe.send(Stop(self._job.task_id, self._job.attempt, reason))


def _crashed(job: Job, status: int) -> TaskResult:
    """What to report of a job whose child ended without an answer."""
    run_ms = job.run_ms(time.monotonic())
    reason = job.context.stop_reason
    if reason is not None:
        return stopped(job.task_id, job.attempt, reason, run_ms=run_ms)
    result = _failed(job, "ProcessCrashed", f"The process that ran the task ended with {describe_status(status)}.")
    result.outcome = "crashed"
    result.run_ms = run_ms
    return result


def _failed(job: Job, kind: str, message: str) -> TaskResult:
    return TaskResult(
        task_id=job.task_id, attempt=job.attempt, outcome="failed", error=TaskError(type=kind, message=message[:4000])
    )

"""The program of a child process: loads the handlers, then runs one attempt after the other as it is told.

It is started by ``executor.processes`` in a session of its own and does not outlive the node: the kernel kills it when
the node's spawning thread is gone (Linux), and the end of the pipe ends it everywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

import msgspec

from workers.context import Level, TaskContext
from workers.executor.commands import command_types
from workers.executor.pipe import Begun, Done, Down, Line, Moved, Pipe, Ready, Run, Setup, Stop
from workers.executor.threads import AsyncLoop
from workers.invoke import clean_text, invoke
from workers.loading import after_each_task, load_handlers
from workers.registry import TaskType, default_registry

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux; elsewhere a no-op)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def leave_signals_to_the_node() -> None:
    """Do not end by a signal that a service manager or a terminal sends to all processes: the node drains first.

    A handler, where "ignore" would do, because programs that are started inherit the one and not the other.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _do_nothing)
    os.register_at_fork(after_in_child=_take_signals_again)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _take_signals_again() -> None:
    with contextlib.suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, signal.SIG_DFL)


class PipeSink:
    """Sends progress and log lines up the pipe."""

    #: Progress beyond twenty a second is of no use: the node sends four.
    _PAUSE_SECONDS = 0.05

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._next_progress = 0.0
        #: The attempt has ended: what a thread that it left behind still says would go to the next one.
        self.is_closed = False

    def progress(self, _context: TaskContext, fraction: float | None, message: str) -> None:
        """Send it up, unless one went up just before."""
        now = time.monotonic()
        if now >= self._next_progress or fraction == 1.0:
            self._next_progress = now + self._PAUSE_SECONDS
            self._send(Moved(fraction, clean_text(message)))

    def line(self, _context: TaskContext, level: Level, text: str) -> None:
        """Every line goes up."""
        self._send(Line(level, clean_text(text)))

    def _send(self, note: Line | Moved) -> None:
        if not self.is_closed:
            # In a process that the handler forked there is no pipe.
            with contextlib.suppress(OSError):
                self._pipe.send(note)


class Child:
    """The main thread runs handlers; a second one listens for stops."""

    def __init__(self, pipe: Pipe, setup: Setup, types: dict[str, TaskType]) -> None:
        self._pipe = pipe
        self._setup = setup
        self._types = types
        self._async = AsyncLoop()
        self._runs: list[Run] = []
        self._arrived = threading.Condition()
        self._context: TaskContext | None = None
        self._last_stop: Stop | None = None

    def listen(self) -> None:
        """Take messages until the node is gone, then end the process with all that it started."""
        while (message := self._pipe.receive()) is not None:
            with self._arrived:
                if isinstance(message, Run):
                    self._runs.append(message)
                    self._arrived.notify()
                elif isinstance(message, Stop):
                    # It may come before the main thread has taken up the run that it is for.
                    self._last_stop = message
                    self._apply_stop()
        os.killpg(0, signal.SIGKILL)

    def work(self) -> None:
        """Run attempts for ever; ``listen`` ends the process."""
        after = after_each_task()
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: bool(self._runs))
                run = self._runs.pop()
                sink = PipeSink(self._pipe)
                context = TaskContext(run.task_id, run.attempt, run.max_attempts, sink)
                if run.seconds is not None:
                    context.deadline = time.monotonic() + run.seconds
                self._context = context
                self._apply_stop()
            self._pipe.send(Begun())
            result = invoke(
                self._types[run.task_type],
                context,
                run.payload,
                run_async=self._async.run,
                max_result_bytes=self._setup.max_result_bytes,
            )
            sink.is_closed = True
            if after is not None:
                after()
            with self._arrived:
                self._context = None
            self._pipe.send(Done(msgspec.json.encode(result)))

    def _apply_stop(self) -> None:
        stop, context = self._last_stop, self._context
        if (
            stop is not None
            and context is not None
            and (stop.task_id, stop.attempt) == (context.task_id, context.attempt)
        ):
            context.request_stop(stop.reason)


def main(descriptor: int) -> None:
    """Run as a child; ``descriptor`` is this end of the socket pair."""
    die_with_parent()
    leave_signals_to_the_node()
    pipe = Pipe(socket.socket(fileno=descriptor), Down)
    # A process that a handler forks must neither speak for this one nor hide its end from the node.
    os.register_at_fork(after_in_child=pipe.close)
    setup: Setup | None = pipe.receive()
    # The node may have gone before the kernel was told what to do then.
    if setup is None or (sys.platform == "linux" and os.getppid() != setup.node_pid):
        return
    try:
        load_handlers(setup.imports)
        types = default_registry.types | command_types(setup.commands, setup.command_dir)
    except Exception as error:  # noqa: BLE001 - the node is told, whatever it is
        pipe.send(Ready(f"{type(error).__name__}: {error}"))
        return
    child = Child(pipe, setup, types)
    threading.Thread(target=child.listen, name="pipe", daemon=True).start()
    pipe.send(Ready())
    child.work()


if __name__ == "__main__":
    main(int(sys.argv[1]))

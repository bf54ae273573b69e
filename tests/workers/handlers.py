"""Handlers for the tests of the node; they wait on files, so that a test decides when they go on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

from workers import Fail, Retry, TaskContext, task


@task(name="t.double")
def double(n: int) -> int:
    """Twice the number."""
    return 2 * n


@task(name="t.mark")
def mark(file: str) -> None:
    """Append a line to a file: shows how often it ran."""
    with Path(file).open("a") as out:
        out.write(f"{os.getpid()}\n")


def wait_for_file(file: str, context: TaskContext | None = None) -> None:
    pause = threading.Event()
    while not Path(file).exists():
        if context is not None:
            context.check_cancelled()
        pause.wait(0.01)


@task(name="t.wait")
def wait(context: TaskContext, file: str) -> str:
    """Run until the file exists; stops when asked."""
    wait_for_file(file, context)
    return "done"


@task(name="t.stubborn")
def stubborn(file: str) -> str:
    """Run until the file exists, whatever is asked."""
    wait_for_file(file)
    return "done"


@task(name="t.polite")
def polite(context: TaskContext, file: str) -> str | None:
    """Notice a stop and return early, without an error."""
    pause = threading.Event()
    while not Path(file).exists():
        if context.cancelled:
            return "half"
        pause.wait(0.01)
    return "done"


@task(name="t.process_wait", executor="process")
def process_wait(context: TaskContext, file: str, started: str = "") -> int:
    """The same in a child process; tells its number in ``started``."""
    if started:
        Path(started).write_text(str(os.getpid()))
    wait_for_file(file, context)
    return os.getpid()


@task(name="t.process_stubborn", executor="process")
def process_stubborn(file: str, started: str = "", grandchild: str = "", leaves: bool = False) -> int:
    """A child process that does not listen, with a child of its own if ``grandchild`` names a file for its number.

    ``leaves``: that one leads a session of its own.
    """
    if grandchild:
        other = subprocess.Popen(
            [sys.executable, "-c", "import threading; threading.Event().wait(300)"], start_new_session=leaves
        )
        Path(grandchild).write_text(str(other.pid))
    if started:
        Path(started).write_text(str(os.getpid()))
    wait_for_file(file)
    return os.getpid()


@task(name="t.starts")
def starts(file: str) -> None:
    """In a thread of the node, start a process in a session of its own that goes on after the task."""
    other = subprocess.Popen(
        [sys.executable, "-c", "import threading; threading.Event().wait(300)"], start_new_session=True
    )
    Path(file).write_text(str(other.pid))


@task(name="t.process_holds_gil", executor="process")
def process_holds_gil(started: str) -> None:
    """Sleep in C without letting any other thread of the child run."""
    Path(started).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(120)


@task(name="t.process_talk", executor="process")
def process_talk(context: TaskContext, n: int) -> int:
    """Log lines and progress from a child process."""
    context.log.info("line %d of %s", 1, "it")
    context.progress(0.5, "half")
    context.log.error("line 2")
    sys.stdout.write("to the node's log\n")
    return n


@task(name="t.talk")
def talk(context: TaskContext, lines: int) -> int:
    """Log lines and progress."""
    for number in range(lines):
        context.log.info("line %d", number + 1)
    context.progress(1.0, "all said")
    return lines


@task(name="t.exit", executor="process")
def leave(status: int) -> None:
    """End the child process with an exit status."""
    os._exit(status)


@task(name="t.segv", executor="process")
def segv() -> None:
    """End the child process by a signal."""
    os.kill(os.getpid(), signal.SIGSEGV)


@task(name="t.process_odd", executor="process")
def process_odd(context: TaskContext) -> str:
    """Say what is no plain float and no sound text."""
    context.progress(Decimal("0.5"), 7)  # type: ignore[arg-type]
    context.log.info("half a \ud800 surrogate")
    return "done"


def fork(file: str) -> str:
    """Fork a copy that exits as scripts do, and return after it has: a copy must not report in this one's name."""
    copy = os.fork()
    if copy == 0:
        sys.exit(7)
    Path(file).write_text(str(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])))
    return "parent"


task(name="t.fork")(fork)


@task(name="t.process_fork", executor="process")
def process_fork(file: str) -> str:
    """The same in a child process."""
    return fork(file)


@task(name="t.process_fork_crash", executor="process")
def process_fork_crash() -> None:
    """Crash while a forked copy lives on."""
    if os.fork() == 0:
        threading.Event().wait(60)
    os.kill(os.getpid(), signal.SIGSEGV)


@task(name="t.process_voice", executor="process")
def process_voice(context: TaskContext) -> None:
    """Leave a thread behind that goes on talking."""

    def talk_on() -> None:
        pause = threading.Event()
        for _ in range(500):
            context.log.info("still here")
            context.progress(0.1, "still here")
            pause.wait(0.01)

    threading.Thread(target=talk_on, daemon=True).start()


@task(name="t.fail")
def fail(how: str) -> None:
    """Fail in one of several ways."""
    errors: dict[str, BaseException] = {
        "value": ValueError("no good \x00 \udcff"),
        "retry": Retry("later", after=12.5),
        "fail": Fail("never"),
        "exit": SystemExit(3),
        "long": ValueError("x" * 100_000),
    }
    raise errors[how]


@task(name="t.async")
async def slow_double(context: TaskContext, n: int, seconds: float = 0.0) -> dict[str, Any]:
    """Twice the number, later."""
    await asyncio.sleep(seconds)
    return {"n": 2 * n, "attempt": context.attempt}


@task(name="t.result")
def result(kind: str) -> Any:
    """Results that are hard to send."""
    return {"big": "x" * 600_000, "set": {1}, "object": object(), "nul": ["a\0b"], "surrogate": {"\udcff": "\udcff"}}[
        kind
    ]


@task(name="t.token")
def token() -> str | None:
    """The node's token, as far as a handler can see it."""
    return os.environ.get("TASKDIST_TOKEN")

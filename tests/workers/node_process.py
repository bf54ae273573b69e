"""A real node program in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.signed import SignedClient
from workers.protocol import PushItem, PushTask, TaskResult

REPOSITORY = Path(__file__).parents[2]
TOKEN = "tdn_a-credential-of-the-tests"


def node_environment(**changes: str) -> dict[str, str]:
    """The environment of a node: nothing of the test run's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TASKDIST_", "DJANGO_", "PYTEST_"))}
    return kept | {"TASKDIST_TOKEN": TOKEN} | changes


class NodeProcess:
    """``python -m workers`` with the handlers of the tests; use it as a context manager."""

    def __init__(
        self,
        dispatcher: DispatcherDouble,
        state_dir: Path,
        *options: str,
        imports: tuple[str, ...] = ("tests.workers.handlers",),
        name: str = "tester",
        environment: dict[str, str] | None = None,
        cwd: Path = REPOSITORY,
    ) -> None:
        self.dispatcher = dispatcher
        num_before = len(dispatcher.registers)
        arguments = [sys.executable, "-m", "workers", "--dispatcher", dispatcher.url, "--name", name,
                     "--state-dir", str(state_dir), *options]  # fmt: skip
        for module in imports:
            arguments += ["--import", module]
        self.log_path = state_dir.parent / f"{state_dir.name}-{num_before}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                arguments,
                stderr=log,
                stdout=log,
                cwd=cwd,
                env={"PYTHONPATH": str(REPOSITORY)} | node_environment(**(environment or {})),
            )
        try:
            self.register = dispatcher.wait_for(
                lambda: dispatcher.registers[num_before:] or self.process.poll() is not None, "a registration", 60
            )
        except AssertionError:
            self.process.kill()
            raise
        if not dispatcher.registers[num_before:]:
            raise AssertionError(f"the node ended with {self.process.wait()}: {self.log()}")
        self.register = dispatcher.registers[-1]
        self.client = SignedClient(self.register.url, boot_id=self.register.boot_id)
        self._wait_until_it_knows()

    def _wait_until_it_knows(self) -> None:
        # Between the double's answer and the node's reading of it, the node has no key yet and says 503.
        pause = threading.Event()
        for _ in range(2000):
            self.client.send("GET", "/status")
            if self.client.last == 200:
                return
            pause.wait(0.01)
        raise AssertionError(f"the node stayed at {self.client.last}: {self.log()}")

    def run(self, task: PushTask, seconds: float = 30.0) -> TaskResult:
        """Push one task; its result, from the answer or from a report."""
        (item,) = self.client.push(task)
        return item.result if item.result is not None else self.dispatcher.result_of(task.task_id, seconds)

    def await_running(self, *tasks: PushTask) -> None:
        """Wait until slots have taken the tasks up."""
        wanted = {task.task_id for task in tasks}
        pause = threading.Event()
        for _ in range(2000):
            if wanted <= {held.task_id for held in self.client.status().held if held.running}:
                return
            pause.wait(0.01)
        raise AssertionError(f"{wanted} do not all run: {self.client.status().held}")

    def run_inline(self, make: Callable[[], PushTask]) -> tuple[PushTask, PushItem]:
        """Push tasks until one comes back within the answer itself, which on a busy machine takes a few."""
        for _ in range(200):
            task = make()
            (item,) = self.client.push(task)
            if item.status == "done":
                return task, item
            assert item.status == "accepted"
            self.dispatcher.result_of(task.task_id)
        raise AssertionError("no task came back in the answer")

    @property
    def boot_id(self) -> str:
        return self.register.boot_id

    def log(self) -> str:
        return self.log_path.read_text()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = 60.0) -> int:
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.kill()
        if kind is not None:
            sys.stderr.write(self.log())

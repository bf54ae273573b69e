"""A whole installation in processes of its own, as `make run` starts it, in a folder and on a port of its own."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.architecture.sources import ROOT
from tests.launch.programs import eventually, is_running

PASSWORD = re.compile(r"log in as {2}admin {2}with the password {2}(\S+)")


#: The name of all workers' guardians: each worker that lives has one, and it ends shortly after its worker.
GUARDIAN = "guardian"


class Installation:
    """`manage.py up` and what belongs to it. `database_url` is "" for SQLite."""

    def __init__(self, var: Path, *, database_url: str = "", **settings: str) -> None:
        self.var = var
        self.port = free_port()
        self.console = var.with_name(f"{var.name}.console")
        self._process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
        self.environment = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "taskdist_site.settings",
            "TASKDIST_VAR": str(var),
            "TASKDIST_DATABASE_URL": database_url,
            "TASKDIST_PORT": str(self.port),
            **settings,
        }

    @property
    def url(self) -> str:
        """Where the web tier answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is also its group's."""
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it and return when it says that it runs."""
        with self.console.open("ab") as output:
            begin = output.tell()
            process = self._process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        running = eventually(lambda: "is running at" in self.said(begin) or process.poll() is not None, seconds=120)
        assert running, self.said()
        assert process.poll() is None, self.said()

    def said(self, begin: int = 0) -> str:
        """What it has printed, from a position on."""
        return self.console.read_bytes()[begin:].decode()

    def password(self) -> str:
        """The first admin's password, as printed."""
        found = PASSWORD.search(self.said())
        assert found, self.said()
        return found.group(1)

    def manage(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of the project's commands against it."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )

    def doctor(self) -> dict[str, list[dict[str, Any]]]:
        """What the doctor finds, by name."""
        by_name: dict[str, list[dict[str, Any]]] = {}
        for finding in json.loads(self.manage("doctor", "--json", check=False).stdout)["findings"]:
            by_name.setdefault(finding["name"], []).append(finding)
        return by_name

    def processes(self) -> dict[str, int]:
        """The ids of its running processes, by program, found by the folder in their environment."""
        found: dict[str, int] = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid() or not is_running(int(folder.name)):
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if f"TASKDIST_VAR={self.var}".encode() in environment:
                found[f"{_program(command)}"] = int(folder.name)
        return found

    def programs(self) -> set[str]:
        """The names of its running programs, without the workers' guardians, which come and go with them."""
        return self.processes().keys() - {GUARDIAN}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to its group as a terminal or `make` does, and return its exit status."""
        assert self._process is not None
        os.killpg(self._process.pid, number)
        return self._process.wait(60)

    def kill_remains(self) -> None:
        """End whatever a failed test has left, and what that has just started."""

        def all_are_gone() -> bool:
            pids = self.processes().values()
            for pid in pids:
                # The keeper ends them as well, as soon as the supervisor is gone.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        assert eventually(all_are_gone), self.processes()
        if self._process is not None:
            self._process.wait(20)


@contextmanager
def installation(var: Path, **settings: str) -> Iterator[Installation]:
    """Yield an installation that is not started yet, and leave no process of it."""
    made = Installation(var, **settings)
    try:
        yield made
    finally:
        made.kill_remains()


# Below those that Linux gives to outgoing connections and to whoever asks for any port (from 32768 on): a port of
# that range may be taken between the moment when it was found free and the moment when a process listens on it.
OWN_PORTS = range(20_000, 32_768)


def free_port() -> int:
    """Return a port that nobody listens on now, and that nobody is given by chance."""
    # Not from the seeded generator of the test: runs side by side must not go through the same numbers.
    for port in random.SystemRandom().sample(OWN_PORTS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("none of a hundred ports is free")


def _program(command: list[str]) -> str:
    if "--name" in command:
        return command[command.index("--name") + 1]
    for word, name in (("daphne", "web"), ("engine", "engine"), ("up", "up"), ("dispatcher.launch.keeper", "keeper")):
        if word in command:
            return name
    if any(word.endswith("/guardian.py") for word in command):
        return GUARDIAN
    return " ".join(command)

"""A real web tier for requests that no client library would send."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.architecture.sources import ROOT
from tests.launch.installation import free_port
from tests.launch.programs import eventually


class Daphne:
    """Answers at ``port``; there is a database without tables behind it, for what is refused before one is asked."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def send(self, *parts: bytes, seconds: float = 10.0) -> bytes:
        """All that comes back for these bytes until the server hangs up."""
        return b"".join(self._received(parts, seconds))

    def status(self, *parts: bytes) -> int:
        """The status of the answer, whether or not the server hangs up; 0 if it did without a word."""
        answer = next(self._received(parts, 10.0), b"")
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def _received(self, parts: tuple[bytes, ...], seconds: float) -> Iterator[bytes]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as peer:
            # Of a long body only as much as the server takes.
            with suppress(OSError):
                for part in parts:
                    peer.sendall(part)
            yield from iter(lambda: peer.recv(65536), b"")


@contextmanager
def daphne(var: Path) -> Iterator[Daphne]:
    """One for a few tests; its log is beside ``var``."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
    environment = {**kept, "TASKDIST_VAR": str(var), "DJANGO_SETTINGS_MODULE": "taskdist_site.settings"}
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "taskdist_site.asgi:application"]
    with (var.parent / "daphne.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return process.poll() is not None
            return True

        assert eventually(answers)
        assert process.poll() is None, (var.parent / "daphne.log").read_text()
        yield Daphne(port, process.pid)
    finally:
        process.terminate()
        process.wait(20)

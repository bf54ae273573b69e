"""A whole installation for the time of a measurement: ``manage.py up`` with its web tier, engine and worker nodes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_SECONDS = 60.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Installation:
    """Alive between ``__enter__`` and ``__exit__``. The environment names its folder and database."""

    def __init__(self, *, port: int, workers: int, slots: int) -> None:
        self._port, self._workers, self._slots = port, workers, slots
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = threading.Event()

    def __enter__(self) -> Self:
        command = [sys.executable, "manage.py", "up", "--port", str(self._port)]
        command += ["--workers", str(self._workers), "--slots", str(self._slots)]
        with (Path(os.environ["TASKDIST_VAR"]) / "up.txt").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._await_nodes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def client(self, token: str) -> ApiClient:
        """A client of the REST API with one kept-alive connection."""
        return ApiClient(self._port, token)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time used so far by the web tier, the engine and the workers."""
        found = {"web": 0.0, "engine": 0.0, "workers": 0.0}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and (kind := self._kind(folder)):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                found[kind] += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
        return found

    def _kind(self, folder: Path) -> str:
        try:
            command = (folder / "cmdline").read_bytes()
            var = f"TASKDIST_VAR={os.environ['TASKDIST_VAR']}\0".encode()
            if var not in (folder / "environ").read_bytes() + b"\0":
                return ""
        except OSError:
            return ""
        marks = {b"daphne": "web", b"engine": "engine", b"workers": "workers"}
        return next((kind for mark, kind in marks.items() if mark in command and b"up\0" not in command), "")

    def _await_nodes(self) -> None:
        from dispatcher.models import Node
        from dispatcher.states import NodeState

        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if Node.objects.filter(state=NodeState.ONLINE).count() == self._workers:
                    return
            except Exception:  # noqa: S110 - the tables are not there yet
                pass
            self._pause.wait(0.1)
        raise SystemExit((Path(os.environ["TASKDIST_VAR"]) / "up.txt").read_text())


class ApiClient:
    """Requests with a token over one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: bytes) -> Any:
        """POST JSON; the decoded answer. ``SystemExit`` with the answer's text if it is an error."""
        self._connection.request("POST", path, body=body, headers=self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{path}: {response.status} {answer[:500]!r}")
        return json.loads(answer)

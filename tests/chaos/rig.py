"""A whole installation to break: web, engines, worker nodes, a proxy for every direction, a database."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from tests.architecture.sources import ROOT
from tests.chaos import records
from tests.chaos.journal import Journal
from tests.chaos.keeper import Keeper
from tests.chaos.proxy import Proxy, ProxyLoop
from tests.launch.installation import free_port
from tests.postgres_server import PostgresServer

#: Timings at which a run of minutes shows what takes a day otherwise. Seconds.
TEST_PROFILE = {
    "TASKDIST_HEARTBEAT_SECONDS": "0.5",
    "TASKDIST_SUSPECT_AFTER_SECONDS": "1.5",
    "TASKDIST_LEASE_SECONDS": "3",
    "TASKDIST_SWEEP_SECONDS": "0.5",
    "TASKDIST_POLL_SECONDS": "1",
    "TASKDIST_PUSH_TIMEOUT_SECONDS": "3",
    "TASKDIST_CONNECT_TIMEOUT_SECONDS": "1",
    "TASKDIST_ATTEMPT_GRACE_SECONDS": "15",
}
LEASE_SECONDS = 3.0
TICK_SECONDS = 0.02
START_SECONDS = 180.0


class Rig:
    """Alive between ``with`` and its end. Use it from one thread; ``wait`` lets time pass."""

    def __init__(
        self, folder: Path, *, postgres: bool, workers: int = 5, slots: int = 4, settings: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.slots = slots
        self.is_postgres = postgres
        (folder / "log").mkdir(parents=True)
        self.nodes = [f"w{number}" for number in range(1, workers + 1)]
        # Two engines at a time are for PostgreSQL; with SQLite one does it all.
        self.engines = ["engine-1", "engine-2"] if postgres else ["engine-1"]
        self.journal = Journal(folder / "rig.jsonl")
        self.keeper = Keeper(folder, self.journal, secrets.token_hex(8))
        self.server = PostgresServer(durable=True) if postgres else None
        self._loop: ProxyLoop | None = None
        self.proxies: dict[str, Proxy] = {}
        self.web_port = free_port()
        self.token = ""
        #: The nodes' own credentials, by name.
        self.tokens: dict[str, str] = {}
        self._pause = threading.Event()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
        self.environment = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "taskdist_site.settings",
            "PYTHONUNBUFFERED": "1",
            "TASKDIST_VAR": str(folder / "var"),
            "TASKDIST_DATABASE_URL": "",
            "CHAOS_JOURNALS": str(folder),
            **TEST_PROFILE,
            **(settings or {}),
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        if self.server is not None:
            self.server.start()
            self.environment["TASKDIST_DATABASE_URL"] = self.server.url
        self.manage("migrate", "--verbosity", "0")
        self.manage(
            "createsuperuser",
            "--noinput",
            "--username",
            "admin",
            "--email",
            "",
            DJANGO_SUPERUSER_PASSWORD=secrets.token_hex(12),
        )
        self.token = self.manage("api_token", "create", "admin")
        with ThreadPoolExecutor(2) as pool:
            made = pool.map(lambda name: self.manage("node_token", "create", name), self.nodes)
            self.tokens = dict(zip(self.nodes, made, strict=True))
        self._loop = ProxyLoop()
        self._add_proxy("client", self.web_port)
        web = ["-m", "daphne", "--bind", "127.0.0.1", "--port", str(self.web_port), "--verbosity", "0"]
        self.keeper.add("web", [sys.executable, *web, "taskdist_site.asgi:application"], self.environment)
        for name in self.engines:
            self.keeper.add(name, [sys.executable, "manage.py", "engine"], self.environment)
        for name, token in self.tokens.items():
            self._add_worker(name, token)
        if not self.wait_until(self.is_up, seconds=START_SECONDS):
            raise RuntimeError(f"the rig did not start; its logs are in {self.folder / 'log'}")

    def _add_proxy(self, name: str, target: int) -> Proxy:
        assert self._loop is not None
        proxy = self.proxies[name] = Proxy(self._loop, name, free_port(), target)
        proxy.start()
        return proxy

    def _add_worker(self, name: str, token: str) -> None:
        port = free_port()
        to_node = self._add_proxy(f"to-{name}", port)
        from_node = self._add_proxy(f"from-{name}", self.web_port)
        secret = {"DJANGO_SETTINGS_MODULE", "TASKDIST_DATABASE_URL", "TASKDIST_SECRET_KEY"}
        seen = {key: value for key, value in self.environment.items() if key not in secret}
        options = [
            "--dispatcher", f"http://127.0.0.1:{from_node.port}", "--name", name, "--slots", str(self.slots),
            "--port", str(port), "--advertise-url", f"http://127.0.0.1:{to_node.port}",
            "--state-dir", str(self.folder / "nodes" / name), "--import", "tests.chaos.handlers",
            "--label", f"at={name}",
        ]  # fmt: skip
        self.keeper.add(
            name,
            [sys.executable, "-m", "workers", *options],
            {**seen, "TASKDIST_TOKEN": token, "CHAOS_NODE": name},
        )

    def is_up(self) -> bool:
        """Whether the web tier answers and says that all nodes are online."""
        try:
            nodes = self.ask("/api/v1/nodes")["nodes"]
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False
        return sum(node["state"] == "online" for node in nodes) == len(self.nodes)

    def manage(self, *words: str, **more: str) -> str:
        """Run one of the project's commands against it; what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env={**self.environment, **more},
            capture_output=True, text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"manage.py {words[0]}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def ask(self, path: str, body: Any = None, *, timeout: float = 5.0) -> Any:
        """GET, or POST where there is a body, straight at the web tier; the decoded answer. ValueError if not 2xx."""
        status, answer = self._exchange(path, self.token, body, timeout)
        if status >= 300:
            raise ValueError(f"{path}: {status} {json.dumps(answer)[:300]}")
        return answer

    def post(self, path: str, token: str, body: Any, *, timeout: float = 20.0) -> tuple[int, Any]:
        """POST with another credential than the rig's; (status, decoded answer)."""
        return self._exchange(path, token, body, timeout)

    def _exchange(self, path: str, token: str, body: Any, timeout: float) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=timeout)
        try:
            connection.request(
                "GET" if body is None else "POST", path, body=None if body is None else json.dumps(body),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )  # fmt: skip
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def tick(self) -> None:
        """Let a moment pass; what has died is started again."""
        self.keeper.tick()
        self._pause.wait(TICK_SECONDS)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.wait_until(lambda: False, seconds=seconds)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Let time pass until the condition holds; False if it did not within the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.tick()
            if condition():
                return True
        return condition()

    def heal(self) -> None:
        """Every process runs or is about to, every network is good."""
        for proxy in self.proxies.values():
            proxy.set_mode("pass")
        if self.server is not None and not self.server.is_running:
            self.server.revive()
        for name, kept in self.keeper.programs.items():
            kept.start_at = min(kept.start_at, time.monotonic())
            self.keeper.send(name, 18)

    def read(self) -> records.Records:
        """What the database says."""
        return records.read(self.database)

    @property
    def database(self) -> str:
        """PostgreSQL's URL, or the path of the SQLite file."""
        return self.server.url if self.server is not None else str(self.folder / "var" / "taskdist.sqlite3")

    def close(self) -> None:
        """Kill everything."""
        try:
            self.keeper.close()
        finally:
            if self._loop is not None:
                self._loop.close()
            if self.server is not None:
                self.server.stop()

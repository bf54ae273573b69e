"""The tutorial worker of docs/examples, as its own process, against the tutorial's four routes."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.launch.installation import free_port
from tests.workers.node_process import REPOSITORY, node_environment

pytestmark = pytest.mark.e2e

EXAMPLE = REPOSITORY / "docs" / "examples" / "tutorial_worker.py"
IN_NODE = EXAMPLE.with_suffix(".js")
NODE = shutil.which("node")
#: The one in Node.js takes part where Node.js and Express (`npm install` beside it) are there.
EXAMPLES = [EXAMPLE, *([IN_NODE] if NODE and (EXAMPLE.parent / "node_modules" / "express").is_dir() else [])]


class SeedDouble:
    """Answers ``/register``, ``/heartbeat`` and ``/result``; ``refuse`` are statuses to give first, per path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse: dict[str, list[int]] = {}
        self.changed = threading.Condition()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = double.take_in(self.path, self.headers["Authorization"], body)
                data = json.dumps({"nodeId": body["nodeId"]} if status == 200 else {"status": status}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take_in(self, path: str, token: str, body: dict[str, Any]) -> int:
        with self.changed:
            status = self.refuse[path].pop(0) if self.refuse.get(path) else 200
            self.received.append((path, token, body))
            self.changed.notify_all()
            return status

    def wait_for(self, look: Callable[[], list[Any]], seconds: float = 30.0) -> list[Any]:
        with self.changed:
            assert self.changed.wait_for(look, seconds), self.received
            return look()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, _, body in self.received if where == path]


@pytest.fixture
def seed() -> Iterator[SeedDouble]:
    double = SeedDouble()
    yield double
    double.server.shutdown()
    double.server.server_close()


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.suffix[1:])
def example(request: pytest.FixtureRequest) -> Path:
    """Each example that can run here."""
    return Path(request.param)


@pytest.fixture
def worker(seed: SeedDouble, example: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """The example's process; a test's parameter is what its first registrations are answered."""
    seed.refuse["/register"] = list(getattr(request, "param", []))
    address = f"127.0.0.1:{seed.port}"
    if example == EXAMPLE:
        program = [sys.executable, str(example)]
    else:
        program, address = [str(NODE), str(example)], f"http://{address}"
    port = free_port()
    process = subprocess.Popen(
        [*program, "counter", str(port), address],
        env=node_environment(TASKDIST_TOKEN="tdn_of-the-counter"),
        stderr=subprocess.DEVNULL,
    )
    try:
        seed.wait_for(lambda: seed.bodies("/register"))
        yield port
    finally:
        process.kill()
        process.wait()


def push(port: int, task: dict[str, Any]) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("POST", "/task", json.dumps(task), {"Content-Type": "application/json"})
    status = link.getresponse().status
    link.close()
    return status


def test_it_is_short_and_needs_nothing_but_python() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) <= 40
    names = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert names <= sys.stdlib_module_names


def test_it_registers_and_finishes_tasks(seed: SeedDouble, worker: int) -> None:
    assert seed.bodies("/register")[0] == {"nodeId": "counter", "url": f"http://127.0.0.1:{worker}", "types": ["task"]}
    task = {"taskId": "12", "payload": {"text": "one two three"}, "type": "task", "attempt": 1}
    assert 200 <= push(worker, task) < 300
    (result,) = seed.wait_for(lambda: seed.bodies("/result"))
    assert result == {"nodeId": "counter", "taskId": "12", "result": {"words": 3}}
    assert {token for _, token, _ in seed.received} == {"Bearer tdn_of-the-counter"}


def test_it_reports_its_errors(seed: SeedDouble, worker: int) -> None:
    push(worker, {"taskId": "13", "payload": None})
    (result,) = seed.wait_for(lambda: seed.bodies("/result"))
    assert result["taskId"] == "13"
    assert "TypeError" in json.dumps(result["error"])


def test_its_result_outlives_a_restart_of_the_dispatcher(seed: SeedDouble, worker: int) -> None:
    seed.refuse["/result"] = [503]
    push(worker, {"taskId": "14", "payload": {"text": "a"}})
    results = seed.wait_for(lambda: seed.bodies("/result")[1:])
    assert results[0]["taskId"] == "14"


@pytest.mark.parametrize("worker", [[409]], indirect=True)
def test_it_registers_until_the_dispatcher_knows_it(seed: SeedDouble, worker: int) -> None:
    seed.wait_for(lambda: seed.bodies("/register")[1:])
    assert seed.bodies("/heartbeat") == []


def test_the_example_in_node_is_complete() -> None:
    package = json.loads((EXAMPLE.parent / "package.json").read_text())
    assert list(package["dependencies"]) == ["express"]
    assert IN_NODE.is_file()

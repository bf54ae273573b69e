"""A recording stand-in for the dispatcher: real HTTP for what a node sends, answers that a test can script."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import msgspec

from workers import protocol
from workers.protocol import Heartbeat, Register, Report, TaskResult

PUSH_KEY = "a-push-key-of-the-tests-" + "k" * 20
Found = TypeVar("Found")
#: (status, message or raw body) in place of the usual answer; None: the usual one.
Script = Callable[[str, bytes], tuple[int, Any] | None]


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A node that is killed in the middle of a request is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class DispatcherDouble:
    """Listens on a free port of the loopback; everything received is kept, in order.

    ``wire`` is the version of the contract that it reads and writes, as a module.
    """

    def __init__(self, *, heartbeat_seconds: float = 0.2, wire: Any = protocol) -> None:
        self.wire = wire
        self.registers: list[Register] = []
        self.heartbeats: list[Heartbeat] = []
        self.reports: list[Report] = []
        self.tokens: list[str] = []
        self.heartbeat_reply = wire.HeartbeatReply(heartbeat_seconds=heartbeat_seconds)
        self.report_reply = wire.ReportReply()
        self.credential: str | None = None
        self.verdict = "recorded"
        self.script: Script = lambda path, body: None
        self._changed = threading.Condition()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def results(self) -> list[TaskResult]:
        return [result for report in self.reports for result in report.results]

    def wait_for(self, look: Callable[[], Found], what: str, seconds: float = 30.0) -> Found:
        """Wait until ``look()`` is true, looked at whenever something was received; its value."""
        with self._changed:
            if not self._changed.wait_for(look, seconds):
                raise AssertionError(f"{what} did not come within {seconds} s; results: {self.results}")
            return look()

    def result_of(self, task_id: str, seconds: float = 30.0) -> TaskResult:
        """Wait for the reported result of a task."""
        found = self.wait_for(
            lambda: [r for r in self.results if r.task_id == task_id], f"a result of {task_id}", seconds
        )
        return found[-1]

    def _answer(self, path: str, body: bytes, token: str) -> tuple[int, Any]:
        with self._changed:
            self.tokens.append(token)
            scripted = self.script(path, body)
            if scripted is not None:
                self._changed.notify_all()
                return scripted
            reply = self._usual(path, body)
            self._changed.notify_all()
            return 200, reply

    def _usual(self, path: str, body: bytes) -> Any:
        wire = self.wire
        if path.endswith("/register"):
            self.registers.append(msgspec.json.decode(body, type=wire.Register))
            return wire.Registered(
                node_id=7, name=self.registers[-1].name, push_key=PUSH_KEY, credential=self.credential,
                heartbeat_seconds=self.heartbeat_reply.heartbeat_seconds, lease_seconds=30.0,
            )  # fmt: skip
        if path.endswith("/heartbeat"):
            self.heartbeats.append(msgspec.json.decode(body, type=wire.Heartbeat))
            return self.heartbeat_reply
        self.reports.append(msgspec.json.decode(body, type=wire.Report))
        verdicts = [
            wire.Verdict(task_id=result.task_id, attempt=result.attempt, verdict=self.verdict)
            for result in self.reports[-1].results
        ]
        return msgspec.structs.replace(self.report_reply, verdicts=verdicts)

    def _handler(double) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # The node was killed in the middle of it.
                    self.close_connection = True
                    return
                status, message = double._answer(self.path, body, self.headers.get("Authorization", ""))
                data = message if isinstance(message, bytes) else msgspec.json.encode(message)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        return Handler

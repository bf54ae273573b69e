"""Programs that stand where a node should: scripted answers, raw bytes, or a relay that loses what the node says."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: (method, path, body) → (status, headers, body).
Script = Callable[[str, str, bytes], tuple[int, dict[str, str], bytes]]


class NodeDouble:
    """Answers every request as ``script`` says; ``seen`` keeps them: (method, path, headers, body)."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                double.seen.append((self.command, self.path, dict(self.headers), body))
                status, headers, answer = double.script(self.command, self.path, body)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(answer))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815 - the name http.server looks for

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def node_double(script: Script) -> Iterator[NodeDouble]:
    """A double for one test."""
    double = NodeDouble(script)
    yield double
    double.close()


def relayed(url: str, headers: dict[str, str], method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Send a request on to the real node, as it is; its answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


@contextmanager
def raw_node(*parts: bytes, pause: float = 0.0, count: int = 1) -> Iterator[str]:
    """The URL of something that reads a request and sends the bytes, ``pause`` seconds before each, ``count`` times."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(peer: socket.socket) -> None:
        with peer:
            peer.recv(65536)
            try:
                for part in parts * count:
                    if stop.wait(pause):
                        return
                    peer.sendall(part)
                stop.wait(30)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()

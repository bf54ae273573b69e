"""An installation whose web tier has small limits, and raw clients for it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.launch.installation import Installation, installation

LIMITS = {
    "TASKDIST_WEB_THREADS": "3",
    "TASKDIST_WEB_BACKLOG": "4",
    "TASKDIST_WEB_WAIT_SECONDS": "0.3",
    "TASKDIST_MAX_CONNECTIONS_PER_ADDRESS": "60",
    "TASKDIST_HEADER_SECONDS": "2",
    "TASKDIST_MAX_REQUEST_BYTES": "300000",
    "TASKDIST_MAX_BUFFERED_BYTES": "500000",
}


class Reply(NamedTuple):
    """An answer as it came. ``status`` 0: the server hung up without one."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def web_tier(var: Path, database_url: str) -> Iterator[Installation]:
    """Web tier, engine and one worker with ``LIMITS``."""
    with installation(var, database_url=database_url, **LIMITS) as made:
        made.start("--workers", "1")
        yield made


@contextmanager
def opened(port: int, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that have sent ``first`` and stay open."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            if first:
                with suppress(OSError):
                    peer.sendall(first)
            made.append(peer)
        yield made


def head(method: str, path: str, token: str = "", **headers: str) -> bytes:
    """The request line and the headers; names with underscores."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def submit_request(token: str, task_type: str = "demo.noop") -> bytes:
    """A whole request that submits one task."""
    body = json.dumps({"type": task_type}).encode()
    sized = {"Content_Type": "application/json", "Content_Length": str(len(body)), "Connection": "close"}
    return head("POST", "/api/v1/tasks", token, **sized) + body


def ask(port: int, *parts: bytes, seconds: float = 20.0) -> Reply:
    """Send the parts; the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        with suppress(OSError):
            for part in parts:
                peer.sendall(part)
        return reply_of(peer)


def ask_at_once(port: int, request: bytes, count: int) -> list[Reply]:
    """The same request from many connections at the same time."""
    replies: list[Reply] = []
    with opened(port, count) as peers:
        threads = [threading.Thread(target=lambda p=peer: replies.append(_exchange(p, request))) for peer in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    return replies


def reply_of(peer: socket.socket) -> Reply:
    """Read one answer, by its length or to the end."""
    received = b""
    with suppress(OSError):
        while not _is_complete(received) and (part := peer.recv(65536)):
            received += part
    if not received.startswith(b"HTTP/1."):
        return Reply(0, {}, received)
    top, _, body = received.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Reply(int(lines[0].split(" ")[1]), headers, body)


def num_threads(pid: int) -> int:
    """Threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def _exchange(peer: socket.socket, request: bytes) -> Reply:
    with suppress(OSError):
        peer.sendall(request)
    return reply_of(peer)


def _is_complete(received: bytes) -> bool:
    top, separator, body = received.partition(b"\r\n\r\n")
    length = top.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
    return bool(separator) and length.isdigit() and len(body) >= int(length)

"""What the small HTTP server takes and refuses, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from workers import http_server
from workers.http_server import HttpServer, Request, Response


@pytest.fixture
def seen() -> list[Request]:
    return []


@pytest.fixture
def server(seen: list[Request]) -> Iterator[HttpServer]:
    def handle(request: Request) -> Response:
        seen.append(request)
        return Response(200, request.body, {"X-Path": request.path}, is_trusted=request.path == "/trusted")

    running = HttpServer(handle, host="127.0.0.1", port=0, max_body=1000, max_connections=3)
    running.start()
    yield running
    running.close()


def connect(server: HttpServer) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    peer.settimeout(10)
    return peer


def answer(peer: socket.socket) -> tuple[int, bytes]:
    """One answer: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = peer.recv(65536)
        assert part, f"closed after {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += peer.recv(65536)
    return int(head.split()[1]), body


def exchange(server: HttpServer, request: bytes) -> tuple[int, bytes]:
    with connect(server) as peer:
        peer.sendall(request)
        return answer(peer)


def test_a_connection_serves_many_requests(server: HttpServer, seen: list[Request]) -> None:
    with connect(server) as peer:
        for number in range(3):
            peer.sendall(b"POST /x%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" % number)
            assert answer(peer) == (200, b"hi")
    assert [request.path for request in seen] == ["/x0", "/x1", "/x2"]


def test_requests_may_come_in_pieces_and_back_to_back(server: HttpServer) -> None:
    with connect(server) as peer:
        for piece in (b"POST /a HT", b"TP/1.1\r\nContent-Le", b"ngth: 3\r\n\r", b"\na", b"bcGET /b HTTP/1.1\r\n\r\n"):
            peer.sendall(piece)
        data = b""
        while b"X-Path: /b" not in data:
            part = peer.recv(65536)
            assert part
            data += part
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert b"\r\n\r\nabcHTTP/1.1" in data


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /x HTTP/1.1\r\n\r\n", 411),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 411),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST /x HTTP/1.1\r\nX-Taskdist-Signature: a\r\nx-taskdist-signature: b\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415),
        (b"POST /x HTTP/1.1\r\nBad Name: a\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nA: b\x00c\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST http://x/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /\xff HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET /x HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: " + b"a" * 20000, 431),
    ],
)
def test_what_is_no_plain_request_is_refused(
    server: HttpServer, seen: list[Request], request_bytes: bytes, status: int
) -> None:
    assert exchange(server, request_bytes)[0] == status
    assert seen == []


def test_a_body_is_asked_for_when_the_sender_waits(server: HttpServer) -> None:
    with connect(server) as peer:
        peer.sendall(b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"ok")
        assert answer(peer) == (200, b"ok")


@pytest.mark.parametrize("closing", [b"GET /x HTTP/1.0\r\n\r\n", b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_a_connection_is_closed_when_the_peer_wants_it(server: HttpServer, closing: bytes) -> None:
    with connect(server) as peer:
        peer.sendall(closing)
        assert answer(peer)[0] == 200
        assert peer.recv(10) == b""


def test_a_request_that_never_ends_is_dropped(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.2)
    with connect(server) as peer:
        peer.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        assert peer.recv(10) == b""


def test_strangers_cannot_keep_the_dispatcher_out(server: HttpServer) -> None:
    trusted = connect(server)
    trusted.sendall(b"GET /trusted HTTP/1.1\r\n\r\n")
    assert answer(trusted)[0] == 200
    strangers = [connect(server) for _ in range(10)]
    # The oldest strangers were closed for the newer ones; the trusted connection still works, and so does a new one.
    assert strangers[0].recv(10) == b""
    trusted.sendall(b"GET /trusted HTTP/1.1\r\n\r\n")
    assert answer(trusted)[0] == 200
    assert exchange(server, b"GET /x HTTP/1.1\r\n\r\n")[0] == 200
    for peer in [trusted, *strangers]:
        peer.close()


def test_close_lets_a_request_in_progress_be_answered_and_frees_the_port() -> None:
    entered, leave = threading.Event(), threading.Event()

    def handle(request: Request) -> Response:
        if request.path == "/busy":
            entered.set()
            leave.wait(10)
        return Response(200)

    server = HttpServer(handle, host="127.0.0.1", port=0, max_body=10)
    server.start()
    with connect(server) as busy, connect(server) as idle:
        # Who has not been accepted yet is reset.
        idle.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert answer(idle)[0] == 200
        busy.sendall(b"GET /busy HTTP/1.1\r\n\r\n")
        assert entered.wait(10)
        closing = threading.Thread(target=server.close)
        closing.start()
        assert idle.recv(10) == b""
        leave.set()
        assert answer(busy)[0] == 200
        assert busy.recv(10) == b""
        closing.join(10)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_close_does_not_wait_for_ever() -> None:
    entered, leave = threading.Event(), threading.Event()

    def handle(request: Request) -> Response:
        entered.set()
        leave.wait(30)
        return Response(200)

    server = HttpServer(handle, host="127.0.0.1", port=0, max_body=10)
    server.start()
    with connect(server) as busy:
        busy.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert entered.wait(10)
        server.close()
        assert busy.recv(10) == b""
        leave.set()


def test_a_request_whose_sender_has_hung_up_is_not_carried_out(seen: list[Request]) -> None:
    def handle(request: Request) -> Response:
        seen.append(request)
        return Response(200, b"")

    # Not started yet: it lies in the kernel, as with a node that is frozen.
    server = HttpServer(handle, host="127.0.0.1", port=0, max_body=1000)
    with connect(server) as gone:
        gone.sendall(b"POST /late HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
    with connect(server) as waiting:
        waiting.sendall(b"POST /in-time HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
        server.start()
        assert answer(waiting)[0] == 200
    server.close()
    assert [request.path for request in seen] == ["/in-time"]

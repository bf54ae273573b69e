"""A22, A27, A28, A33, A45: requests as no client library sends them, against a real daphne."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.daphne_process import Daphne, daphne

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

POST = b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
UPGRADE = (
    b"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://127.0.0.1\r\n"
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daphne]:
    folder = tmp_path_factory.mktemp("raw")
    (folder / "var").mkdir(mode=0o700)
    with daphne(folder / "var") as started:
        yield started


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def spooled_by(pid: int) -> int:
    """Bytes in deleted files that a process holds open: where long bodies go."""
    total = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if "(deleted)" in str(descriptor.readlink()):
                total += descriptor.stat().st_size
        except OSError:
            continue
    return total


def test_a27_a_body_in_chunks_is_411_and_never_taken_for_an_empty_one(web: Daphne) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    assert web.status(POST + chunked + b"5\r\nhello\r\n0\r\n\r\n") == 411
    # Before its end, which never comes.
    assert web.status(POST + chunked, b"100000\r\n", b"x" * 0x100000) == 411
    # Routes that also take no body.
    for path in (b"/api/v1/tasks/1/cancel", b"/api/v1/nodes/results", b"/result", b"/login/", b"/admin/login/"):
        head = POST.replace(b"/api/v1/tasks", path)
        assert web.status(head + chunked + b"0\r\n\r\n") == 411


@pytest.mark.parametrize(
    "length",
    [b"-1", b"+2", b"2, 2", b"0x2", b"two", b"2 2", b"2\r\nContent-Length: 3", b"2\r\nContent-Length: 2",
     b"2\r\nTransfer-Encoding: chunked"],
)  # fmt: skip
def test_a28_lengths_that_contradict_themselves_are_refused(web: Daphne, length: bytes) -> None:
    assert web.status(POST + b"Content-Length: " + length + b"\r\n\r\n{}") in (400, 411)


@pytest.mark.parametrize("path", [b"/api/v1/tasks", b"/login/", b"/healthz", b"/nothing"])
def test_a28_too_long_a_body_is_refused_by_its_head_and_kept_nowhere(web: Daphne, path: bytes) -> None:
    before = memory_of(web.pid)
    head = POST.replace(b"/api/v1/tasks", path) + b"Content-Length: 100000000\r\n\r\n"
    answer = web.send(head, *[b"x" * 1_000_000] * 20)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert spooled_by(web.pid) == 0
    assert memory_of(web.pid) - before < 20_000_000


def test_a28_a_body_shorter_than_its_length_is_no_request(web: Daphne) -> None:
    with pytest.raises(TimeoutError):
        web.send(POST + b"Content-Length: 50\r\n\r\n{}", seconds=0.5)
    # And nobody else waits for it.
    assert web.status(GET + b"\r\n") == 200


def test_a28_what_follows_a_body_is_another_request(web: Daphne) -> None:
    answer = web.send(POST.replace(b"Connection: close\r\n", b"") + b"Content-Length: 2\r\n\r\n{}" + GET + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1 200 " in answer


@pytest.mark.parametrize("mark", [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\x00", b"\r"])
def test_a33_no_header_is_smuggled_through_an_upgrade(web: Daphne, mark: bytes) -> None:
    assert web.status(UPGRADE + b"X-A: a" + mark + b"Cookie: taskdist_session=x\r\n\r\n") == 400


def test_a33_names_with_underscores_stand_for_no_other_header(web: Daphne) -> None:
    # As the name of the host it would be refused.
    assert web.status(GET + b"X_Forwarded_Host: evil.example\r\nCONTENT_LENGTH: 5\r\n\r\n") == 200
    answer = web.send(GET.replace(b"Host: 127.0.0.1", b"HTTP_HOST: 127.0.0.1\r\nHost: evil.example") + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "lines", [b"X-A: b\r\n" * 1000, b"X-A: " + b"b" * 100_000 + b"\r\n", b"Host: evil.example\r\n", b"X A: b\r\n"]
)
def test_a33_too_many_too_long_doubled_and_malformed_headers_are_refused(web: Daphne, lines: bytes) -> None:
    assert web.status(GET + lines + b"\r\n") in (0, 400)
    assert web.status(GET + b"\r\n") == 200


def test_a33_a_client_cannot_move_itself_to_another_path(web: Daphne) -> None:
    # A proxy that keeps strangers out of /admin/ would let /elsewhere/admin/ pass.
    request = GET.replace(b"/healthz", b"/elsewhere/healthz")
    assert web.status(request + b"\r\n") == 404
    assert web.status(request + b"Daphne-Root-Path: /elsewhere\r\n\r\n") == 404


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1@evil.example", b"127.0.0.1:80:80", b"127.0.0.1/x", b"127.0.0.1,evil", b"",
             b"127.0.0.1\tevil", b"xn--localhost"],
)  # fmt: skip
def test_a45_a_host_that_is_not_ours_is_refused(web: Daphne, host: bytes) -> None:
    request = b"GET /login/ HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    assert web.status(request) == 400


def test_a45_hosts_and_schemes_that_a_client_says_were_forwarded_are_not_believed(web: Daphne) -> None:
    forwarded = b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\n"
    answer = web.send(GET.replace(b"/healthz", b"/tasks/") + forwarded + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert b"evil.example" not in answer


@pytest.mark.parametrize("method", [b"TRACE", b"TRACK", b"CONNECT", b"DEBUG", b"PROPFIND"])
def test_a56_methods_that_do_nothing_here_are_refused(web: Daphne, method: bytes) -> None:
    for path in (b"/api/v1/tasks", b"/healthz", b"/task"):
        request = GET.replace(b"GET /healthz", method + b" " + path) + b"X-Secret: mirror\r\n\r\n"
        answer = web.send(request)
        assert answer.split(b" ", 2)[1] in (b"400", b"401", b"403", b"405", b"501")
        assert b"mirror" not in answer

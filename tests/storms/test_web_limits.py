"""Attacks A30, A31 and the size half of A50 on a real web tier: slow, many and large requests."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.launch.installation import Installation
from tests.launch.programs import eventually
from tests.storms.web_tier import ask, ask_at_once, head, num_threads, opened, reply_of, submit_request

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("web limits")]

TASKS = "/api/v1/tasks"
#: What the process has besides those that work on requests: the reactor, the hub, the pool, asyncio's executor.
OTHER_THREADS = 24


@contextmanager
def nobody_can_write(limited: Installation) -> Iterator[None]:
    """Writers wait, and give up after their limits."""
    url = limited.environment["TASKDIST_DATABASE_URL"]
    if url:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE dispatcher_task IN EXCLUSIVE MODE")
            yield
            connection.rollback()
        return
    connection = sqlite3.connect(limited.var / "taskdist.sqlite3", isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def is_answering(limited: Installation) -> bool:
    with urllib.request.urlopen(f"{limited.url}/healthz", timeout=10) as answer:
        return bool(answer.status == 200)


class TestSlow:
    """A30."""

    def test_a30_half_open_connections_are_ended_and_keep_nobody_out(self, limited: Installation, token: str) -> None:
        with opened(limited.port, 55, b"GET / HTTP/1.1\r\nHost: x\r\n") as peers:
            # More than there may be from one address: the oldest of those that say nothing go.
            assert eventually(lambda: ask(limited.port, submit_request(token)).status == 201, seconds=20)
            for _ in range(10):
                assert ask(limited.port, submit_request(token)).status == 201
            for peer in peers:
                assert reply_of(peer).status == 0

    def test_a30_headers_that_drip_are_cut_off(self, limited: Installation) -> None:
        with opened(limited.port, 1, b"GET / HTTP/1.1\r\n") as [peer]:
            began = time.monotonic()
            ended = threading.Event()

            def drip() -> None:
                try:
                    while not ended.wait(0.2):
                        peer.sendall(b"a: b\r\n")
                except OSError:
                    ended.set()

            dripping = threading.Thread(target=drip)
            dripping.start()
            assert reply_of(peer).status == 0
            ended.set()
            dripping.join(10)
            assert time.monotonic() - began < 20

    def test_a30_a_body_that_drips_is_cut_off(self, limited: Installation, token: str) -> None:
        sized = head("POST", TASKS, token, Content_Type="application/json", Content_Length="200000")
        with opened(limited.port, 1, sized + b'{"type"') as [peer]:
            assert reply_of(peer).status == 0

    def test_a30_a_connection_is_kept_between_requests(self, limited: Installation) -> None:
        with opened(limited.port, 1) as [peer]:
            pause = threading.Event()
            for _ in range(3):
                peer.sendall(head("GET", "/healthz"))
                assert reply_of(peer).status == 200
                # Longer in all than headers may take.
                pause.wait(1.0)


class TestMany:
    """A31."""

    def test_a31_parallel_requests_have_few_threads_and_the_rest_is_told_to_return(
        self, limited: Installation, token: str
    ) -> None:
        pid = limited.processes()["web"]
        most = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.01):
                most = max(most, num_threads(pid))

        watching = threading.Thread(target=watch)
        watching.start()
        with nobody_can_write(limited):
            began = time.monotonic()
            replies = ask_at_once(limited.port, submit_request(token), 50)
            assert is_answering(limited)
        done.set()
        watching.join(10)
        assert len(replies) == 50
        assert {reply.status for reply in replies} == {503}
        assert all(1 <= int(reply.headers["retry-after"]) <= 3 for reply in replies)
        assert all(json.loads(reply.body)["status"] == 503 for reply in replies)
        assert most <= OTHER_THREADS
        assert time.monotonic() - began < 30
        # Nothing of what was refused was kept.
        assert eventually(lambda: ask(limited.port, submit_request(token)).status == 201)

    def test_a31_connections_too_many_are_told_so(self, limited: Installation, token: str) -> None:
        with opened(limited.port, 100) as peers:
            late = [reply_of(peer) for peer in peers[-30:]]
        # Those that found the address full of young ones were told to return; on a slow machine some were let in for
        # older ones, and ended in silence when they had said nothing in time.
        assert {reply.status for reply in late} <= {0, 503}
        assert all("retry-after" in reply.headers for reply in late if reply.status)
        assert eventually(lambda: ask(limited.port, submit_request(token)).status == 201)

    def test_a31_who_hangs_up_frees_no_place_before_the_work_is_done(self, limited: Installation, token: str) -> None:
        pid = limited.processes()["web"]
        with nobody_can_write(limited):
            for _ in range(5):
                with opened(limited.port, 10, submit_request(token)):
                    pass
            assert num_threads(pid) <= OTHER_THREADS
            assert is_answering(limited)
        assert eventually(lambda: ask(limited.port, submit_request(token)).status == 201)


class TestLarge:
    """A28, A50: by their headers, before they are sent."""

    def test_a50_a_large_body_is_refused_before_it_is_sent(self, limited: Installation, token: str) -> None:
        began = time.monotonic()
        # Nothing of the body follows: only the headers can be answered.
        reply = ask(limited.port, head("POST", TASKS, token, Content_Type="application/json", Content_Length="300001"))
        assert reply.status == 413
        assert json.loads(reply.body)["detail"] == "The body is larger than 300000 bytes."
        assert time.monotonic() - began < 10

    def test_a50_a_large_body_that_is_sent_all_the_same_gets_the_answer(
        self, limited: Installation, token: str
    ) -> None:
        big = head("POST", TASKS, token, Content_Type="application/json", Content_Length="3000000")
        assert ask(limited.port, big, b"x" * 3_000_000).status == 413

    def test_a50_a_body_without_a_length_is_asked_for_it(self, limited: Installation, token: str) -> None:
        chunked = head("POST", TASKS, token, Content_Type="application/json", Transfer_Encoding="chunked")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        assert ask(limited.port, chunked, *[chunk] * 6).status == 411

    def test_a50_many_bodies_at_a_time_are_refused_by_their_headers(self, limited: Installation, token: str) -> None:
        sized = head("POST", TASKS, token, Content_Type="application/json", Content_Length="280000")
        with opened(limited.port, 1, sized + b"{"):
            assert eventually(lambda: ask(limited.port, sized).status == 503, seconds=5)
        # Their bytes are free again when they have gone.
        assert eventually(lambda: ask(limited.port, submit_request(token)).status == 201)
        body = json.dumps({"type": "demo.noop", "payload": "x" * 250_000}).encode()
        fits = head("POST", TASKS, token, Content_Type="application/json", Content_Length=str(len(body)))
        assert eventually(lambda: ask(limited.port, fits, body).status == 201)

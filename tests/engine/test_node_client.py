"""Requests to nodes that mean no good, or are in a bad way: bounded in time and size, whatever they do."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time

import pytest

from dispatcher import addresses
from dispatcher.clients.node_client import Answer, NodeClient, NotDelivered, OutcomeUnknown
from tests.engine.node_double import node_double, raw_node

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(autouse=True)
def short_deadlines(settings: object) -> None:
    settings.TASKDIST = {
        "push_timeout_seconds": 0.5, "connect_timeout_seconds": 0.3, "max_node_answer_bytes": 100_000,
    }  # fmt: skip


def ask(url: str) -> Answer:
    with contextlib.closing(NodeClient(url=url, key="k")) as client:
        return client.get("/status")


def seconds_of(url: str) -> float:
    begin = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        ask(url)
    return time.monotonic() - begin


@pytest.mark.parametrize("parts", [(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (HEAD, b"x")], ids=["head", "body"])
def test_a_node_that_drips_is_cut_off_at_the_deadline(parts: tuple[bytes, ...]) -> None:
    with raw_node(*parts, pause=0.05, count=100) as url:
        assert seconds_of(url) < 1.5


def test_a_node_that_says_nothing_is_cut_off_at_the_deadline() -> None:
    with raw_node() as url:
        assert seconds_of(url) < 1.5


def test_an_endless_answer_is_read_only_up_to_its_bound() -> None:
    with raw_node(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 50_000] * 5) as url, pytest.raises(OutcomeUnknown, match="more"):
        ask(url)


def test_an_answer_after_which_the_node_closes_is_read_to_its_end() -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n"
    with raw_node(head, b"ab", b"cd", pause=0.05) as url:
        assert ask(url).body == b"abcd"


def test_an_answer_is_never_decompressed_and_none_is_asked_for() -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with node_double(lambda *_: (200, {"Content-Encoding": "gzip"}, bomb)) as node:
        assert ask(node.url).body == bomb
        assert node.seen[0][2]["Accept-Encoding"] == "identity"


def test_a_redirect_is_not_followed() -> None:
    with node_double(lambda *_: (307, {"Location": "/elsewhere"}, b"")) as node:
        assert (ask(node.url).status, node.paths) == (307, ["/status"])


def test_a_name_that_takes_long_to_look_up_costs_the_time_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(addresses, "resolve", lambda address: release.wait(20) and "127.0.0.1")
    begin = time.monotonic()
    for _ in range(2):
        with pytest.raises(NotDelivered, match="not resolved in time"):
            ask("http://slow.example")
    assert time.monotonic() - begin < 3
    release.set()


def test_a_name_is_looked_up_at_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "refusal", lambda text: "gone bad")
    with pytest.raises(NotDelivered, match="gone bad"):
        ask("http://localhost:1")

"""Nodes whose clock is wrong by a day: what is sent to them is signed for their time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import msgspec
import pytest

from dispatcher.clients.node_client import NodeClient
from tests.workers.dispatcher_double import PUSH_KEY
from workers.node import Limits, Node
from workers.outbox import Outbox
from workers.protocol import NodeStatus
from workers.server import NodeServer

DAY = 86_400.0


@contextlib.contextmanager
def node_with_clock(tmp_path: object, ahead: float) -> Iterator[str]:
    """The URL of a real node's server whose wall clock is so many seconds ahead."""
    node = Node(name="off", limits=Limits(1, 1), types={}, outbox=Outbox(tmp_path / "outbox"), runners={})
    node.push_keys.replace(PUSH_KEY)
    server = NodeServer(node, host="127.0.0.1", port=0, wall_clock=lambda: time.time() + ahead)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.close()


@pytest.mark.parametrize("ahead", [0.0, 250.0, -250.0, 400.0, -400.0, DAY, -DAY])
def test_a_node_whose_clock_is_wrong_is_understood(tmp_path: object, ahead: float) -> None:
    with node_with_clock(tmp_path, ahead) as url, contextlib.closing(NodeClient(url=url, key=PUSH_KEY)) as client:
        for _ in range(2):
            answer = client.get("/status")
            assert answer.status == 200
            assert msgspec.json.decode(answer.body, type=NodeStatus).name == "off"


@pytest.mark.parametrize("ahead", [0.0, DAY])
def test_a_wrong_key_is_refused_whatever_the_clocks_say(tmp_path: object, ahead: float) -> None:
    with node_with_clock(tmp_path, ahead) as url, contextlib.closing(NodeClient(url=url, key="wrong")) as client:
        assert client.get("/status").status == 401


def test_nothing_is_signed_for_a_time_far_off(tmp_path: object) -> None:
    with node_with_clock(tmp_path, 30 * DAY) as url, contextlib.closing(NodeClient(url=url, key=PUSH_KEY)) as client:
        assert client.get("/status").status == 401
        assert client._ahead == 0.0

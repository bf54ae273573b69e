"""Nodes that take a connection and never answer: they hold up neither the pass nor, for long, the other nodes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from django.db import connections
from django.utils import timezone

from dispatcher.engine import poller as module
from dispatcher.engine.poller import Poller
from tests.factories import make_node
from tests.launch.programs import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of something that listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_pass_does_not_wait_for_nodes_that_hang_and_asks_none_twice_at_once(
    hanging: str, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKDIST = {"poll_seconds": 0.1, "push_timeout_seconds": 1.0}
    monkeypatch.setattr(module, "THREADS", 2)
    asked: list[str] = []
    ask = Poller._client
    monkeypatch.setattr(Poller, "_client", lambda self, node: asked.append(node.name) or ask(self, node))
    names = {make_node(url=hanging).name for _ in range(6)}
    poller = Poller()
    begin = time.monotonic()
    for _ in range(3):
        poller.run_once(timezone.now())
    # Three rounds of two nodes take three seconds.
    assert time.monotonic() - begin < 1.0
    assert len(asked) == len(set(asked)) == 2
    assert eventually(lambda: set(asked) == names)
    assert eventually(lambda: not poller._asked)
    poller.run_once(timezone.now())
    assert len(asked) > len(names)
    poller.close()
    connections.close_all()

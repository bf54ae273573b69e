"""A dispatcher double and one real node that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.node_process import NodeProcess


@pytest.fixture
def dispatcher() -> Iterator[DispatcherDouble]:
    double = DispatcherDouble()
    yield double
    double.close()


@pytest.fixture(scope="module")
def shared_dispatcher() -> Iterator[DispatcherDouble]:
    double = DispatcherDouble()
    yield double
    double.close()


@pytest.fixture(scope="module")
def shared_node(shared_dispatcher: DispatcherDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A running node with four slots; leave nothing running on it."""
    with NodeProcess(shared_dispatcher, tmp_path_factory.mktemp("node") / "state", "--slots", "4") as node:
        yield node

"""Resuming a node that nobody drained: an operator's word that it is well again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import node_registry
from tests.factories import NOW, make_node

pytestmark = pytest.mark.django_db


def test_ends_a_hold_and_changes_nothing_where_there_is_none() -> None:
    node = make_node()
    node_registry.hold_for_failure(node.pk, reason="could not connect", at_least=60, now=NOW)
    assert node_registry.resume([node], actor="op", now=NOW + timedelta(seconds=1)) == [node]
    node.refresh_from_db()
    assert (node.held_until, node.push_failures) == (None, 0)
    assert node_registry.resume([node], actor="op", now=NOW + timedelta(seconds=2)) == []

"""Whose row a push is made from."""

from __future__ import annotations

import pytest

from dispatcher.engine.pusher import _Channel, _node
from dispatcher.models.statements import Claimed
from tests.factories import make_node

pytestmark = pytest.mark.django_db


def a_task(incarnation: int) -> Claimed:
    return Claimed(1, 1, 1, 1, incarnation, 3, 60.0, "null")


def test_the_row_of_the_last_request_serves_the_next_one(django_assert_num_queries) -> None:
    channel = _Channel(make_node(incarnation=2).pk)
    channel.node = kept = _node(channel, [])
    with django_assert_num_queries(0):
        assert _node(channel, [a_task(2)]) is kept


def test_after_a_request_that_was_not_taken_the_row_is_read_again(django_assert_num_queries) -> None:
    node = make_node(incarnation=2)
    channel = _Channel(node.pk)
    channel.node = _node(channel, [a_task(2)])
    _node(channel, [a_task(2)])
    with django_assert_num_queries(1):
        assert _node(channel, [a_task(2)]) == node


def test_tasks_of_a_new_start_of_the_node_are_not_sent_by_the_row_of_the_old_one() -> None:
    node = make_node(incarnation=2)
    channel = _Channel(node.pk)
    channel.node = _node(channel, [a_task(2)])
    type(node).objects.filter(pk=node.pk).update(incarnation=3, url="http://127.0.0.1:9999")
    assert _node(channel, [a_task(3)]).url == "http://127.0.0.1:9999"

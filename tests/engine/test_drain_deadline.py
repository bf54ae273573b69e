"""Drains with a deadline: told to the node, taken from one that does not heed it, and lifted by a word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import lifecycle, node_registry
from dispatcher.engine.sweeper import HAND_BACK_PATIENCE
from dispatcher.models import Attempt, Change, Node
from dispatcher.models.statements import Claim
from dispatcher.node_registry import Deadline
from dispatcher.states import AttemptOutcome, NodeIntent, TaskState
from tests.engine.test_deliveries import claimed, states
from tests.engine.test_sweeping import Watch, beat
from tests.factories import NOW, make_node
from tests.wire import protocol_v1
from workers import protocol

pytestmark = pytest.mark.django_db


def drain(node: Node, seconds: float | None = 600.0, *, hand_back: bool = True) -> list[Node]:
    deadline = None if seconds is None else Deadline(seconds, hand_back)
    return node_registry.drain([node], reason="new kernel", actor="alice", now=NOW, deadline=deadline)


def test_the_node_is_told_how_long_it_has() -> None:
    node = make_node(now=NOW)
    drain(node)
    assert beat(node, NOW + timedelta(seconds=100)).drain_seconds == 500.0
    assert beat(node, NOW + timedelta(seconds=700)).drain_seconds == 0.0
    node_registry.resume([node], actor="alice", now=NOW)
    assert beat(node, NOW + timedelta(seconds=710)).drain_seconds is None


@pytest.mark.parametrize(("seconds", "hand_back"), [(None, True), (600.0, False)])
def test_a_node_that_may_take_its_time_is_told_nothing_and_left_alone(seconds: float | None, hand_back: bool) -> None:
    node, other = make_node(now=NOW), make_node(now=NOW)
    (task,) = claimed(node)
    drain(node, seconds, hand_back=hand_back)
    watch = Watch()
    watch.run(660, node, other)
    assert beat(node, watch.now, (task.id, 1)).drain_seconds is None
    assert states([task]) == [TaskState.DISPATCHED]


def test_what_a_node_does_not_hand_back_is_taken_from_it_and_does_not_count() -> None:
    node, other = make_node(now=NOW), make_node(now=NOW)
    (task,), (untouched,) = claimed(node), claimed(other)
    drain(node, 60.0)
    watch = Watch()
    patience = int(HAND_BACK_PATIENCE.total_seconds())
    watch.run(60 + patience, node, other)
    assert states([task]) == [TaskState.DISPATCHED]
    watch.run(4, node, other)
    assert states([task, untouched]) == [TaskState.SCHEDULED, TaskState.DISPATCHED]
    assert Attempt.objects.get(task_id=task.id).outcome == AttemptOutcome.RELEASED
    # Once another node has it, this one hears of it with its next heartbeat, whatever version it speaks.
    lifecycle.stage(now=watch.now + timedelta(seconds=1))
    lifecycle.claim([Claim(task.id, 1, other.pk, other.incarnation)], now=watch.now)
    told = beat(node, watch.now, (task.id, 1))
    assert told.superseded == [protocol.AttemptRef(task_id=str(task.id), attempt=1)]
    old = protocol_v1.HeartbeatReply(status=told.status, heartbeat_seconds=told.heartbeat_seconds)
    assert old.status == "drain"


def test_a_drain_can_be_given_another_deadline_and_be_freed_of_it() -> None:
    node = make_node(now=NOW)
    assert [drain(node, 60.0), drain(node, 600.0), drain(node, None)] == [[node]] * 3
    assert drain(node, None) == []
    node.refresh_from_db()
    assert (node.intent, node.drain_until, node.hands_back) == (NodeIntent.DRAIN, None, None)
    drain(node, 60.0)
    node_registry.disable([node], reason="", actor="alice", now=NOW)
    node.refresh_from_db()
    assert (node.drain_until, node.hands_back) == (None, None)


def test_the_trail_says_who_and_until_when() -> None:
    node = make_node("w-1", now=NOW)
    drain(node, 60.0)
    row = Change.objects.get(kind="node.draining")
    assert (row.actor, row.node_id) == ("alice", node.pk)
    assert '"deadline_seconds":60.0,"hand_back":true' in row.body

"""Tasks whose node died with them: apart from each other, in nobody's way, and failed as poison at the third time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import lifecycle
from dispatcher.models import Node, Task
from dispatcher.states import TaskState
from tests.engine.test_passes import Pushed, submit
from tests.factories import NOW, make_node

pytestmark = pytest.mark.django_db


def lose(*nodes: Node) -> None:
    """The nodes die with all they hold, and are back at once; what they held is due again."""
    lifecycle.lose_held_by([node.pk for node in nodes], reason="the node fell silent", now=NOW)
    lifecycle.stage(now=NOW + timedelta(hours=1))
    Task.objects.filter(state=TaskState.QUEUED).update(queued_at=NOW)


def test_tasks_that_lost_their_node_are_kept_apart_and_others_pass_them() -> None:
    first = make_node(slots=3)
    lost = submit(3, backoff_seconds=0)
    pushed = Pushed()
    assert {node_id for _, node_id in pushed.run()} == {first.pk}
    lose(first)
    second = make_node(slots=3)
    others = submit(4)
    pushed = Pushed()
    placed = pushed.run()
    # Nor is the second one sent back to the node that it was lost with, as long as it can wait for the other.
    assert {pair for pair in placed if pair[0] in lost} == {(lost[0], second.pk)}
    assert {task_id for task_id, _ in placed} >= set(others)


def test_a_task_that_lost_its_node_does_not_wait_for_a_better_one_for_long() -> None:
    first = make_node(slots=3)
    lost = submit(3, backoff_seconds=0)
    Pushed().run()
    lose(first)
    assert [task_id for task_id, _ in Pushed().run()] == lost[:1]
    Task.objects.filter(state=TaskState.QUEUED).update(queued_at=NOW - timedelta(seconds=11))
    assert {task_id for task_id, _ in Pushed().run()} == set(lost[1:])


def test_a_task_that_loses_its_node_three_times_is_poison_whatever_max_attempts_says() -> None:
    make_node()
    make_node()
    (poison,) = submit(max_attempts=50, backoff_seconds=0)
    (other,) = submit(max_attempts=50, backoff_seconds=0)
    for _ in range(3):
        taken = dict(Pushed().run())
        assert poison in taken
        lose(Node.objects.get(pk=taken[poison]))
    row = Task.objects.get(pk=poison)
    assert (row.state, row.attempt, row.error_map["type"]) == (TaskState.FAILED, 3, "PoisonTask")
    assert Task.objects.get(pk=other).crashes <= 1
    assert poison not in dict(Pushed().run())

"""Single passes of the loops, against real rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import lifecycle, queues
from dispatcher.engine.assigner import Assigner
from dispatcher.engine.housekeeping import Pruner, Stager
from dispatcher.engine.sweeper import Sweeper
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Attempt, Change, FeedCursor, Node, Task
from dispatcher.models.statements import Claimed
from dispatcher.states import NodeState, TaskState
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


class Pushed:
    """Takes what the assigner hands over."""

    def __init__(self) -> None:
        self.tasks: list[Claimed] = []
        self.cancels: list[tuple[int, int, int]] = []
        self.assigner = Assigner(self.tasks.extend, self.cancels.extend)

    def run(self) -> list[tuple[int, int]]:
        """One pass; (task id, node id) of what was handed over."""
        self.tasks.clear()
        self.assigner.run_once(NOW)
        return [(task.id, task.node_id) for task in self.tasks]


def submit(count: int = 1, **fields: object) -> list[int]:
    made = lifecycle.submit([TaskSpec(**{"type": "echo", **fields})] * count, submitted_by="a", now=NOW)
    return [row.task_id for row in made]


def test_tasks_wait_in_the_database_until_a_slot_is_free() -> None:
    node = make_node(slots=2)
    ids = submit(5)
    pushed = Pushed()
    assert pushed.run() == [(ids[0], node.pk), (ids[1], node.pk)]
    assert pushed.run() == []
    done = protocol.TaskResult(task_id=str(ids[0]), attempt=1, outcome="failed", retryable=False)
    lifecycle.record_results([done], node_id=node.pk, now=NOW)
    assert pushed.run() == [(ids[2], node.pk)]


def test_work_begins_by_degrees_when_nodes_come_back_to_what_has_waited_long() -> None:
    node = make_node(slots=20)
    ids = submit(50)
    Task.objects.update(queued_at=NOW - timedelta(minutes=1))
    pushed = Pushed()
    assert len(pushed.run()) == 2
    assert pushed.run() == []
    pushed.assigner.run_once(NOW + timedelta(seconds=20))
    assert Task.objects.filter(state=TaskState.DISPATCHED).count() == 20
    assert {task.node_id for task in pushed.tasks} == {node.pk}
    assert Task.objects.get(pk=ids[0]).state == TaskState.DISPATCHED


def test_a_first_burst_fills_all_slots_at_once_and_so_does_one_beside_a_queue_that_is_paused() -> None:
    make_node(slots=20)
    submit(50, queue="paused")
    Task.objects.update(queued_at=NOW - timedelta(minutes=1))
    queues.pause("paused", reason="", actor="a", now=NOW)
    submit(50)
    assert len(Pushed().run()) == 20


def test_short_tasks_get_credit_beyond_the_slots_once_their_length_is_known() -> None:
    node = make_node(slots=2)
    ids = submit(50)
    pushed = Pushed()
    pushed.run()
    results = [
        protocol.TaskResult(task_id=str(task_id), attempt=1, outcome="succeeded", run_ms=1.0) for task_id in ids[:2]
    ]
    lifecycle.record_results(results, node_id=node.pk, now=NOW)
    assert len(pushed.run()) == 48


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed() -> None:
    make_node()
    submit()
    queues.pause("default", reason="maintenance", actor="op", now=NOW)
    pushed = Pushed()
    assert pushed.run() == []
    queues.resume("default", actor="op", now=NOW)
    assert len(pushed.run()) == 1


def test_tasks_go_only_to_nodes_that_fit_and_do_not_hold_up_others() -> None:
    make_node(labels={}, slots=9)
    gpu = make_node(labels={"gpu": "yes"}, slots=9, types={"train": {}})
    wanted = submit(labels={"gpu": "yes"}, type="train", priority=-5)
    nowhere = submit(labels={"gpu": "no"}, priority=50)
    got = Pushed().run()
    assert got == [(wanted[0], gpu.pk)]
    assert Task.objects.get(pk=nowhere[0]).state == TaskState.QUEUED


def test_a_retry_goes_to_another_node_if_there_is_one() -> None:
    first, second = make_node(), make_node()
    (task_id,) = submit(backoff_seconds=0)
    pushed = Pushed()
    ((_, node_id),) = pushed.run()
    failed = protocol.TaskResult(task_id=str(task_id), attempt=1, outcome="failed")
    lifecycle.record_results([failed], node_id=node_id, now=NOW)
    lifecycle.stage(now=NOW)
    assert pushed.run() == [(task_id, second.pk if node_id == first.pk else first.pk)]


def test_requests_to_cancel_are_passed_on_at_once() -> None:
    node = make_node()
    (task_id,) = submit()
    pushed = Pushed()
    pushed.run()
    lifecycle.cancel([task_id], actor="op", now=NOW)
    pushed.run()
    assert pushed.cancels == [(task_id, 1, node.pk)]


def test_a_silent_node_is_suspected_then_its_tasks_are_given_to_others() -> None:
    node = make_node(last_seen_at=NOW, lease_expires_at=NOW + timedelta(seconds=30))
    others = [make_node() for _ in range(2)]
    (task_id,) = submit(backoff_seconds=0)
    Pushed().run()
    Task.objects.filter(pk=task_id).update(node_id=node.pk)
    seconds = iter(range(100))
    sweeper = Sweeper(monotonic=lambda: float(next(seconds)))
    sweeper.run_once(NOW)
    for second in range(1, 40):
        now = NOW + timedelta(seconds=second)
        for other in others:
            Node.objects.filter(pk=other.pk).update(last_seen_at=now, lease_expires_at=now + timedelta(seconds=30))
        sweeper.run_once(now)
        if second == 20:
            assert Node.objects.get(pk=node.pk).state == NodeState.SUSPECT
            assert Task.objects.get(pk=task_id).state == TaskState.DISPATCHED
    assert Node.objects.get(pk=node.pk).state == NodeState.OFFLINE
    assert Task.objects.get(pk=task_id).state == TaskState.SCHEDULED
    assert Attempt.objects.get().outcome == "lost"


def test_after_a_start_of_the_engine_every_node_gets_one_full_grace_period() -> None:
    node = make_node(last_seen_at=NOW - timedelta(hours=1), lease_expires_at=NOW - timedelta(minutes=59))
    Sweeper().run_once(NOW)
    fresh = Node.objects.get(pk=node.pk)
    assert fresh.state == NodeState.ONLINE
    assert fresh.lease_expires_at == NOW + timedelta(seconds=30)


def test_the_stager_sleeps_until_the_next_task_is_due() -> None:
    stager = Stager()
    submit(run_at=NOW + timedelta(seconds=0.2))
    stager.run_once(NOW)
    assert stager.interval == pytest.approx(0.2)
    stager.run_once(NOW + timedelta(seconds=0.2))
    assert Task.objects.get().state == TaskState.QUEUED


def test_the_pruner_leaves_feed_rows_that_a_reader_has_not_passed() -> None:
    submit()
    FeedCursor.objects.update_or_create(name="rollups", defaults={"position": 0})
    pruner, later = Pruner(), NOW + timedelta(days=400)
    pruner.run_once(later)
    assert Change.objects.filter(kind="tasks.changed").exists()
    last = Change.objects.latest("id").pk
    FeedCursor.objects.update(position=last + 1)
    pruner.run_once(later)
    assert not Change.objects.filter(kind="tasks.changed").exists()

"""What the sweeper makes of silence, of its own pauses, and of clocks that jump."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from dispatcher import lifecycle, node_registry, snapshots
from dispatcher.engine.sweeper import Sweeper
from dispatcher.models import Attempt, Change, Node, Task
from dispatcher.scheduling.experience import Experience
from dispatcher.states import NodeIntent, NodeState, TaskState
from tests.engine.test_deliveries import claimed, states
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


class Watch:
    """A sweeper with clocks of its own; nodes named in ``beating`` send heartbeats."""

    def __init__(self, *answering: Node) -> None:
        self.now, self.monotonic = NOW, 100.0
        self.answering = {node.pk for node in answering}
        self.sweeper = Sweeper(monotonic=lambda: self.monotonic, is_answering=lambda pk: pk in self.answering)
        self.sweeper.run_once(self.now)

    def run(self, seconds: int, *beating: Node) -> None:
        for _ in range(seconds // 2):
            self.pass_time(2, *beating)

    def pass_time(self, seconds: float, *beating: Node, jump: float = 0.0) -> None:
        self.monotonic += seconds
        self.now += timedelta(seconds=seconds + jump)
        for node in beating:
            beat(node, self.now)
        self.sweeper.run_once(self.now)


def beat(node: Node, now: datetime, *held: tuple[int, int]) -> protocol.HeartbeatReply:
    said = [protocol.Held(task_id=str(task_id), attempt=attempt, running=True) for task_id, attempt in held]
    return node_registry.heartbeat(protocol.Heartbeat(boot_id=node.boot_id, held=said), node=node, now=now)


def state(node: Node) -> NodeState:
    return NodeState(Node.objects.get(pk=node.pk).state)


def test_a_node_that_falls_silent_is_suspected_then_lost_and_back_at_its_next_heartbeat() -> None:
    silent, *others = make_node(), make_node(), make_node()
    (task,) = claimed(silent)
    watch = Watch()
    watch.run(16, *others)
    assert (state(silent), states([task])) == (NodeState.SUSPECT, [TaskState.DISPATCHED])
    beat(silent, watch.now)
    assert state(silent) is NodeState.ONLINE
    watch.run(32, *others)
    assert (state(silent), states([task])) == (NodeState.OFFLINE, [TaskState.SCHEDULED])
    # Nobody has taken it over yet: its run may come first.
    assert beat(silent, watch.now, (task.id, 1)).superseded == []
    assert state(silent) is NodeState.ONLINE
    kinds = list(Change.objects.filter(kind__startswith="node.").order_by("id").values_list("kind", flat=True))
    assert kinds == ["node.suspected", "node.online", "node.suspected", "node.went_offline", "node.online"]


def test_a_node_that_falls_silent_and_repeats_its_registration_is_back_and_the_feed_says_so() -> None:
    silent, *others = make_node(), make_node(), make_node()
    watch = Watch()
    watch.run(34, *others)
    again = protocol.Register(name=silent.name, url=silent.url, boot_id=silent.boot_id)
    node_registry.register(again, node=silent, now=watch.now)
    assert state(silent) is NodeState.ONLINE
    kinds = list(Change.objects.filter(kind__startswith="node.").order_by("id").values_list("kind", flat=True))
    assert kinds == ["node.suspected", "node.went_offline", "node.online"]
    assert Node.objects.get(pk=silent.pk).incarnation == silent.incarnation


def test_a_zombie_is_told_what_others_have_taken_over() -> None:
    zombie, *others = make_node(), make_node(), make_node()
    (task,) = claimed(zombie)
    watch = Watch()
    watch.run(34, *others)
    lifecycle.stage(now=watch.now + timedelta(hours=1))
    Task.objects.filter(pk=task.id).update(
        state=TaskState.DISPATCHED, attempt=2, node_id=others[0].pk, run_at=None, queued_at=watch.now
    )
    assert beat(zombie, watch.now, (task.id, 1)).superseded == [protocol.AttemptRef(task_id=str(task.id), attempt=1)]
    late = protocol.TaskResult(task_id=str(task.id), attempt=1, outcome="succeeded")
    (verdict,) = lifecycle.record_results([late], node_id=zombie.pk, now=watch.now)
    assert verdict.verdict == "superseded"
    assert Attempt.objects.filter(task_id=task.id, outcome="superseded").exists()
    assert Change.objects.filter(kind="results.refused").exists()


def test_silence_shorter_than_the_lease_costs_nothing() -> None:
    paused, *others = make_node(), make_node(), make_node()
    (task,) = claimed(paused)
    watch = Watch()
    watch.run(28, *others)
    watch.pass_time(1, paused, *others)
    watch.run(28, *others)
    assert states([task]) == [TaskState.DISPATCHED]
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("pause", [60.0, 1800.0])
def test_a_pause_of_the_dispatcher_is_not_held_against_nodes(pause: float) -> None:
    nodes = [make_node() for _ in range(3)]
    tasks = [task for node in nodes for task in claimed(node)]
    watch = Watch()
    watch.run(10, *nodes)
    watch.pass_time(pause)
    assert {state(node) for node in nodes} == {NodeState.ONLINE}
    watch.run(14)
    watch.run(40, *nodes)
    assert states(tasks) == [TaskState.DISPATCHED] * 3
    assert not Attempt.objects.exists()


def test_attempts_whose_deadline_passed_during_an_outage_get_time_for_their_result() -> None:
    node = make_node()
    (task,) = claimed(node)
    watch = Watch()
    watch.run(4, node)
    watch.pass_time(2 * 3600)
    assert states([task]) == [TaskState.DISPATCHED]
    watch.run(28, node)
    assert states([task]) == [TaskState.DISPATCHED]
    watch.run(6, node)
    assert states([task]) == [TaskState.SCHEDULED]


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -86_400.0])
def test_a_jump_of_the_clock_moves_no_node_and_no_task(jump: float) -> None:
    nodes = [make_node() for _ in range(3)]
    tasks = [task for node in nodes for task in claimed(node)]
    watch = Watch()
    watch.run(20, *nodes)
    watch.pass_time(2, jump=jump)
    watch.run(60, *nodes)
    assert {state(node) for node in nodes} == {NodeState.ONLINE}
    assert states(tasks) == [TaskState.DISPATCHED] * 3
    assert not Attempt.objects.exists()
    # As much time is left as was before the jump, or more.
    left = [task.attempt_deadline - watch.now for task in Task.objects.all()]
    assert min(left) > timedelta(minutes=55)


@pytest.mark.parametrize("is_new_engine", [False, True])
def test_after_the_clock_was_set_back_an_attempt_is_asked_for_and_ends_as_if_it_went_out_just_now(
    is_new_engine: bool,
) -> None:
    node = make_node()
    (task,) = claimed(node)
    watch = Watch()
    watch.run(20, node)
    before = Task.objects.get().attempt_deadline - Task.objects.get().dispatched_at
    if is_new_engine:
        watch = Watch()
        watch.now += timedelta(seconds=20)
    watch.pass_time(2, node, jump=-3600.0)
    row = Task.objects.get()
    assert (row.dispatched_at, row.attempt_deadline - row.dispatched_at) == (watch.now, before)
    # Another engine notices it a moment later.
    second = Watch()
    second.now = watch.now
    second.pass_time(2, node)
    assert Task.objects.get().dispatched_at == watch.now
    refs = lifecycle.missing(
        node_id=node.pk, incarnation=node.incarnation, held={}, before=watch.now + timedelta(seconds=3)
    )
    assert [(int(ref.task_id), ref.attempt) for ref in refs] == [(task.id, 1)]


def test_a_clock_that_was_ahead_between_two_sweeps_keeps_no_attempt_from_being_asked_for() -> None:
    node = make_node()
    watch = Watch()
    watch.pass_time(2, node)
    claimed(node)
    Task.objects.update(dispatched_at=watch.now + timedelta(hours=1), attempt_deadline=watch.now + timedelta(hours=2))
    watch.pass_time(2, node)
    row = Task.objects.get()
    assert (row.dispatched_at, row.attempt_deadline) == (watch.now, watch.now + timedelta(hours=1))


def test_jumps_of_the_clock_to_and_fro_move_nothing() -> None:
    nodes = [make_node() for _ in range(3)]
    tasks = [task for node in nodes for task in claimed(node)]
    watch = Watch()
    for turn in range(20):
        watch.pass_time(2, *nodes, jump=3600.0 * (-1) ** turn)
        watch.run(6, *nodes)
    assert states(tasks) == [TaskState.DISPATCHED] * 3
    assert {state(node) for node in nodes} == {NodeState.ONLINE}


def test_a_clock_that_is_set_back_does_not_keep_work_from_a_node_that_was_paused() -> None:
    node = make_node()
    node_registry.hold(node.pk, seconds=5.0, reason="asked for a pause", now=NOW)
    node.refresh_from_db()

    def is_left_alone(now: datetime) -> bool:
        pool = snapshots.read_pool(now)
        facts = snapshots.snapshot(pool=pool, in_flight={}, ready=(), experience=Experience(), now=now, memory={})
        return facts.nodes[0].not_before > facts.now

    assert is_left_alone(NOW)
    assert not is_left_alone(NOW + timedelta(seconds=6))
    assert not is_left_alone(NOW - timedelta(hours=1))


def test_most_nodes_silent_at_once_are_held_and_told_of_then_given_up() -> None:
    *silent, alive = (make_node() for _ in range(4))
    # Neither a node that is gone for long nor one that is disabled counts.
    make_node(state=NodeState.OFFLINE)
    make_node(intent=NodeIntent.DISABLED)
    tasks = [task for node in silent for task in claimed(node)]
    watch = Watch()
    watch.run(34, alive)
    assert states(tasks) == [TaskState.DISPATCHED] * 3
    (held,) = Change.objects.filter(kind="pool.held")
    assert json.loads(held.body) == {"silent": 3, "total": 4}
    watch.run(30, alive)
    assert states(tasks) == [TaskState.SCHEDULED] * 3


def test_the_log_says_that_a_pause_of_the_engine_was_noticed(caplog: pytest.LogCaptureFixture) -> None:
    node = make_node()
    watch = Watch()
    watch.run(4, node)
    assert "an own pause" not in caplog.text
    watch.pass_time(60)
    assert "an own pause" in caplog.text


def test_an_outage_of_the_web_tier_takes_nothing_from_nodes_that_the_engine_can_ask() -> None:
    nodes = [make_node(), make_node()]
    tasks = [task for node in nodes for task in claimed(node)]
    watch = Watch(*nodes)
    watch.run(600)
    assert {state(node) for node in nodes} == {NodeState.SUSPECT}
    assert states(tasks) == [TaskState.DISPATCHED] * 2
    assert Change.objects.filter(kind="pool.held").count() == 1
    watch.answering.clear()
    watch.run(4)
    assert states(tasks) == [TaskState.SCHEDULED] * 2

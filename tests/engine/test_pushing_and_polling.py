"""Pusher and poller against a real node program that cannot report: the engine brings everything home itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from dispatcher import credentials, lifecycle
from dispatcher.engine import deliveries
from dispatcher.engine.poller import SETTLE, Poller
from dispatcher.engine.pusher import Pusher, _Channel
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claim, Claimed, statements
from dispatcher.states import TaskState
from tests.engine.node_double import node_double, relayed
from tests.factories import make_node
from tests.launch.programs import eventually
from tests.workers.dispatcher_double import PUSH_KEY, DispatcherDouble
from tests.workers.node_process import NodeProcess
from workers import protocol

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.e2e, pytest.mark.xdist_group("processes")]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeProcess]:
    """A node whose reports are all answered with 503."""
    monkeypatch.setattr(credentials, "push_key", lambda node: PUSH_KEY)
    double = DispatcherDouble()
    double.script = lambda path, body: (503, {}) if path.endswith("/results") else None
    with NodeProcess(double, tmp_path / "state", "--slots", "2", imports=("workers.handlers.demo",)) as started:
        yield started
    double.close()


@pytest.fixture
def node(program: NodeProcess) -> Node:
    return make_node(url=program.register.url, boot_id=program.boot_id, slots=2)


@pytest.fixture
def pusher() -> Iterator[Pusher]:
    made = Pusher(on_unknown=lambda: None)
    made.start()
    yield made
    assert made.stop(timeout=20)


@pytest.fixture
def poller() -> Iterator[Poller]:
    made = Poller()
    yield made
    made.close()
    connections.close_all()


def claim(node: Node, task_type: str, payload: str = "{}", *, is_settled: bool = False) -> Claimed:
    """A task of the node. Only of one that ``is_settled`` does the poller ask where it is: asked for before its push
    has arrived, an attempt is given up, so with others that must not happen however long the push takes.
    """
    lifecycle.submit([TaskSpec(type=task_type, payload=payload)], submitted_by="a", now=timezone.now())
    (head,) = statements().lock_heads([(lane, 1) for lane in statements().ready_lanes()])
    then = timezone.now() + (-2 * SETTLE if is_settled else timedelta(minutes=5))
    (claimed,) = lifecycle.claim([Claim(head.id, head.attempt, node.pk, node.incarnation)], now=then)
    return claimed


def state_of(task: Claimed) -> TaskState:
    return TaskState(Task.objects.get(pk=task.id).state)


def test_a_short_task_comes_home_in_the_answer_to_its_push(node: Node, pusher: Pusher) -> None:
    task = claim(node, "demo.echo", '{"big": 1234567890123456789}')
    pusher.push([task])
    assert eventually(lambda: state_of(task) is TaskState.SUCCEEDED)
    assert Task.objects.get(pk=task.id).result == '{"big":1234567890123456789}'


def test_tasks_with_large_payloads_go_in_requests_that_a_node_takes(node: Node, pusher: Pusher, poller: Poller) -> None:
    # Together more than the 8 MiB of one request, which the node would refuse.
    tasks = [claim(node, "demo.noop", '"' + "é" * 900_000 + '"') for _ in range(5)]
    pusher.push(tasks)

    def taken() -> bool:
        return all(state_of(task) in (TaskState.RUNNING, TaskState.SUCCEEDED) for task in tasks)

    # What does not come back in the answer itself is brought home by the poller, once its push has been.
    assert eventually(lambda: not pusher._channels[node.pk].busy and not pusher._channels[node.pk].waiting)
    assert eventually(lambda: poller.run_once(timezone.now()) or taken())
    assert {Task.objects.get(pk=task.id).attempt for task in tasks} == {1}


def test_a_result_that_the_node_cannot_report_is_brought_home_by_the_poller(
    node: Node, pusher: Pusher, poller: Poller
) -> None:
    task = claim(node, "demo.sleep", '{"seconds": 0.3}')
    pusher.push([task])

    def polled() -> bool:
        poller.run_once(timezone.now())
        return state_of(task) is TaskState.SUCCEEDED

    assert eventually(polled)
    # Acknowledged: the node does not offer it again.
    assert eventually(lambda: not poller.run_once(timezone.now()) and not _unreported(poller, node))


def _unreported(poller: Poller, node: Node) -> bool:
    return b'"finished"' in poller._client(node).get("/status").body


def test_an_attempt_whose_push_never_arrived_is_offered_again_and_refused_if_it_still_arrives(
    node: Node, pusher: Pusher, poller: Poller
) -> None:
    task = claim(node, "demo.echo", is_settled=True)

    def given_back() -> bool:
        # A node that does not answer in time is asked again.
        poller.run_once(timezone.now())
        return state_of(task) is not TaskState.DISPATCHED

    assert eventually(given_back)
    row = Task.objects.get(pk=task.id)
    assert (row.state, row.released, row.counted_attempts) == (TaskState.SCHEDULED, 1, 0)
    lifecycle.stage(now=timezone.now() + timedelta(seconds=5))
    # The delayed push of the first attempt: the node has tombstoned it.
    pusher.push([task])
    assert not eventually(lambda: state_of(task) is TaskState.SUCCEEDED, seconds=1)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_push_whose_answer_is_lost_on_the_way_is_adopted_and_runs_once(
    node: Node, program: NodeProcess, pusher: Pusher, poller: Poller, status: int
) -> None:
    def lose(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        _, _, headers, _ = proxy.seen[-1]
        told, answer = relayed(program.register.url, headers, method, path, body)
        return (status, {}, b"upstream sent nothing") if path == "/tasks" else (told, {}, answer)

    with node_double(lose) as proxy:
        Node.objects.filter(pk=node.pk).update(url=proxy.url)
        task = claim(node, "demo.sleep", '{"seconds": 0.2}', is_settled=True)
        pusher.push([task])
        # Not before the push has been: asked for sooner, the attempt would be given up.
        assert eventually(lambda: "/tasks" in proxy.paths)
        assert eventually(lambda: not pusher._channels[node.pk].busy)
        assert eventually(lambda: poller.run_once(timezone.now()) or state_of(task) is TaskState.SUCCEEDED)
        assert proxy.paths.count("/tasks") == 1
    row = Task.objects.get(pk=task.id)
    assert (row.attempt, row.released) == (1, 0)
    assert Node.objects.get(pk=node.pk).push_failures == 1


class Died(BaseException):
    """The end of an engine in the middle of something."""


def die(*_args: object, **_kwargs: object) -> None:
    raise Died


@pytest.mark.parametrize("seconds", [0, 0.3], ids=["ended within the answer", "still running"])
def test_an_engine_that_dies_between_a_push_and_its_answer_has_the_attempt_taken_over_by_the_next(
    node: Node, poller: Poller, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    task = claim(node, "demo.sleep", f'{{"seconds": {seconds}}}', is_settled=True)
    dying = Pusher(on_unknown=lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "take_in", die)
        patch.setattr("dispatcher.engine.pusher.connection.close", lambda: None)
        channel = dying._channels.setdefault(node.pk, _Channel(node.pk))
        with pytest.raises(Died):
            dying._deliver(channel, [task], [], [])
    dying.close()
    assert state_of(task) is TaskState.DISPATCHED
    assert eventually(lambda: poller.run_once(timezone.now()) or state_of(task) is TaskState.SUCCEEDED)
    row = Task.objects.get(pk=task.id)
    assert (row.attempt, row.released) == (1, 0)


def test_an_engine_that_dies_between_a_claim_and_its_push_costs_no_attempt_and_no_second_run(
    node: Node, pusher: Pusher, poller: Poller, program: NodeProcess
) -> None:
    lost = claim(node, "demo.echo", "[1]", is_settled=True)
    assert eventually(lambda: poller.run_once(timezone.now()) or state_of(lost) is TaskState.SCHEDULED)
    # The next engine's turn; then the first one's push comes after all, late and twice.
    lifecycle.stage(now=timezone.now() + timedelta(hours=1))
    (head,) = statements().lock_heads([(lane, 1) for lane in statements().ready_lanes()])
    (again,) = lifecycle.claim(
        [Claim(head.id, head.attempt, node.pk, node.incarnation)], now=timezone.now() + timedelta(minutes=5)
    )
    pusher.push([again])
    assert eventually(lambda: poller.run_once(timezone.now()) or state_of(again) is TaskState.SUCCEEDED)
    late = protocol.PushTask(task_id=str(lost.id), attempt=lost.attempt, type="demo.echo")
    assert [program.client.push(late)[0].status for _ in range(2)] == ["superseded"] * 2
    row = Task.objects.get(pk=lost.id)
    assert (row.attempt, row.counted_attempts, row.result) == (2, 1, "[1]")


def test_a_push_that_may_still_be_on_its_way_is_waited_for(node: Node, poller: Poller) -> None:
    task = claim(node, "demo.echo")
    poller.run_once(timezone.now())
    assert state_of(task) is TaskState.DISPATCHED


def test_what_an_earlier_start_of_the_node_held_is_left_to_the_sweeper(node: Node, poller: Poller) -> None:
    task = claim(node, "demo.echo", is_settled=True)
    Node.objects.filter(pk=node.pk).update(incarnation=node.incarnation + 1)
    poller.run_once(timezone.now())
    assert state_of(task) is TaskState.DISPATCHED


def test_the_status_of_a_start_that_has_not_registered_counts_for_nothing(
    node: Node, program: NodeProcess, pusher: Pusher, poller: Poller
) -> None:
    task = claim(node, "demo.sleep", '{"seconds": 60}')
    pusher.push([task])
    assert eventually(lambda: [held.task_id for held in program.client.status().held if held.running] == [str(task.id)])
    Node.objects.filter(pk=node.pk).update(boot_id="another")
    poller.run_once(timezone.now())
    assert state_of(task) is TaskState.DISPATCHED


def test_a_running_task_is_adopted_and_a_request_to_cancel_reaches_it(
    node: Node, pusher: Pusher, poller: Poller
) -> None:
    task = claim(node, "demo.sleep", '{"seconds": 60}')
    pusher.push([task])

    def running() -> bool:
        poller.run_once(timezone.now())
        return state_of(task) is TaskState.RUNNING

    assert eventually(running)
    lifecycle.cancel([task.id], actor="op", now=timezone.now())
    pusher.cancel([(task.id, task.attempt, node.pk)])

    def cancelled() -> bool:
        poller.run_once(timezone.now())
        return state_of(task) is TaskState.CANCELLED

    assert eventually(cancelled)


def test_a_node_that_cannot_be_reached_costs_no_attempt_and_is_held(node: Node, pusher: Pusher) -> None:
    Node.objects.filter(pk=node.pk).update(url="http://127.0.0.1:9")
    task = claim(node, "demo.echo")
    pusher.push([task])
    assert eventually(lambda: state_of(task) is TaskState.SCHEDULED)
    assert Task.objects.get(pk=task.id).counted_attempts == 0
    assert eventually(lambda: Node.objects.get(pk=node.pk).push_failures == 1)


def test_a_node_outside_the_allowed_networks_is_never_called(node: Node, pusher: Pusher) -> None:
    Node.objects.filter(pk=node.pk).update(url="http://10.1.2.3:9000")
    task = claim(node, "demo.echo")
    pusher.push([task])
    assert eventually(lambda: state_of(task) is TaskState.SCHEDULED)
    assert "TASKDIST_NODE_NETWORKS" in (Task.objects.get(pk=task.id).error or "")

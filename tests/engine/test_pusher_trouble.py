"""Pushes that go wrong: what is sent again, what is asked for, and how long the node is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from django.db import connection

from dispatcher.engine.pusher import Pusher
from dispatcher.models import Attempt, Node, Task
from dispatcher.models.statements import Claimed
from dispatcher.states import TaskState
from tests.engine.node_double import NodeDouble, node_double
from tests.engine.test_deliveries import claimed, states
from tests.factories import make_node
from workers import protocol

pytestmark = pytest.mark.django_db(transaction=True)

Answer = tuple[int, dict[str, str], bytes]


class Serving:
    """A pusher whose deliveries run in this thread."""

    def __init__(self) -> None:
        self.asked = 0
        self.pusher = Pusher(on_unknown=self._ask)

    def _ask(self) -> None:
        self.asked += 1

    def push(self, node: Node, *tasks: Claimed, cancels: tuple[protocol.AttemptRef, ...] = ()) -> None:
        self.pusher.push(tasks)
        channel = self.pusher._channels.setdefault(node.pk, type(self.pusher._channels[node.pk])(node.pk))
        channel.cancels += cancels
        channel.busy = True
        close, connection.close = connection.close, lambda: None
        try:
            self.pusher._serve(channel)
        finally:
            connection.close = close


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.pusher.close()


def accept_all(body: bytes) -> Answer:
    push = msgspec.json.decode(body, type=protocol.Push)
    items = [protocol.PushItem(task_id=t.task_id, attempt=t.attempt, status="accepted") for t in push.tasks]
    return 202, {}, msgspec.json.encode(protocol.PushReply(items=items))


def by_path(tasks: Callable[[bytes], Answer], control: Answer = (200, {}, b"{}")) -> NodeDouble:
    return node_double(lambda _method, path, body: tasks(body) if path == "/tasks" else control)


def a_cancel() -> protocol.AttemptRef:
    return protocol.AttemptRef(task_id="1", attempt=1)


def test_an_answer_of_500_leaves_the_attempts_to_the_poller_and_holds_the_node(serving: Serving) -> None:
    with by_path(lambda _: (500, {}, b"")) as double:
        node = make_node(url=double.url)
        tasks = claimed(node, 2)
        serving.push(node, *tasks)
    assert states(tasks) == [TaskState.DISPATCHED] * 2
    assert (serving.asked, Node.objects.get().push_failures) == (1, 1)


def test_the_pause_of_a_node_that_refuses_everything_grows(serving: Serving) -> None:
    with by_path(lambda _: (404, {}, b"")) as double:
        node = make_node(url=double.url)
        for failures in (1, 2, 3):
            serving.push(node, *claimed(node))
            node.refresh_from_db()
            assert node.push_failures == failures
    assert states(claimed(node)) == [TaskState.DISPATCHED]
    assert Task.objects.filter(state=TaskState.SCHEDULED).count() == 3


def test_a_push_that_is_taken_ends_the_pauses_of_the_node(serving: Serving) -> None:
    with by_path(accept_all) as double:
        node = make_node(url=double.url, push_failures=4)
        serving.push(node, *claimed(node))
        serving.push(node, *claimed(node))
    assert (Node.objects.get().push_failures, serving.asked) == (0, 0)


def test_a_node_that_takes_no_orders_is_held_and_gets_no_tasks(serving: Serving) -> None:
    with by_path(accept_all, control=(500, {}, b"")) as double:
        node = make_node(url=double.url)
        tasks = claimed(node)
        serving.push(node, *tasks, cancels=(a_cancel(),))
        assert double.paths == ["/control"]
    assert states(tasks) == [TaskState.SCHEDULED]
    assert Task.objects.get().counted_attempts == 0
    assert Node.objects.get().push_failures == 1


def test_a_node_that_cannot_be_reached_any_more_gives_back_everything_at_once(serving: Serving) -> None:
    node = make_node(url="http://127.0.0.1:9")
    tasks = claimed(node, 3)
    serving.push(node, *tasks, cancels=(a_cancel(),))
    assert states(tasks) == [TaskState.SCHEDULED] * 3
    assert Node.objects.get().push_failures == 1


@pytest.mark.parametrize("url", ["http://169.254.169.254:80", "http://127.0.0.1:9", "gopher://x"])
def test_a_tutorial_node_whose_address_is_refused_costs_no_attempt(serving: Serving, url: str) -> None:
    node = make_node(url=url, is_tutorial=True)
    tasks = claimed(node, 2)
    serving.push(node, *tasks)
    assert states(tasks) == [TaskState.SCHEDULED] * 2
    assert {row.counted_attempts for row in Task.objects.all()} == {0}
    assert Node.objects.get().push_failures == 1


def test_a_tutorial_node_that_answers_500_loses_that_task_and_is_not_sent_the_rest(serving: Serving) -> None:
    with node_double(lambda *_: (500, {}, b"")) as double:
        node = make_node(url=double.url, is_tutorial=True)
        tasks = claimed(node, 3)
        serving.push(node, *tasks)
        assert double.paths == ["/task"]
    outcomes = dict(Attempt.objects.values_list("task_id", "outcome"))
    assert [outcomes[task.id] for task in tasks] == ["lost", "released", "released"]
    assert Node.objects.get().push_failures == 1

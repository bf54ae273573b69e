"""Nodes that are not well: set aside where people see it, tried with a trickle, back when they are well again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from dispatcher import lifecycle, node_registry, queries
from dispatcher.engine.assigner import Assigner
from dispatcher.engine.poller import Poller
from dispatcher.models import Change, Node
from dispatcher.models.statements import Claimed
from dispatcher.states import BreakerState
from tests.engine.node_double import Script, node_double
from tests.engine.test_passes import submit
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db(transaction=True)


def row(node: Node, now: datetime) -> dict[str, object]:
    """The node as API and dashboard show it."""
    (found,) = [row for row in queries.nodes(now) if row["name"] == node.name]
    return found


class Bench:
    """An assigner whose tasks are ended by hand."""

    def __init__(self) -> None:
        self.tasks: list[Claimed] = []
        self.assigner = Assigner(self.tasks.extend, lambda _: None)

    def assign(self, now: datetime) -> list[Claimed]:
        self.tasks.clear()
        self.assigner.run_once(now)
        return list(self.tasks)

    def end(self, task: Claimed, outcome: str, now: datetime) -> None:
        result = protocol.TaskResult(
            task_id=str(task.id), attempt=task.attempt, outcome=outcome, run_ms=1.0, retryable=False
        )
        lifecycle.record_results([result], node_id=task.node_id, now=now)


def test_a_node_that_fails_what_succeeds_elsewhere_is_set_aside_tried_with_one_task_and_comes_back() -> None:
    bad, good = make_node(slots=2), make_node(slots=2)
    bench, now = Bench(), NOW
    bench.assign(now)
    on_bad = 0
    for _ in range(20):
        submit(4)
        now += timedelta(seconds=1.1)
        for task in bench.assign(now):
            on_bad += task.node_id == bad.pk
            bench.end(task, "failed" if task.node_id == bad.pk else "succeeded", now)
    # Five in a row open the breaker; what was sent with them comes on top.
    assert 5 <= on_bad <= 8
    shown = row(bad, now)
    assert (shown["breaker"], row(good, now)["breaker"]) == (BreakerState.OPEN, BreakerState.CLOSED)
    assert "several tasks in a row failed" in shown["reason"]
    assert Change.objects.filter(kind="node.breaker_changed").exists()

    now += timedelta(seconds=31)
    submit(6)
    on_trial = [task for task in bench.assign(now) if task.node_id == bad.pk]
    assert len(on_trial) == 1
    now += timedelta(seconds=2)
    assert not [task for task in bench.assign(now) if task.node_id == bad.pk]
    assert (row(bad, now)["breaker"], row(bad, now)["reason"][:8]) == (BreakerState.HALF_OPEN, "On trial")
    bench.end(on_trial[0], "succeeded", now)
    submit(6)
    now += timedelta(seconds=2)
    assert [task for task in bench.assign(now) if task.node_id == bad.pk]
    assert (row(bad, now)["breaker"], row(bad, now)["reason"]) == (BreakerState.CLOSED, "")


def test_a_type_that_fails_everywhere_sets_no_node_aside_for_long() -> None:
    nodes = [make_node(slots=2), make_node(slots=2)]
    bench, now = Bench(), NOW
    bench.assign(now)
    for _ in range(20):
        submit(4)
        now += timedelta(seconds=1.1)
        for task in bench.assign(now):
            bench.end(task, "failed", now)
    assert [row(node, now)["breaker"] for node in nodes].count(BreakerState.OPEN) <= 1


@pytest.fixture
def poller(monkeypatch: pytest.MonkeyPatch) -> Iterator[Poller]:
    made = Poller()
    monkeypatch.setattr(connection, "close", lambda: None)
    yield made
    made.close()


def node_answering(push: int = 202, status: int = 200) -> Script:
    """The script of a node called ``ill``."""

    def script(_method: str, path: str, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/status":
            said: object = protocol.NodeStatus(name="ill", boot_id="boot-ill", slots=4)
            return status, {}, msgspec.json.encode(said)
        return push, {}, msgspec.json.encode(protocol.PushReply(items=[]))

    return script


def held(node: Node) -> Node:
    """Its last request failed; the pause for that is over."""
    node_registry.hold_for_failure(node.pk, reason="no answer", now=timezone.now() - timedelta(seconds=60))
    node.refresh_from_db()
    return node


def is_given_work(node: Node) -> bool:
    submit()
    return bool([task for task in Bench().assign(timezone.now()) if task.node_id == node.pk])


def test_after_a_failed_push_a_node_is_given_nothing_until_an_empty_one_got_through(poller: Poller) -> None:
    with node_double(node_answering(push=500)) as double:
        node = held(make_node("ill", url=double.url, now=timezone.now()))
        assert not is_given_work(node)
        poller._poll(node)
        assert double.paths == ["/status", "/tasks"]
        assert msgspec.json.decode(double.seen[-1][3])["tasks"] == []
        node.refresh_from_db()
        assert (node.push_failures, node.trouble) == (2, "it answered 500 to an empty push")
        assert "2 in a row failed: it answered 500" in row(node, timezone.now())["reason"]
        poller._poll(node)
        assert double.paths[2:] == ["/status"], "it is not tried again while its pause lasts"
        Node.objects.update(held_until=timezone.now() - timedelta(seconds=1))
        node.refresh_from_db()
        double.script = node_answering()
        poller._poll(node)
    node.refresh_from_db()
    assert (node.push_failures, node.held_until, node.trouble) == (0, None, "")
    assert is_given_work(node)


def test_a_node_that_takes_pushes_but_does_not_say_how_it_is_gets_no_new_work_and_keeps_what_it_runs(
    poller: Poller,
) -> None:
    with node_double(node_answering(status=500)) as double:
        node = make_node("ill", url=double.url, now=timezone.now())
        assert is_given_work(node)
        for _ in range(2):
            poller._poll(node)
        assert is_given_work(node)
        poller._poll(node)
        node.refresh_from_db()
        assert node.push_failures == 1
        assert not is_given_work(node)
        assert lifecycle.compare({}, node_id=node.pk) == ([], [])
        Node.objects.update(held_until=timezone.now() - timedelta(seconds=1))
        node.refresh_from_db()
        double.script = node_answering()
        poller._poll(node)
    assert is_given_work(node)


def test_the_poller_comes_back_when_a_node_in_trouble_is_due(poller: Poller) -> None:
    with node_double(node_answering(push=500)) as double:
        node = make_node("ill", url=double.url, now=timezone.now())
        node_registry.hold_for_failure(node.pk, reason="no answer", now=timezone.now())
        poller.run_once(timezone.now())
        assert 0.5 <= poller.interval <= 1.0
        Node.objects.update(push_failures=0, held_until=None)
        poller.run_once(timezone.now())
    assert poller.interval == 5.0

"""One version apart: a worker of the previous protocol with this dispatcher, and this worker with the previous one.

``protocol_v1`` is the contract as programs of version 1 have it; what they read and write goes through it. What they
sent is also kept as bytes, so that a change of the copy would be noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from dispatcher import credentials, lifecycle, node_registry
from dispatcher.engine.poller import SETTLE, Poller
from dispatcher.models import Node, Task
from dispatcher.states import TaskState
from tests.api.conftest import Caller
from tests.engine.node_double import NodeDouble, node_double
from tests.engine.test_deliveries import states
from tests.engine.test_pusher_trouble import Serving, claimed
from tests.factories import make_node
from tests.wire import protocol_v1
from tests.workers.dispatcher_double import PUSH_KEY, DispatcherDouble
from tests.workers.node_process import NodeProcess
from tests.workers.signed import SignedClient, a_task
from workers import protocol

REGISTER, HEARTBEAT, RESULTS = (f"/api/v1/nodes/{name}" for name in ("register", "heartbeat", "results"))
#: As a worker of version 1 sent it.
RECORDED_REGISTER = (
    b'{"name":"old","url":"%s","boot_id":"9d7c","slots":2,"types":{"echo":{"description":"Say it again."}},'
    b'"version":"taskdist-python/1"}'
)
RECORDED_HEARTBEAT = b'{"boot_id":"9d7c","held":[{"task_id":"%d","attempt":1,"running":true}],"free_slots":1}'
RECORDED_REPORT = (
    b'{"boot_id":"9d7c","results":[{"task_id":"%d","attempt":1,"outcome":"succeeded","result":{"a":1},"run_ms":12.5}],'
    b'"logs":[{"task_id":"%d","attempt":1,"n":1,"text":"hello"}]}'
)


class OldNode:
    """The HTTP side of a worker of version 1: it holds what it is sent."""

    def __init__(self) -> None:
        self.held: list[protocol_v1.Held] = []
        self.orders: list[protocol_v1.Control] = []
        self.refused = 0

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if not self._is_signed(method, path, body):
            self.refused += 1
            return 401, {}, b""
        if path == "/status":
            said: Any = protocol_v1.NodeStatus(name="old", boot_id="9d7c", slots=2, held=self.held)
            return 200, {}, msgspec.json.encode(said)
        if path == "/control":
            self.orders.append(msgspec.json.decode(body, type=protocol_v1.Control))
            resolved = [
                protocol_v1.Resolved(task_id=r.task_id, attempt=r.attempt, state="tombstoned")
                for r in self.orders[-1].resolve
            ]
            return 200, {}, msgspec.json.encode(protocol_v1.ControlReply(resolved=resolved))
        push = msgspec.json.decode(body, type=protocol_v1.Push)
        self.held += [protocol_v1.Held(task_id=t.task_id, attempt=t.attempt, running=True) for t in push.tasks]
        items = [protocol_v1.PushItem(task_id=t.task_id, attempt=t.attempt, status="accepted") for t in push.tasks]
        return 202, {}, msgspec.json.encode(protocol_v1.PushReply(items=items))

    def _is_signed(self, method: str, path: str, body: bytes) -> bool:
        headers = self.double.seen[-1][2]
        return protocol_v1.is_signed(
            PUSH_KEY, headers[protocol_v1.HEADER_SIGNATURE], message_id=headers[protocol_v1.HEADER_ID],
            timestamp=headers[protocol_v1.HEADER_TIMESTAMP], method=method, path=path, body=body,
            now=timezone.now().timestamp(),
        )  # fmt: skip

    double: NodeDouble


@pytest.fixture
def old_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[OldNode]:
    monkeypatch.setattr(credentials, "push_key", lambda node: PUSH_KEY)
    monkeypatch.setattr(connection, "close", lambda: None)
    old = OldNode()
    with node_double(old.answer) as double:
        old.double = double
        yield old


@pytest.mark.django_db(transaction=True)
def test_a_worker_of_the_previous_version_works_with_this_dispatcher(old_node: OldNode) -> None:
    caller = Caller(node_registry.issue_credential(name="old", actor="tests", now=timezone.now()))
    answer = caller.post(REGISTER, RECORDED_REGISTER % old_node.double.url.encode())
    assert answer.status == 200
    registered = msgspec.json.decode(answer.content, type=protocol_v1.Registered)
    assert registered.push_key == PUSH_KEY
    node = Node.objects.get(name="old")
    assert (node.protocol, node.boot_id, node.slots) == (1, "9d7c", 2)

    serving, poller = Serving(), Poller()
    first, second, lost = claimed(node, 3)
    serving.push(node, first, second)
    poller._poll(node)
    assert states([first, second]) == [TaskState.RUNNING] * 2
    Task.objects.filter(pk=lost.id).update(dispatched_at=timezone.now() - 2 * SETTLE)
    poller._poll(node)
    assert states([lost]) == [TaskState.SCHEDULED]
    assert [order.resolve for order in old_node.orders if order.resolve]

    lifecycle.cancel([second.id], actor="op", now=timezone.now())
    answer = caller.post(HEARTBEAT, RECORDED_HEARTBEAT % second.id)
    reply = msgspec.json.decode(answer.content, type=protocol_v1.HeartbeatReply)
    assert reply.cancel == [protocol_v1.AttemptRef(task_id=str(second.id), attempt=1)]
    answer = caller.post(RESULTS, RECORDED_REPORT % (first.id, first.id))
    verdicts = msgspec.json.decode(answer.content, type=protocol_v1.ReportReply).verdicts
    assert [verdict.verdict for verdict in verdicts] == ["recorded"]
    assert states([first]) == [TaskState.SUCCEEDED]
    assert old_node.refused == 0
    serving.pusher.close()
    poller.close()


def test_what_programs_of_the_previous_version_sent_is_what_the_kept_contract_writes() -> None:
    types = {"echo": protocol_v1.TypeInfo(description="Say it again.")}
    message = protocol_v1.Register(
        name="old", url="%s", boot_id="9d7c", slots=2, types=types, version="taskdist-python/1"
    )
    assert msgspec.json.encode(message) == RECORDED_REGISTER
    result = protocol_v1.TaskResult(
        task_id="%d", attempt=1, outcome="succeeded", result=msgspec.Raw(b'{"a":1}'), run_ms=12.5
    )
    lines = [protocol_v1.LogLine(task_id="%d", attempt=1, n=1, text="hello")]
    assert msgspec.json.encode(protocol_v1.Report(boot_id="9d7c", results=[result], logs=lines)) == RECORDED_REPORT


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
def test_this_worker_works_with_a_dispatcher_of_the_previous_version(tmp_path: Path) -> None:
    dispatcher = DispatcherDouble(wire=protocol_v1)
    usual = dispatcher._usual

    def strict(path: str, body: bytes) -> tuple[int, Any]:
        # It refused what said that it was newer.
        is_spoken = msgspec.json.decode(body).get("protocol", 1) == 1
        return (200, usual(path, body)) if is_spoken else (400, {"errors": [{"field": "protocol"}]})

    dispatcher.script = strict
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "2") as node:
        task = a_task("t.double", {"n": 2})
        push = protocol_v1.Push(
            boot_id=node.boot_id,
            tasks=[protocol_v1.PushTask(task_id=task.task_id, attempt=1, type=task.type, payload=task.payload)],
        )
        client = SignedClient(node.register.url)
        said = msgspec.json.decode(client.send("POST", "/tasks", msgspec.json.encode(push)), type=protocol_v1.PushReply)
        result = said.items[0].result or dispatcher.result_of(task.task_id)
        assert bytes(result.result) == b"4"
        waiting = a_task("t.wait", {"file": str(tmp_path / "never")})
        node.client.push(waiting)
        dispatcher.wait_for(
            lambda: [h for beat in dispatcher.heartbeats for h in beat.held if h.task_id == waiting.task_id], "a beat"
        )
        cancel = [protocol_v1.AttemptRef(task_id=waiting.task_id, attempt=1)]
        dispatcher.heartbeat_reply = protocol_v1.HeartbeatReply(heartbeat_seconds=0.2, cancel=cancel)
        assert dispatcher.result_of(waiting.task_id).outcome == "cancelled"
        client.close()
        node.terminate()
        assert node.wait() == 0
    dispatcher.close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "used"),
    [({}, 1), ({"protocol": 1}, 1), ({"newest_protocol": 2}, 2), ({"newest_protocol": 9}, 2), ({"protocol": 2}, 2),
     ({"protocol": 2, "newest_protocol": 7}, 2)],
)  # fmt: skip
def test_the_newest_version_that_both_speak_is_used(node: Node, node_caller: Caller, said: Any, used: int) -> None:
    message = {"name": node.name, "url": "http://127.0.0.1:9000", "boot_id": "b", "some_new_member": [1]} | said
    answer = node_caller.post(REGISTER, message)
    assert (answer.status, answer.json.get("protocol", 1)) == (200, used)
    node.refresh_from_db()
    assert node.protocol == used


@pytest.mark.django_db
def test_a_node_that_speaks_nothing_old_enough_is_told_what_to_do(node: Node, node_caller: Caller) -> None:
    message = {"name": node.name, "url": "http://127.0.0.1:9000", "boot_id": "b", "protocol": 3, "newest_protocol": 4}
    answer = node_caller.post(REGISTER, message)
    assert (answer.status, answer.fields) == (400, [(None, "protocol")])
    assert "update the dispatcher" in str(answer.json)


# What version 2 added.


def unreachable(node: Node, **fields: object) -> Node:
    """Its pushes fail, its heartbeats come."""
    Node.objects.filter(pk=node.pk).update(push_failures=1, **{"protocol": 2, **fields})
    node.refresh_from_db()
    return node


@pytest.mark.django_db
def test_a_node_that_can_only_be_heard_resolves_attempts_by_its_heartbeats(node: Node, node_caller: Caller) -> None:
    unreachable(node)
    arrived, absent, fresh = claimed(node, 3)
    long_ago = timezone.now() - timedelta(minutes=1)
    Task.objects.filter(pk__in=[arrived.id, absent.id]).update(dispatched_at=long_ago)
    Task.objects.filter(pk=fresh.id).update(dispatched_at=timezone.now())
    held = [{"task_id": str(arrived.id), "attempt": 1}]
    answer = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "held": held})
    assert answer.json["resolve"] == [{"task_id": str(absent.id), "attempt": 1}]
    assert states([absent]) == [TaskState.DISPATCHED]
    resolved = [
        {"task_id": str(absent.id), "attempt": 1, "state": "tombstoned"},
        {"task_id": "x", "attempt": 1, "state": "held"},
    ]
    answer = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "held": held, "resolved": resolved})
    assert "resolve" not in answer.json
    assert states([arrived, absent, fresh]) == [TaskState.DISPATCHED, TaskState.SCHEDULED, TaskState.DISPATCHED]
    assert Task.objects.get(pk=absent.id).counted_attempts == 0


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"protocol": 1}, {"push_failures": 0}])
def test_only_a_node_that_knows_how_and_has_to_is_asked_by_its_heartbeats(
    node: Node, node_caller: Caller, fields: dict[str, int]
) -> None:
    unreachable(node)
    Node.objects.filter(pk=node.pk).update(**fields)
    (task,) = claimed(node)
    Task.objects.filter(pk=task.id).update(dispatched_at=timezone.now() - timedelta(minutes=1))
    assert "resolve" not in node_caller.post(HEARTBEAT, {"boot_id": node.boot_id}).json


@pytest.mark.django_db
def test_nobody_resolves_the_attempts_of_another_node(node: Node, node_caller: Caller) -> None:
    other = make_node("other")
    (task,) = claimed(other)
    resolved = [{"task_id": str(task.id), "attempt": 1, "state": "tombstoned"}]
    node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "resolved": resolved})
    assert states([task]) == [TaskState.DISPATCHED]


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
def test_this_worker_resolves_what_a_heartbeats_reply_asks_for(tmp_path: Path) -> None:
    dispatcher = DispatcherDouble()
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        assert node.register.newest_protocol == protocol.PROTOCOL_VERSION
        never = a_task("t.double", {"n": 1})
        ref = protocol.AttemptRef(task_id=never.task_id, attempt=1)
        dispatcher.heartbeat_reply = protocol.HeartbeatReply(heartbeat_seconds=0.2, resolve=[ref])
        said = dispatcher.wait_for(
            lambda: [item for beat in dispatcher.heartbeats for item in beat.resolved], "the answer"
        )
        assert (said[0].task_id, said[0].state) == (never.task_id, "tombstoned")
        assert node.client.push(never)[0].status == "superseded"
    dispatcher.close()

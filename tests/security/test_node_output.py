"""What nodes send is made safe and marked, whichever road it takes; one bad item costs the others nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from django.utils import timezone

from dispatcher import lifecycle, node_output
from dispatcher.clients.node_client import Answer, NodeClient
from dispatcher.engine import deliveries, poller
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claimed
from dispatcher.states import TaskState
from tests.api.conftest import Caller, token_of
from tests.factories import make_task, make_user
from workers import protocol

#: A road takes the raw JSON of results home.
Road = Callable[[Node, list[tuple[Task, bytes]]], None]


def by_report(node: Node, items: list[tuple[Task, bytes]], caller: Caller) -> None:
    body = b'{"boot_id":"b","results":[%s]}' % b",".join(raw for _, raw in items)
    answer = caller.post("/api/v1/nodes/results", body)
    assert answer.status == 200, answer
    assert len(answer.json["verdicts"]) == len(items)


def by_status(node: Node, items: list[tuple[Task, bytes]], caller: Caller) -> None:
    body = b'{"name":"n","boot_id":"boot-n-1","slots":1,"finished":[%s]}' % b",".join(raw for _, raw in items)
    status = node_output.read_items(body, poller._statuses)
    poller.Poller()._reconcile(node, cast("NodeClient", _Obedient()), status)


def by_order(node: Node, items: list[tuple[Task, bytes]], caller: Caller) -> None:
    resolved = [b'{"task_id":"%d","attempt":1,"state":"finished","result":%s}' % (task.pk, raw) for task, raw in items]
    reply = node_output.read_items(b'{"resolved":[%s]}' % b",".join(resolved), poller._replies)
    lifecycle.settle(reply.resolved, node_id=node.pk, now=timezone.now())


def by_push(node: Node, items: list[tuple[Task, bytes]], caller: Caller) -> None:
    done = [b'{"task_id":"%d","attempt":1,"status":"done","result":%s}' % (task.pk, raw) for task, raw in items]
    tasks = [
        Claimed(id=task.pk, attempt=1, node_id=node.pk, incarnation=1, lane_id=task.lane_id, payload="{}",
                timeout_seconds=None, max_attempts=3)
        for task, _ in items
    ]  # fmt: skip
    answer = Answer(202, {}, b'{"items":[%s]}' % b",".join(done))
    deliveries.take_in(answer, tasks, node_id=node.pk, now=timezone.now())


class _Obedient:
    """A node that takes every order."""

    def post(self, _path: str, _order: bytes) -> Answer:
        return Answer(200, {}, b"{}")


ROADS = pytest.mark.parametrize("road", [by_report, by_status, by_order, by_push])


def item(task: Task, result: bytes, rest: bytes = b"") -> tuple[Task, bytes]:
    return task, b'{"task_id":"%d","attempt":1,"outcome":"succeeded","result":%s%s}' % (task.pk, result, rest)


@pytest.mark.django_db
@ROADS
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b'"a\\u0000b"', '"a\\ufffdb"'),
        (b'{"\\u0000":1}', '{"\\ufffd":1}'),
        (b'"a\x00b"', '"a\\ufffdb"'),
        (b'"\\ud800"', '"\\ufffd"'),
        (b'"\xff"', '"\ufffd"'),
        (b"1e999", '"1e999"'),
        (b"18446744073709551616", '"18446744073709551616"'),
        (b"[NaN,-Infinity]", '["NaN","-Infinity"]'),
        (b"[" * 34 + b"]" * 34, "[" * 32 + '"[[]]"' + "]" * 32),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, None),
    ],
)
def test_a22_a26_what_no_row_may_hold_is_replaced_and_marked_on_every_road(
    node: Node, node_caller: Caller, road: Any, sent: bytes, stored: str | None
) -> None:
    bad, good = (make_task(state=TaskState.RUNNING, node=node) for _ in range(2))
    road(node, [item(good, b'{"n":[1]}'), item(bad, sent)], node_caller)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (good.state, good.result, good.sanitized) == (TaskState.SUCCEEDED, '{"n":[1]}', False)
    assert (bad.state, bad.sanitized) == (TaskState.SUCCEEDED, True)
    if stored is not None:
        assert bad.result == stored
    viewer = Caller(token_of(make_user("vera")))
    assert viewer.read(f"/api/v1/tasks/{bad.pk}").json["sanitized"] is True
    assert viewer.read(f"/api/v1/tasks/{good.pk}").json["sanitized"] is False
    assert viewer.read("/api/v1/tasks").status == 200


@pytest.mark.django_db
@ROADS
@pytest.mark.parametrize("sent", [b'"\x1b[31mred\nline"', b'"C:\\x"'])
def test_mistakes_of_hand_written_encoders_are_mended(node: Node, node_caller: Caller, road: Any, sent: bytes) -> None:
    task = make_task(state=TaskState.RUNNING, node=node)
    road(node, [item(task, sent)], node_caller)
    task.refresh_from_db()
    assert json.loads(task.result or "") in ("\x1b[31mred\nline", "C:\\x")


@pytest.mark.django_db
@ROADS
def test_an_unknown_outcome_fails_its_own_task_and_says_so(node: Node, node_caller: Caller, road: Any) -> None:
    odd, good = (make_task(state=TaskState.RUNNING, node=node, max_attempts=1) for _ in range(2))
    raw = b'{"task_id":"%d","attempt":1,"outcome":"exploded","result":{"kept":1}}' % odd.pk
    road(node, [(odd, raw), item(good, b"1")], node_caller)
    odd.refresh_from_db()
    good.refresh_from_db()
    assert (good.state, good.sanitized) == (TaskState.SUCCEEDED, False)
    assert (odd.state, odd.sanitized) == (TaskState.FAILED, True)
    assert odd.error_map is not None
    assert odd.error_map["type"] == "UnknownOutcome"
    assert '"exploded"' in odd.error_map["message"]
    assert '{"kept":1}' in odd.error_map["message"]


@pytest.mark.django_db
@ROADS
def test_fields_of_the_wrong_kind_cost_only_themselves(node: Node, node_caller: Caller, road: Any) -> None:
    task = make_task(state=TaskState.RUNNING, node=node, max_attempts=1)
    raw = b'{"task_id":%d,"attempt":1,"outcome":"failed","error":"out of paper","run_ms":"long"}' % task.pk
    road(node, [(task, raw)], node_caller)
    task.refresh_from_db()
    assert task.state == TaskState.FAILED
    assert "out of paper" in (task.error or "")


@pytest.mark.django_db
def test_what_names_no_attempt_gets_its_verdict_in_its_place(node: Node, node_caller: Caller) -> None:
    task = make_task(state=TaskState.RUNNING, node=node)
    body = b'{"boot_id":"b","results":[5,{"outcome":"failed"},%s,null,[]]}' % item(task, b"1")[1]
    answer = node_caller.post("/api/v1/nodes/results", body)
    assert [one["verdict"] for one in answer.json["verdicts"]] == [
        "unknown", "unknown", "recorded", "unknown", "unknown",
    ]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"results":[]}', "boot_id"),
        (b'{"boot_id":5,"results":[{"outcome":"?"}]}', "boot_id"),
        (b'{"boot_id":"b","results":7}', "results"),
    ],
)
def test_what_makes_no_sense_as_a_whole_is_refused(node_caller: Caller, body: bytes, field: str) -> None:
    answer = node_caller.post("/api/v1/nodes/results", body)
    assert (answer.status, answer.fields) == (400, [(None, field)])


def test_notes_of_unknown_kinds_keep_what_can_be_kept() -> None:
    body = (
        b'{"boot_id":"b","logs":[{"task_id":"1","attempt":1,"n":1,"text":"t","level":"fatal"},{"n":2},7],'
        b'"progress":[{"task_id":"1","attempt":1,"fraction":"half","message":"m"}]}'
    )
    report = node_output.read_items(body, msgspec.json.Decoder(protocol.Report))
    assert report.logs == [protocol.LogLine(task_id="1", attempt=1, n=1, text="t")]
    assert report.progress == [protocol.Progress(task_id="1", attempt=1, message="m")]


def test_clean_messages_are_read_as_they_came_and_left_unmarked() -> None:
    results = [
        protocol.TaskResult(task_id=str(n), attempt=1, outcome="succeeded", result=msgspec.Raw(b'{"a":"\xc3\xa9"}'))
        for n in range(3)
    ]
    report = protocol.Report(boot_id="b", results=results)
    assert node_output.read_items(msgspec.json.encode(report), msgspec.json.Decoder(protocol.Report)) == report

"""Reporting and membership against a scripted dispatcher, without a process: what is tried, dropped and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.workers import handlers
from tests.workers.signed import SignedClient, a_task
from workers.backoff import Backoff, jittered
from workers.client import Answer, Unreachable
from workers.executor.job import Job
from workers.executor.threads import ThreadRunner
from workers.http_server import Request
from workers.identity import Identity
from workers.membership import Membership
from workers.node import Limits, Node
from workers.outbox import Outbox
from workers.protocol import (
    AttemptRef,
    HeartbeatReply,
    Registered,
    Report,
    ReportReply,
    TaskResult,
    Verdict,
)
from workers.redaction import Redactor, keys_of
from workers.registry import default_registry
from workers.reporter import MAX_REPORT_BYTES, Reporter
from workers.server import NodeServer

assert handlers


class ScriptedClient:
    """Answers from a function; remembers what was sent."""

    def __init__(self, script: Callable[[str, bytes], Answer | Exception]) -> None:
        self.script = script
        self.sent: list[tuple[str, bytes]] = []

    def post(self, path: str, body: bytes) -> Answer:
        self.sent.append((path, body))
        answer = self.script(path, body)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass

    def reports(self) -> list[Report]:
        return [msgspec.json.decode(body, type=Report) for _, body in self.sent]


class NoMembership:
    def __init__(self) -> None:
        self.asked = 0

    def register_again(self) -> None:
        self.asked += 1


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(
        name="n",
        limits=Limits(slots=2, max_queue=100),
        types=default_registry.types,
        outbox=Outbox(tmp_path / "outbox"),
        runners={"thread": ThreadRunner(max_result_bytes=600_000), "process": ThreadRunner(max_result_bytes=600_000)},
    )
    made.start()
    yield made
    made.close()


def record(body: bytes) -> Answer:
    report = msgspec.json.decode(body, type=Report)
    verdicts = [Verdict(task_id=r.task_id, attempt=r.attempt, verdict="recorded") for r in report.results]
    return Answer(200, msgspec.json.encode(ReportReply(verdicts=verdicts)))


def finished(node: Node, *numbers: int, size: int = 2) -> list[TaskResult]:
    results = [
        TaskResult(task_id=f"t{n}", attempt=1, outcome="succeeded", result=msgspec.Raw(b'"%s"' % (b"x" * size)))
        for n in numbers
    ]
    node.outbox.add(results, now=0.0)
    return results


def ids(report: Report) -> list[str]:
    return [result.task_id for result in report.results]


def test_one_result_that_is_never_taken_does_not_hold_up_the_others(node: Node) -> None:
    taken: list[TaskResult] = []

    def script(path: str, body: bytes) -> Answer:
        report = msgspec.json.decode(body, type=Report)
        if any(r.task_id == "t3" and r.outcome == "succeeded" for r in report.results):
            return Answer(400, b'{"error": "too deep"}')
        taken.extend(report.results)
        return record(body)

    finished(node, *range(8))
    client = ScriptedClient(script)
    Reporter(node, client, NoMembership()).round(1000.0)
    assert len(node.outbox) == 0
    by_id = {result.task_id: result for result in taken}
    assert len(by_id) == len(taken) == 8
    refused = by_id["t3"]
    assert refused.error is not None
    assert (refused.outcome, refused.retryable, refused.error.type) == ("failed", False, "ResultRefused")
    assert "too deep" in refused.error.message


def test_a_result_that_is_refused_in_any_form_is_dropped_in_the_end(node: Node) -> None:
    finished(node, 1)
    client = ScriptedClient(lambda path, body: Answer(422, b"no"))
    Reporter(node, client, NoMembership()).round(1000.0)
    assert len(node.outbox) == 0
    assert len(client.sent) == 2


def test_lines_that_are_refused_do_not_hold_up_results(node: Node) -> None:
    def script(path: str, body: bytes) -> Answer:
        return Answer(400, b"no lines") if msgspec.json.decode(body, type=Report).logs else record(body)

    finished(node, 1)
    admission = node.admit([a_task("t.talk", {"lines": 1})])
    node.wait(admission, until=0.0)
    client = ScriptedClient(script)
    reporter = Reporter(node, client, NoMembership())
    for _ in range(500):
        reporter.round(1000.0)
        if node.completions.is_idle and len(node.outbox) == 0:
            break
        threading.Event().wait(0.01)
    assert len(node.outbox) == 0


@pytest.mark.parametrize(
    "answer", [Unreachable("refused"), Answer(500, b""), Answer(503, b"", 7.0), Answer(401, b""), Answer(302, b"")]
)
def test_everything_else_is_kept_and_tried_again_later(node: Node, answer: Any) -> None:
    finished(node, 1, 2)
    client = ScriptedClient(lambda path, body: answer)
    reporter = Reporter(node, client, NoMembership())
    reporter.round(1000.0)
    assert len(node.outbox) == 2
    client.script = lambda path, body: record(body)
    reporter._retry_at = 0.0
    reporter.round(2000.0)
    assert ids(client.reports()[-1]) == ["t1", "t2"]
    assert len(node.outbox) == 0


def test_nothing_is_sent_while_it_waits_after_a_failure(node: Node) -> None:
    import time

    finished(node, 1)
    client = ScriptedClient(lambda path, body: Answer(503, b"", 30.0))
    reporter = Reporter(node, client, NoMembership())
    reporter.round(time.monotonic())
    finished(node, 2)
    reporter.round(time.monotonic() + 10.0)
    assert len(client.sent) == 1
    reporter.round(time.monotonic() + 61.0)
    assert len(client.sent) == 2


def test_a_409_asks_for_a_new_registration(node: Node) -> None:
    finished(node, 1)
    membership = NoMembership()
    Reporter(node, ScriptedClient(lambda path, body: Answer(409, b"")), membership).round(1000.0)
    assert membership.asked == 1
    assert len(node.outbox) == 1


def test_a_result_without_a_verdict_is_kept(node: Node) -> None:
    finished(node, 1, 2)

    def script(path: str, body: bytes) -> Answer:
        verdicts = [Verdict(task_id="t1", attempt=1, verdict="superseded")]
        return Answer(200, msgspec.json.encode(ReportReply(verdicts=verdicts)))

    Reporter(node, ScriptedClient(script), NoMembership()).round(1000.0)
    assert node.outbox.find("t1", 1) is None
    assert node.outbox.find("t2", 1) is not None


def test_reports_are_bounded_in_bytes(node: Node) -> None:
    finished(node, *range(10), size=300_000)
    client = ScriptedClient(lambda path, body: record(body))
    Reporter(node, client, NoMembership()).round(1000.0)
    assert len(client.sent) == 4
    assert all(len(body) <= MAX_REPORT_BYTES + 100_000 for _, body in client.sent)


def a_membership(node: Node, script: Any, tmp_path: Path, token: str = "tde_12345678") -> tuple[Membership, Identity]:
    identity = Identity(tmp_path, token)
    client = ScriptedClient(script)
    return Membership(node, client, identity, url="http://h:1", labels={}, queues=[]), identity


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_tried_slowly_and_says_what_to_do(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    membership, _ = a_membership(node, lambda path, body: Answer(status, b""), tmp_path)
    assert membership._register() >= 20.0
    # As the log shows it: advice that names the options must not be taken for a secret.
    said = Redactor(keys_of("")).text(caplog.messages[0])
    assert "node_token" in said
    assert "--token-file" in said
    assert "***" not in said
    assert node.push_keys.current == ""


def test_a_dispatcher_that_gives_no_push_key_is_not_trusted(node: Node, tmp_path: Path) -> None:
    reply = Registered(node_id=1, name="n", push_key="", heartbeat_seconds=1.0, lease_seconds=3.0)
    membership, _ = a_membership(node, lambda path, body: Answer(200, msgspec.json.encode(reply)), tmp_path)
    membership._register()
    assert node.push_keys.current == ""
    assert not membership._is_registered


def test_a_node_without_a_push_key_answers_nobody(node: Node) -> None:
    server = NodeServer(node, host="127.0.0.1", port=0)
    signed = SignedClient("http://127.0.0.1:1", key="").headers("GET", "/status", b"")
    for headers in ({}, {name.lower(): value for name, value in signed.items()}):
        assert server.handle(Request("GET", "/status", headers)).status == 503
    server.close()


def test_the_heartbeats_reply_steers_the_node(node: Node, tmp_path: Path) -> None:
    reply = HeartbeatReply(status="drain", heartbeat_seconds=2.0)
    membership, _ = a_membership(node, lambda path, body: Answer(200, msgspec.json.encode(reply)), tmp_path)
    pause = membership._heartbeat()
    assert 1.6 <= pause <= 2.4
    assert node.is_draining


def test_a_node_begins_nothing_that_waits_once_its_lease_has_run_out(node: Node, tmp_path: Path) -> None:
    registered = Registered(node_id=1, name="n", push_key="k", heartbeat_seconds=1.0, lease_seconds=0.0)
    answers = {
        "/api/v1/nodes/register": Answer(200, msgspec.json.encode(registered)),
        "/api/v1/nodes/heartbeat": Answer(
            200, msgspec.json.encode(HeartbeatReply(superseded=[AttemptRef(task_id="given-to-others", attempt=1)]))
        ),
    }
    membership, _ = a_membership(node, lambda path, body: answers[path], tmp_path)
    membership._register()
    node.completions.bell.clear()
    for name in ("given-to-others", "ours"):
        node.answer(node.admit([a_task("t.double", {"n": 1}, task_id=name)]))
    assert not node.completions.bell.wait(0.2)
    membership._lease_seconds = 60.0
    membership._heartbeat()
    ended: list[Job] = []
    while len(ended) < 2:
        assert node.completions.bell.wait(10)
        ended += [job for job, _ in node.completions.take(patience=0.0)]
    assert [job.task_id for job in ended if job.started_at] == ["ours"]


def test_an_unreachable_dispatcher_is_no_reason_to_beat_more_slowly(node: Node, tmp_path: Path) -> None:
    membership, _ = a_membership(node, lambda path, body: Unreachable("no"), tmp_path)
    assert all(membership._heartbeat() <= 5.0 for _ in range(20))


def test_a_given_credential_stands_above_a_stored_one(tmp_path: Path) -> None:
    Identity(tmp_path, "tde_12345678").store("tdn_stored-one")
    assert Identity(tmp_path, "tde_12345678").token == "tdn_stored-one"
    assert Identity(tmp_path, "").token == "tdn_stored-one"
    assert Identity(tmp_path, "tdn_given-one").token == "tdn_given-one"


def test_backoff_grows_with_full_jitter_up_to_thirty_seconds() -> None:
    import random

    backoff = Backoff(random.Random(1))
    delays = [backoff.next_delay() for _ in range(200)]
    assert delays[0] <= 0.5
    assert max(delays) <= 30.0
    assert max(delays) > 25.0
    assert min(delays[10:]) < 5.0
    assert 0.8 <= jittered(1.0) <= 1.2

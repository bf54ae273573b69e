from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from dispatcher import credentials, node_registry
from dispatcher.models import Change, Credential, LogChunk, Node, Task, TaskProgress
from dispatcher.states import NodeIntent, NodeState, TaskState
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_attempt, make_node, make_task, make_user
from workers import protocol

REGISTER, HEARTBEAT, RESULTS = (f"/api/v1/nodes/{name}" for name in ("register", "heartbeat", "results"))
pytestmark = pytest.mark.django_db


def registration(**fields: Any) -> dict[str, Any]:
    return {"name": "n-1", "url": "http://127.0.0.1:9000", "boot_id": "boot-2", "slots": 8} | fields


def enrolment_token(**fields: Any) -> str:
    return credentials.issue_enrolment_token(label="tests", actor="tests", now=now(), **fields)


class TestRegister:
    """``POST /nodes/register``."""

    def test_with_its_own_credential(self, node: Node, node_caller: Caller) -> None:
        answer = node_caller.post(
            REGISTER, registration(labels={"gpu": "yes"}, queues=["night"], types={"t": {"version": "2"}})
        )
        assert answer.status == 200
        assert answer.json["push_key"] == credentials.push_key(node)
        assert "credential" not in answer.json
        node.refresh_from_db()
        assert (node.boot_id, node.slots, node.labels, node.queues) == ("boot-2", 8, {"gpu": "yes"}, ["night"])
        assert node.types is not None
        assert list(node.types) == ["t"]
        assert node.state == NodeState.ONLINE

    def test_a_new_start_gives_up_what_the_old_one_held(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        node_caller.post(REGISTER, registration())
        task.refresh_from_db()
        assert task.state in (TaskState.SCHEDULED, TaskState.QUEUED)

    def test_enrolment_gives_a_credential_that_works(self, db: None) -> None:
        answer = Caller(enrolment_token()).post(REGISTER, registration(name="new"))
        assert answer.status == 200
        node = Node.objects.get(name="new")
        assert node.boot_id == "boot-2"
        own = Caller(answer.json["credential"])
        assert own.post(HEARTBEAT, {"boot_id": "boot-2"}).status == 200

    def test_a_used_up_token_lets_nobody_in(self, db: None) -> None:
        caller = Caller(enrolment_token())
        assert caller.post(REGISTER, registration(name="first")).status == 200
        assert caller.post(REGISTER, registration(name="second")).status == 401
        assert not Node.objects.filter(name="second").exists()

    def test_two_that_use_the_last_use_at_once_do_not_both_get_in(self, db: None) -> None:
        enrolment_token()
        # Both requests have passed the door: the use that is left is counted again when it is taken.
        seen = Credential.objects.get(kind=Credential.Kind.ENROLMENT)
        messages = [msgspec.convert(registration(name=name), protocol.Register) for name in ("first", "second")]
        node_registry.enrol(messages[0], credential=seen, now=now())
        with pytest.raises(node_registry.EnrolmentRefused):
            node_registry.enrol(messages[1], credential=seen, now=now())
        assert not Node.objects.filter(name="second").exists()

    def test_a_taken_name_is_not_taken_over(self, node: Node) -> None:
        answer = Caller(enrolment_token()).post(REGISTER, registration(name=node.name))
        assert (answer.status, answer.is_problem) == (409, True)
        node.refresh_from_db()
        assert node.boot_id != "boot-2"
        assert not Credential.objects.filter(kind=Credential.Kind.NODE).exists()
        # The refusal takes no use.
        assert Credential.objects.get(kind=Credential.Kind.ENROLMENT).uses_left == 1

    def test_a_token_for_one_node_lets_in_no_other(self, node: Node) -> None:
        caller = Caller(enrolment_token(node=node))
        assert caller.post(REGISTER, registration(name="other")).status == 403
        assert not Node.objects.filter(name="other").exists()
        assert caller.post(REGISTER, registration(name=node.name)).status == 200

    def test_the_name_in_the_body_decides_nothing(self, node: Node, node_caller: Caller) -> None:
        victim = make_node("n-2", now=now())
        answer = node_caller.post(REGISTER, registration(name="n-2"))
        assert (answer.status, answer.is_problem) == (403, True)
        victim.refresh_from_db()
        assert victim.boot_id != "boot-2"

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": "a b"}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"url": "ftp://127.0.0.1"}, "url"),
            ({"url": "http://user@127.0.0.1"}, "url"),
            ({"url": "http://169.254.169.254/latest"}, "url"),
            ({"url": "http://0xA9FEA9FE/"}, "url"),
            ({"url": "http://[64:ff9b::a9fe:a9fe]/"}, "url"),
            ({"url": "http://10.1.2.3:80"}, "url"),
            ({"url": "http://127.0.0.1:9/" + "x" * 600}, "url"),
            ({"boot_id": ""}, "boot_id"),
            ({"boot_id": "x" * 65}, "boot_id"),
            ({"slots": 0}, "slots"),
            ({"slots": 2**40}, "slots"),
            ({"slots": "many"}, "slots"),
            ({"version": "v" * 51}, "version"),
            ({"protocol": 99}, "protocol"),
            ({"labels": {"a": "x" * 200}}, "labels.a"),
            ({"labels": {str(n): "" for n in range(65)}}, "labels"),
            ({"queues": ["a b"]}, "queues[0]"),
            ({"types": {"a b": {}}}, "types.a b"),
            ({"types": {"t": {"description": "x" * 2_000_000}}}, "types"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, node_caller: Caller, fields: dict[str, Any], field: str) -> None:
        answer = node_caller.post(REGISTER, registration(**fields))
        assert (answer.status, answer.is_problem) == (400, True)
        assert (None, field) in answer.fields
        assert Node.objects.get().boot_id != "boot-2"

    def test_unknown_fields_are_for_later_versions(self, node_caller: Caller) -> None:
        assert node_caller.post(REGISTER, registration(mood="sunny")).status == 200


class TestHeartbeat:
    """``POST /nodes/heartbeat``."""

    def test_renews_the_lease(self, node: Node, node_caller: Caller) -> None:
        Node.objects.update(state=NodeState.SUSPECT, last_seen_at=now() - timedelta(seconds=20))
        answer = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "free_slots": 4})
        assert answer.status == 200
        node.refresh_from_db()
        assert node.state == NodeState.ONLINE

    def test_a_node_that_says_it_is_stopping_is_believed_and_so_is_one_that_goes_on(
        self, node: Node, node_caller: Caller
    ) -> None:
        said = []
        for is_draining in (False, True, True, False):
            answer = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "draining": is_draining})
            assert answer.status == 200
            node.refresh_from_db()
            said.append(node.draining)
        assert said == [False, True, True, False]
        assert Change.objects.filter(kind="node.draining").count() == 1

    def test_an_unknown_start_has_to_register(self, node_caller: Caller) -> None:
        answer = node_caller.post(HEARTBEAT, {"boot_id": "other"})
        assert (answer.status, answer.json["type"]) == (409, "urn:taskdist:problem:register-first")

    def test_says_what_to_cancel_and_what_is_no_longer_the_nodes(self, node: Node, node_caller: Caller) -> None:
        asked = make_task(state=TaskState.RUNNING, node=node, cancel_requested_at=now(), now=now())
        lost = make_task(state=TaskState.RUNNING, node=make_node("n-2", now=now()), attempt=2, now=now())
        held = [{"task_id": str(task.pk), "attempt": 1, "running": True} for task in (asked, lost)]
        answer = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "held": held})
        assert [ref["task_id"] for ref in answer.json["cancel"]] == [str(asked.pk)]
        assert [ref["task_id"] for ref in answer.json["superseded"]] == [str(lost.pk)]

    def test_nonsense_among_the_held_is_passed_over(self, node: Node, node_caller: Caller) -> None:
        held = [
            {"task_id": task_id, "attempt": attempt}
            for task_id, attempt in (("²", 1), ("9" * 40, 1), ("-1", 1), ("x", 1), ("1", 2**60), ("1", -1))
        ]
        assert node_caller.post(HEARTBEAT, {"boot_id": node.boot_id, "held": held}).status == 200

    def test_a_draining_node_is_told_so(self, node: Node, node_caller: Caller) -> None:
        Node.objects.update(intent=NodeIntent.DRAIN)
        assert node_caller.post(HEARTBEAT, {"boot_id": node.boot_id}).json["status"] == "drain"


class TestResults:
    """``POST /nodes/results``."""

    def report(self, caller: Caller, node: Node, results: list[dict[str, Any]], **fields: Any) -> Any:
        return caller.post(RESULTS, {"boot_id": node.boot_id, "results": results} | fields)

    def test_recorded_once_however_often_it_is_sent(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        result = {"task_id": str(task.pk), "attempt": 1, "outcome": "succeeded", "result": {"n": 1}, "run_ms": 5.0}
        words = [self.report(node_caller, node, [result]).json["verdicts"][0]["verdict"] for _ in range(3)]
        assert words == ["recorded", "duplicate", "duplicate"]
        task.refresh_from_db()
        assert (task.state, task.result) == (TaskState.SUCCEEDED, '{"n":1}')

    def test_another_nodes_task_is_out_of_reach(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=make_node("n-2", now=now()), now=now())
        result = {"task_id": str(task.pk), "attempt": 1, "outcome": "succeeded", "result": "forged"}
        answer = self.report(
            node_caller,
            node,
            [result],
            started=[{"task_id": str(task.pk), "attempt": 1}],
            progress=[{"task_id": str(task.pk), "attempt": 1, "fraction": 0.9}],
            logs=[{"task_id": str(task.pk), "attempt": 1, "n": 1, "text": "forged"}],
        )
        assert answer.json["verdicts"][0]["verdict"] == "superseded"
        task.refresh_from_db()
        assert (task.state, task.result) == (TaskState.RUNNING, None)
        assert not LogChunk.objects.exists()
        assert not TaskProgress.objects.exists()

    def test_progress_and_log_of_its_own(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, attempt=2, now=now())
        make_attempt(task, number=1, node=node, now=now())
        refs = [{"task_id": str(task.pk), "attempt": attempt} for attempt in (1, 2, 3)]
        self.report(
            node_caller,
            node,
            [],
            progress=[ref | {"fraction": 0.5, "message": "half\x00"} for ref in refs[1:2]],
            # The last lines of an attempt may come after the next one has begun.
            logs=[ref | {"n": 1, "text": f"of {ref['attempt']}"} for ref in refs],
        )
        assert TaskProgress.objects.get().message == "half\ufffd"
        assert sorted(LogChunk.objects.values_list("attempt", flat=True)) == [1, 2]

    def test_verdicts_keep_the_order_and_nonsense_is_unknown(self, node: Node, node_caller: Caller) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        named = [("9" * 40, 1), (str(task.pk), 1), ("²", 1), ("1", 2**60), ("-5", 1), ("999999", 1), (str(task.pk), -1)]
        results = [{"task_id": task_id, "attempt": n, "outcome": "succeeded"} for task_id, n in named]
        verdicts = self.report(node_caller, node, results).json["verdicts"]
        assert [(item["task_id"], item["attempt"]) for item in verdicts] == named
        assert [item["verdict"] for item in verdicts] == [
            "unknown", "recorded", "unknown", "unknown", "unknown", "unknown", "unknown",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [
            (b'"a\\u0000b"', '"a\\ufffdb"'),
            (b'"\\ud800"', '"\\ufffd"'),
            (b'"\xff"', '"\ufffd"'),
            (b"1e999", '"1e999"'),
            (b"1267650600228229401496703205376", '"1267650600228229401496703205376"'),
            (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        ],
    )
    def test_untidy_results_are_kept_and_marked(
        self, node: Node, node_caller: Caller, sent: bytes, stored: str
    ) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        body = b'{"boot_id":"b","results":[{"task_id":"%d","attempt":1,"outcome":"succeeded","result":%s}]}'
        answer = node_caller.post(RESULTS, body % (task.pk, sent))
        assert answer.json["verdicts"][0]["verdict"] == "recorded"
        task.refresh_from_db()
        assert (task.result, task.sanitized) == (stored, sent != stored.encode())

    def test_a_result_nested_too_deeply_is_kept_as_text(self, node: Node, node_caller: Caller) -> None:
        deep, fine = (make_task(state=TaskState.RUNNING, node=node, now=now()) for _ in range(2))
        body = (
            b'{"boot_id":"b","results":[{"task_id":"%d","attempt":1,"outcome":"succeeded","result":%s},'
            b'{"task_id":"%d","attempt":1,"outcome":"succeeded","result":%s}]}'
        )
        nested = b"[" * 200 + b"]" * 200
        answer = node_caller.post(RESULTS, body % (deep.pk, nested, fine.pk, b"[" * 32 + b"]" * 32))
        assert [item["verdict"] for item in answer.json["verdicts"]] == ["recorded", "recorded"]
        deep.refresh_from_db()
        fine.refresh_from_db()
        assert (deep.state, fine.state) == (TaskState.SUCCEEDED, TaskState.SUCCEEDED)
        assert (deep.sanitized, fine.sanitized) == (True, False)
        assert deep.result == "[" * 32 + '"' + "[" * 168 + "]" * 168 + '"' + "]" * 32

    @pytest.mark.parametrize("run_ms", [-1e300, 1e300, 0, 1e12])
    @pytest.mark.parametrize("outcome", ["succeeded", "failed"])
    def test_impossible_durations_of_what_was_not_known_to_run(
        self, node: Node, node_caller: Caller, run_ms: float, outcome: str
    ) -> None:
        task = make_task(state=TaskState.DISPATCHED, node=node, now=now())
        result = {"task_id": str(task.pk), "attempt": 1, "outcome": outcome, "run_ms": run_ms}
        assert self.report(node_caller, node, [result]).json["verdicts"][0]["verdict"] == "recorded"
        assert _viewer().read(f"/api/v1/tasks/{task.pk}").status == 200

    @pytest.mark.parametrize("run_ms", [-1e300, 1e300, 0, 1e12])
    @pytest.mark.parametrize("outcome", ["succeeded", "failed"])
    def test_impossible_durations(self, node: Node, node_caller: Caller, run_ms: float, outcome: str) -> None:
        task = make_task(state=TaskState.RUNNING, node=node, now=now())
        result = {"task_id": str(task.pk), "attempt": 1, "outcome": outcome, "run_ms": run_ms}
        answer = self.report(
            node_caller,
            node,
            [result | {"retry_after_seconds": run_ms}],
            started=[{"task_id": str(task.pk), "attempt": 1, "running_ms": run_ms}],
            logs=[{"task_id": str(task.pk), "attempt": 1, "n": 1, "text": "t", "age_ms": run_ms}],
        )
        assert (answer.status, answer.json["verdicts"][0]["verdict"]) == (200, "recorded")
        assert _viewer().read(f"/api/v1/tasks/{task.pk}/logs").status == 200

    def test_too_many_in_one_report(self, node: Node, node_caller: Caller) -> None:
        result = {"task_id": "1", "attempt": 1, "outcome": "succeeded"}
        assert self.report(node_caller, node, [result] * 1001).status == 413

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"results":[]}', b"[" * 100_000])
    def test_what_is_no_report(self, node_caller: Caller, body: bytes) -> None:
        answer = node_caller.post(RESULTS, body)
        assert answer.status in (400, 411)
        assert answer.is_problem


def _viewer() -> Caller:
    return Caller(token_of(make_user("reader")))


class TestOperators:
    """What people do to nodes."""

    def test_drain_resume_disable(self, operator: Caller, node: Node) -> None:
        for action, intent in (("drain", "drain"), ("resume", "run"), ("disable", "disabled")):
            answer = operator.post(f"/api/v1/nodes/n-1/{action}", {"reason": f"because {action}"})
            assert answer.status == 200
            assert (answer.json["intent"], answer.json["changed"]) == (intent, True)
            change = Change.objects.exclude(actor="").latest("id")
            assert (change.actor, f"because {action}" in change.body) == ("otto", True)
        again = operator.post("/api/v1/nodes/n-1/disable")
        assert (again.status, again.json["changed"]) == (200, False)
        assert Task.objects.count() == 0

    @pytest.mark.parametrize("reason", ["x" * 201, "two\nlines", 5])
    def test_reasons_have_bounds(self, operator: Caller, node: Node, reason: Any) -> None:
        answer = operator.post("/api/v1/nodes/n-1/drain", {"reason": reason})
        assert answer.fields == [(None, "reason")]
        node.refresh_from_db()
        assert node.intent == NodeIntent.RUN

    def test_a_drain_may_have_a_deadline(self, operator: Caller, node: Node, node_caller: Caller) -> None:
        answer = operator.post("/api/v1/nodes/n-1/drain", {"reason": "r", "deadline_seconds": 600})
        assert answer.json["hands_back"] is True
        until = datetime.fromisoformat(answer.json["drain_until"])
        assert timedelta(seconds=590) < until - timezone.now() <= timedelta(seconds=600)
        told = node_caller.post(HEARTBEAT, {"boot_id": node.boot_id}).json
        assert 590 < told["drain_seconds"] <= 600
        operator.post("/api/v1/nodes/n-1/drain", {"deadline_seconds": 600, "hand_back": False})
        assert "drain_seconds" not in node_caller.post(HEARTBEAT, {"boot_id": node.boot_id}).json

    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("drain", {"deadline_seconds": 0}),
            ("drain", {"deadline_seconds": 8 * 86400}),
            ("drain", {"hand_back": "yes"}),
            ("resume", {"deadline_seconds": 60}),
        ],
    )
    def test_deadlines_have_bounds(self, operator: Caller, node: Node, action: str, body: Any) -> None:
        assert operator.post(f"/api/v1/nodes/n-1/{action}", body).status == 400

    def test_list_and_detail(self, viewer: Caller, node: Node) -> None:
        make_task(state=TaskState.RUNNING, node=node, now=now())
        assert [row["name"] for row in viewer.read("/api/v1/nodes").json["nodes"]] == ["n-1"]
        detail = viewer.read("/api/v1/nodes/n-1").json
        assert (detail["node"]["held"], len(detail["tasks"])) == (1, 1)

    def test_enrolment_tokens(self, admin: Caller) -> None:
        answer = admin.post("/api/v1/nodes/enrolment-tokens", {"label": "rack 4", "uses": 2, "expires_in_seconds": 60})
        assert answer.status == 201
        stored = Credential.objects.get(kind=Credential.Kind.ENROLMENT)
        assert (stored.label, stored.uses_left) == ("rack 4", 2)
        assert answer.json["token"].startswith(stored.prefix)
        assert stored.digest not in answer.content.decode()
        assert Caller(answer.json["token"]).post(REGISTER, registration(name="r4-1")).status == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"uses": 0}, "uses"),
            ({"uses": 10**6}, "uses"),
            ({"expires_in_seconds": 0}, "expires_in_seconds"),
            ({"expires_in_seconds": 1e12}, "expires_in_seconds"),
            ({"label": "a\nb"}, "label"),
            ({"node": "n"}, "node"),
        ],
    )
    def test_enrolment_tokens_have_bounds(self, admin: Caller, body: Any, field: str) -> None:
        assert admin.post("/api/v1/nodes/enrolment-tokens", body).fields == [(None, field)]

"""A50, P15: more than the dispatcher wants is refused with a time to come back, before anything of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher import backlog, lifecycle
from dispatcher.api import node_wire
from dispatcher.models import IdempotencyKey, Node, Task
from dispatcher.overload.buckets import MAX_CALLERS, Buckets
from dispatcher.rollups import fold
from tests.api.conftest import Caller, now
from tests.factories import make_node

pytestmark = pytest.mark.django_db

TASKS = "/api/v1/tasks"


class TestBacklog:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Any) -> None:
        settings.TASKDIST = {"max_backlog": 10, "max_queue_backlog": 6}

    def test_a50_a_queue_that_is_full_is_429_and_other_queues_take_tasks(self, operator: Caller) -> None:
        assert operator.post(TASKS, {"tasks": [{"type": "t", "queue": "a"}] * 6}).status == 201
        answer = operator.post(TASKS, {"type": "t", "queue": "a"})
        assert (answer.status, answer.is_problem) == (429, True)
        assert answer.json["type"] == "urn:taskdist:problem:backlog-full"
        assert 2 <= int(answer.headers["Retry-After"]) <= 10
        assert "'a' has 6 tasks waiting" in answer.json["detail"]
        assert operator.post(TASKS, {"type": "t", "queue": "b"}).status == 201

    def test_a50_a_full_backlog_is_503_and_nothing_of_the_request_is_kept(self, operator: Caller) -> None:
        for queue in "ab":
            assert operator.post(TASKS, {"tasks": [{"type": "t", "queue": queue}] * 4}).status == 201
        mixed = [{"type": "t", "queue": queue, "idempotency_key": queue} for queue in "cde"]
        answer = operator.post(TASKS, {"tasks": mixed})
        assert (answer.status, answer.is_problem) == (503, True)
        assert Task.objects.count() == 8
        assert not IdempotencyKey.objects.exists()
        # As much as there is room for is taken.
        assert operator.post(TASKS, {"tasks": mixed[:2]}).status == 201

    def test_a50_the_tutorials_route_is_limited_as_well(self, operator: Caller) -> None:
        for number in range(6):
            assert operator.post("/task", {"taskId": number, "payload": {}}).status == 201
        answer = operator.post("/task", {"taskId": 7, "payload": {}})
        assert (answer.status, "Retry-After" in answer.headers) == (429, True)

    def test_who_repeats_what_was_taken_is_told_so_however_full_it_is(self, operator: Caller) -> None:
        known = {"type": "t", "queue": "a", "idempotency_key": "k"}
        assert operator.post(TASKS, known).status == 201
        assert operator.post(TASKS, {"tasks": [{"type": "t", "queue": "a"}] * 5}).status == 201
        assert operator.post(TASKS, known).status == 200
        assert operator.post(TASKS, {**known, "idempotency_key": "other"}).status == 429

    def test_there_is_room_again_when_tasks_have_been_taken_out(self, operator: Caller) -> None:
        ids = operator.post(TASKS, {"tasks": [{"type": "t"}] * 6}).json["ids"]
        assert operator.post(TASKS, {"type": "t"}).status == 429
        lifecycle.cancel([int(pk) for pk in ids[:2]], actor="tests", now=now())
        # Counted from the feed by whoever looks next, whether or not it is folded.
        backlog.forget()
        assert operator.post(TASKS, {"type": "t"}).status == 201
        fold(now=now(), limit=100)
        backlog.forget()
        assert operator.post(TASKS, {"type": "t"}).status == 201
        assert operator.post(TASKS, {"type": "t"}).status == 429

    def test_scheduled_tasks_wait_as_well(self, operator: Caller) -> None:
        later = {"type": "t", "delay_seconds": 3600}
        assert operator.post(TASKS, {"tasks": [later] * 6}).status == 201
        backlog.forget()
        assert operator.post(TASKS, {"type": "t"}).status == 429


class TestNodes:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.TASKDIST = {"max_node_requests_per_second": 20.0}
        monkeypatch.setattr(node_wire, "_buckets", Buckets())
        monkeypatch.setattr(node_wire.time, "monotonic", lambda: 1000.0)

    def test_a50_a_node_that_floods_is_told_to_wait_and_others_are_not(
        self, node: Node, node_caller: Caller, caller_of: Callable[[Node], Caller]
    ) -> None:
        beat = {"boot_id": node.boot_id}
        answers = [node_caller.post("/api/v1/nodes/heartbeat", beat) for _ in range(10)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 6
        assert all(answer.is_problem and answer.headers["Retry-After"] == "1" for answer in answers[4:])
        # Its results have a share of their own: those are what everybody waits for.
        report = {"boot_id": node.boot_id, "results": []}
        assert node_caller.post("/api/v1/nodes/results", report).status == 200
        other = make_node("n-2", now=now())
        assert caller_of(other).post("/api/v1/nodes/heartbeat", {"boot_id": other.boot_id}).status == 200

    def test_a50_registrations_count_with_heartbeats(self, node: Node, node_caller: Caller) -> None:
        nonsense = [node_caller.post("/api/v1/nodes/register", {}).status for _ in range(6)]
        assert nonsense == [400] * 4 + [429] * 2

    def test_a50_reports_have_a_limit(self, node: Node, node_caller: Caller) -> None:
        report = {"boot_id": node.boot_id, "results": []}
        statuses = [node_caller.post("/api/v1/nodes/results", report).status for _ in range(45)]
        assert statuses == [200] * 40 + [429] * 5

    def test_a50_the_tutorials_routes_are_limited_as_well(self, node: Node, node_caller: Caller) -> None:
        statuses = [node_caller.post("/heartbeat", {"nodeId": node.name}).status for _ in range(6)]
        assert statuses[4:] == [429] * 2


class TestBuckets:
    @given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
    def test_never_more_than_the_rate_and_the_burst(self, pauses: list[float]) -> None:
        buckets, moment, passed = Buckets(), 0.0, 0
        for pause in pauses:
            moment += pause
            wait = buckets.take("a", rate=10.0, burst=5.0, now=moment)
            passed += wait == 0.0
            assert passed <= 5.0 + 10.0 * moment + 1e-6
            assert wait <= 0.1 + 1e-9

    def test_who_waits_as_told_may_pass(self) -> None:
        buckets = Buckets()
        assert buckets.take("a", rate=2.0, burst=1.0, now=0.0) == 0.0
        wait = buckets.take("a", rate=2.0, burst=1.0, now=0.0)
        assert wait == 0.5
        assert buckets.take("a", rate=2.0, burst=1.0, now=wait) == 0.0

    def test_memory_is_bounded(self) -> None:
        buckets = Buckets()
        for caller in range(MAX_CALLERS + 100):
            buckets.take(caller, rate=1.0, burst=1.0, now=0.0)
        assert len(buckets._levels) == MAX_CALLERS

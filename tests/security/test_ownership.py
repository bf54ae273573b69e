"""A9, A10, A12, A14, A52, A54: nobody acts for another, and of two who act at once one comes first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dispatcher import lifecycle
from dispatcher.models import Attempt, Change, LogChunk, Node, Task, TaskProgress
from dispatcher.states import TaskState
from tests.api.conftest import Caller, token_of
from tests.db.lifecycle_steps import claim, report, result, submit
from tests.db.test_lifecycle_races import SPEC, at_once, claim_all
from tests.factories import NOW, make_node, make_task, make_user
from workers import protocol

RESULTS = "/api/v1/nodes/results"


def test_a09_a_signature_is_worth_nothing_at_another_time_place_or_body() -> None:
    said = {"message_id": "m", "method": "POST", "path": "/tasks", "body": b'{"a":1}'}
    signature = protocol.sign("key", timestamp=1_000, **said)

    def is_right(key: str = "key", now: float = 1_000.0, timestamp: str = "1000", **changed: object) -> bool:
        return protocol.is_signed(key, signature, timestamp=timestamp, now=now, **(said | changed))

    assert is_right()
    assert is_right(now=1_300.0)
    assert not is_right(now=1_301.0)
    assert not is_right(now=699.0)
    for changed in ({"message_id": "n"}, {"path": "/control"}, {"method": "GET"}, {"timestamp": "1001"}, {"key": "b"}):
        assert not is_right(**changed), changed
    for timestamp in ("", "x", "1e3", "-1", "\u0661\u0660", "9" * 50):
        assert not is_right(timestamp=timestamp)
    # No key at all opens nothing.
    assert not protocol.is_signed("", protocol.sign("", timestamp=1_000, **said), timestamp="1000", now=1_000.0, **said)


@pytest.mark.parametrize("body", [b'{"a": 1}', b'{"a":1} ', b'{"a":1.0}', b"", b'{"A":1}'])
def test_a10_a_body_that_means_the_same_is_another_body(body: bytes) -> None:
    signature = protocol.sign("key", message_id="m", timestamp=1, method="POST", path="/tasks", body=b'{"a":1}')
    for given in (signature, signature.upper(), "", signature[:-1], "v2" + signature[2:]):
        assert not protocol.is_signed(
            "key", given, message_id="m", timestamp="1", method="POST", path="/tasks", body=body, now=1.0
        )


@pytest.mark.django_db
def test_a12_what_a_node_says_of_others_attempts_moves_nothing_and_is_on_record(
    node: Node, node_caller: Caller, viewer: Caller
) -> None:
    theirs = make_task(state=TaskState.RUNNING, node=make_node("n-2"))
    queued = make_task(state=TaskState.QUEUED)
    before = Task.objects.filter(pk__in=(theirs.pk, queued.pk)).order_by("pk").values_list("state", "attempt", "result")
    seen = list(before)
    for task in (theirs, queued):
        for outcome in ("succeeded", "failed", "cancelled", "released", "crashed", "timed_out"):
            for attempt in (1, 2, 99):
                ref = {"task_id": str(task.pk), "attempt": attempt}
                answer = node_caller.post(
                    RESULTS,
                    {
                        "boot_id": node.boot_id,
                        "results": [ref | {"outcome": outcome, "result": "forged"}],
                        "started": [ref],
                        "progress": [ref | {"fraction": 1.0, "message": "forged"}],
                        "logs": [ref | {"n": 1, "text": "forged"}],
                    },
                )
                assert answer.json["verdicts"][0]["verdict"] in ("superseded", "unknown")
    assert list(before.all()) == seen
    assert not LogChunk.objects.exists()
    assert not TaskProgress.objects.exists()
    assert Change.objects.get(kind="node.made_up_results").body.startswith(f'{{"node_id":{node.pk}')
    # Nor does holding it make it the node's.
    held = {"boot_id": node.boot_id, "held": [{"task_id": str(theirs.pk), "attempt": 1, "running": True}]}
    assert node_caller.post("/api/v1/nodes/heartbeat", held).json["superseded"]
    assert list(before.all()) == seen


@pytest.mark.django_db
def test_a12_made_up_attempts_cost_one_row_a_minute_whatever_a_node_invents() -> None:
    node, other, later = make_node(), make_node(), NOW + timedelta(seconds=61)
    (task_id,) = submit(backoff_seconds=0)
    claim(node)
    lifecycle.lose_held_by([node.pk], reason="silent", now=NOW)
    lifecycle.stage(now=NOW)
    claim(other)
    before = Change.objects.count()
    for moment, expected in ((NOW, 1), (NOW, 1), (later, 2)):
        # Attempts that there never were, and one that was another node's.
        numbers = range(2, 500)
        assert set(report(node, *(result(task_id, number) for number in numbers), now=moment)) == {"superseded"}
        assert (Change.objects.count() - before, Attempt.objects.count()) == (expected, 1)
    body = json.loads(Change.objects.filter(kind="node.made_up_results").latest("pk").body)
    assert (body["name"], body["task_id"], body["attempt"], body["count"]) == (node.name, task_id, 2, 498)
    # What it really had is kept as ever, once.
    for _ in range(2):
        assert report(node, result(task_id, 1)) == ["superseded"]
    kept = Attempt.objects.filter(outcome="superseded").values_list("task_id", "number", "node_id")
    assert list(kept) == [(task_id, 1, node.pk)]
    assert Change.objects.filter(kind="results.refused").count() == 1
    # And what another node says of it is not.
    assert report(other, result(task_id, 1), now=later) == ["superseded"]
    assert Attempt.objects.filter(outcome="superseded").count() == 1


@pytest.mark.django_db
def test_a14_of_a_report_that_mixes_owners_only_the_own_part_counts(node: Node, node_caller: Caller) -> None:
    mine, theirs = (
        make_task(state=TaskState.RUNNING, node=node),
        make_task(state=TaskState.RUNNING, node=make_node("n-2")),
    )
    results = [{"task_id": str(task.pk), "attempt": 1, "outcome": "succeeded"} for task in (theirs, mine)]
    body = {"boot_id": "boot-n-2", "node_id": theirs.node_id, "nodeId": "n-2", "name": "n-2", "results": results}
    verdicts = node_caller.post(RESULTS, body).json["verdicts"]
    assert [one["verdict"] for one in verdicts] == ["superseded", "recorded"]
    theirs.refresh_from_db()
    assert theirs.state == TaskState.RUNNING


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/heartbeat", {"nodeId": "n-2"}),
        ("/register", {"nodeId": "n-2", "url": "http://127.0.0.1:9000"}),
        ("/result", {"taskId": "1", "nodeId": "n-2", "result": 1}),
        ("/api/v1/nodes/register", {"name": "n-2", "url": "http://127.0.0.1:9000", "boot_id": "b"}),
    ],
)
def test_a14_a_node_that_calls_itself_another_is_refused(
    node: Node, node_caller: Caller, path: str, body: dict
) -> None:
    other = make_node("n-2")
    assert node_caller.post(path, body).status == 403
    other.refresh_from_db()
    assert other.boot_id == "boot-n-2"


@pytest.mark.django_db(transaction=True)
def test_a52_a_thousand_races_of_result_failure_cancel_and_loss_have_one_winner_each() -> None:
    node = make_node()
    lifecycle.submit([SPEC] * 250, submitted_by="a", now=NOW)
    taken = claim_all(node.pk, node.incarnation, 250)

    def report(outcome: str) -> Callable[[int, int], object]:
        return lambda task_id, attempt: lifecycle.record_results(
            [protocol.TaskResult(task_id=str(task_id), attempt=attempt, outcome=outcome, retryable=False)],
            node_id=node.pk,
            now=NOW,
        )

    contenders: list[Callable[[int, int], object]] = [
        report("succeeded"),
        report("failed"),
        report("cancelled"),
        lambda task_id, _attempt: lifecycle.cancel([task_id], actor="a", now=NOW),
    ]

    def run(number: int) -> None:
        # Each begins with another task, so that everyone is first somewhere.
        start = number * 13
        for task_id, attempt in taken[start:] + taken[:start]:
            contenders[number](task_id, attempt)

    at_once(len(contenders), run)
    ends: Counter[int] = Counter()
    for body in Change.objects.filter(kind="tasks.changed").values_list("body", flat=True):
        ends.update(row[0] for row in json.loads(body)["rows"] if row[2] >= TaskState.SUCCEEDED)
    assert ends == Counter({task_id: 1 for task_id, _ in taken})
    for task in Task.objects.all():
        assert TaskState(task.state) in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)
        assert (task.result is not None) == (task.state == TaskState.SUCCEEDED)
    # The others were told, and what they said is kept.
    assert Attempt.objects.filter(outcome="superseded").exists()


@pytest.mark.django_db
def test_a54_a_user_who_is_deleted_leaves_the_tasks_and_takes_the_tokens() -> None:
    owner, admin = make_user("owner", is_superuser=True), make_user("root", is_superuser=True, is_staff=True)
    caller = Caller(token_of(owner))
    task_id = caller.post("/api/v1/tasks", {"type": "t"}).json["id"]
    browser = Client()
    browser.force_login(admin)
    # Whoever has tokens is switched off instead: what was done with them stays explained.
    assert browser.post(f"/admin/auth/user/{owner.pk}/delete/", {"post": "yes"}).status_code == 403
    assert caller.read("/api/v1/tasks").status == 200
    owner.delete()
    assert caller.read("/api/v1/tasks").status == 401
    task = Task.objects.get(pk=task_id)
    assert (task.state, task.submitted_by) == (TaskState.QUEUED, "owner")
    assert Caller(token_of(admin)).read(f"/api/v1/tasks/{task_id}").json["submitted_by"] == "owner"


@pytest.mark.django_db
def test_a54_a_node_with_running_attempts_cannot_be_deleted() -> None:
    node = make_node()
    task = make_task(state=TaskState.RUNNING, node=node, now=timezone.now())
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True, is_staff=True))
    assert browser.post(f"/admin/dispatcher/node/{node.pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post("/admin/dispatcher/node/", {"action": "delete_selected", "_selected_action": [node.pk], "post": "yes"})
    assert Node.objects.filter(pk=node.pk).exists()
    task.refresh_from_db()
    assert task.state == TaskState.RUNNING

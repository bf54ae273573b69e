"""What happened to a task: in order, in pages, with who did it as long as the audit trail has it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from dispatcher import lifecycle
from dispatcher.models import Change
from dispatcher.queries import task_events
from dispatcher.queries.task_events import is_event_id
from dispatcher.states import AttemptOutcome, TaskState
from tests.factories import NOW, make_attempt, make_node, make_task, make_user

pytestmark = pytest.mark.django_db


def at(seconds: float) -> object:
    return NOW + timedelta(seconds=seconds)


def kinds(task_id: int) -> list[str]:
    page = task_events(task_id)
    assert page
    return [event["kind"] for event in page["events"]]


def test_a_retried_task_tells_of_each_attempt_in_order() -> None:
    node = make_node("w-1")
    task = make_task(state=TaskState.RUNNING, node=node, attempt=2, submitted_by="ann")
    task.created_at = task.queued_at = at(0)
    task.queued_at, task.dispatched_at, task.started_at = at(20), at(21), at(22)
    task.created_at = at(0)
    task.save()
    make_attempt(
        task, number=1, node=node, outcome=AttemptOutcome.TIMED_OUT,
        queued_at=at(1), dispatched_at=at(2), started_at=at(3), ended_at=at(10),
    )  # fmt: skip
    page = task_events(task.pk)
    assert page
    assert [(event["kind"], event["attempt"]) for event in page["events"]] == [
        ("created", None), ("queued", 1), ("dispatched", 1), ("started", 1), ("timed_out", 1), ("retry_scheduled", 1),
        ("queued", 2), ("dispatched", 2), ("started", 2),
    ]  # fmt: skip
    told = {event["kind"]: event for event in page["events"]}
    assert told["created"]["actor"] == "ann"
    assert told["started"]["node"] == "w-1"
    assert (told["timed_out"]["level"], told["queued"]["level"]) == ("bad", "minor")
    assert told["retry_scheduled"]["until"] == at(20)
    assert page["before"] is None


def test_pages_go_back_without_losing_or_repeating_anything() -> None:
    node = make_node("w-1")
    task = make_task(state=TaskState.SCHEDULED, attempt=30, max_attempts=60)
    for number in range(1, 31):
        begin = number * 10
        make_attempt(
            task, number=number, node=node, outcome=AttemptOutcome.FAILED,
            queued_at=at(begin), dispatched_at=at(begin + 1), started_at=at(begin + 2), ended_at=at(begin + 3),
        )  # fmt: skip
    whole = task_events(task.pk)
    assert whole
    ids: list[str] = []
    before = ""
    while True:
        page = task_events(task.pk, before=before, limit=7)
        assert page
        ids = [event["id"] for event in page["events"]] + ids
        if page["before"] is None:
            break
        before = page["before"]
    assert ids == [event["id"] for event in whole["events"]]
    assert len(ids) == len(set(ids)) >= 150
    assert all(is_event_id(one) for one in ids)


def test_who_cancelled_and_who_looked_are_told_while_the_audit_trail_lasts() -> None:
    waiting, running = make_task(), make_task(state=TaskState.RUNNING, node=make_node("w-1"))
    lifecycle.cancel([waiting.pk, running.pk], actor="olga", now=NOW + timedelta(minutes=1))
    lifecycle.note_unmasked(running.pk, actor="otto", now=NOW + timedelta(minutes=2))
    [cancelled] = [event for event in task_events(waiting.pk)["events"] if event["kind"] == "cancelled"]  # type: ignore[index]
    assert (cancelled["actor"], cancelled["level"]) == ("olga", "warning")
    told = {event["kind"]: event["actor"] for event in task_events(running.pk)["events"]}  # type: ignore[index]
    assert (told["cancel_requested"], told["unmasked"]) == ("olga", "otto")
    Change.objects.all().delete()
    assert kinds(waiting.pk)[-1] == "cancelled"
    assert "cancel_requested" in kinds(running.pk)
    assert "unmasked" not in kinds(running.pk)


def test_one_look_at_secrets_is_one_row_however_many_pages_are_read() -> None:
    task, other = make_task(), make_task()

    def look(pk: int, actor: str, second: int) -> None:
        lifecycle.note_unmasked(pk, actor=actor, now=NOW + timedelta(seconds=second))

    for second in (0, 1, 30, 59, 60, 90, 121):
        look(task.pk, "otto", second)
    look(other.pk, "otto", 122)
    look(task.pk, "olga", 123)
    seen = Change.objects.filter(kind="task.unmasked").order_by("id").values_list("actor", "at")
    seconds = [(actor, (at - NOW).total_seconds()) for actor, at in seen]
    assert seconds == [("otto", 0), ("otto", 60), ("otto", 121), ("otto", 122), ("olga", 123)]


def test_the_route_checks_what_it_is_asked(client: Client) -> None:
    client.force_login(make_user())
    task = make_task()
    path = f"/api/v1/tasks/{task.pk}/events"
    assert client.get(path).json()["events"][0]["kind"] == "created"
    for query in ("before=x", "before=1-2-3", "limit=201", "limit=0", "nothing=1"):
        assert client.get(f"{path}?{query}").status_code == 400, query
    assert client.get("/api/v1/tasks/999999/events").status_code == 404
    assert task_events(999999) is None

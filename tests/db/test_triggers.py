"""What the database refuses by looking at the row as it was: moves that are not drawn, and any change after the end."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from dispatcher.lifecycle import TRANSITIONS
from dispatcher.models import BulkJob, Node, Task
from dispatcher.states import TERMINAL, TaskState
from tests.factories import NOW, make_bulk_job, make_node, make_task

pytestmark = pytest.mark.django_db

DRAWN = {
    (source, target)
    for transition in TRANSITIONS.values()
    for source in transition.sources
    for target in transition.targets
}
CLAIM = (TaskState.QUEUED, TaskState.DISPATCHED)


def move(source: TaskState, target: TaskState, *, attempts: int) -> None:
    """Give a task in ``source`` all that a task in ``target`` has, after so many attempts more."""
    task = make_task(state=source, attempt=1, released=1, feed=False)
    model = make_task(state=target, attempt=1 + attempts, released=1, feed=False)
    change(task, **values_of(model))


def values_of(task: Task) -> dict[str, Any]:
    return {f.attname: getattr(task, f.attname) for f in Task._meta.concrete_fields if f.name != "id"}


def change(row: BulkJob | Task | Node, **values: Any) -> None:
    with transaction.atomic():
        type(row).objects.filter(pk=row.pk).update(**values)


@pytest.mark.parametrize(("source", "target"), sorted(DRAWN), ids=lambda state: state.word)
def test_moves_that_are_drawn_are_made(source: TaskState, target: TaskState) -> None:
    move(source, target, attempts=(source, target) == CLAIM)


@pytest.mark.parametrize(
    ("source", "target"),
    [pair for pair in itertools.permutations(TaskState, 2) if pair not in DRAWN],
    ids=lambda state: state.word,
)
def test_other_moves_are_refused(source: TaskState, target: TaskState) -> None:
    with pytest.raises(IntegrityError, match=r"task_moves_as_drawn|task_ended_stays"):
        move(source, target, attempts=0)


@pytest.mark.parametrize(
    ("source", "target"), sorted(pair for pair in DRAWN if TaskState.EXPIRED not in pair), ids=lambda state: state.word
)
@pytest.mark.parametrize("off_by", [-1, 1])
def test_the_attempt_rises_by_one_at_the_claim_and_only_there(
    source: TaskState, target: TaskState, off_by: int
) -> None:
    task = make_task(state=source, attempt=5, max_attempts=9, feed=False)
    model = make_task(state=target, attempt=5 + ((source, target) == CLAIM) + off_by, max_attempts=9, feed=False)
    with pytest.raises(IntegrityError, match="task_attempt_rises_by_claim"):
        change(task, **values_of(model))


def test_a_count_does_not_fall() -> None:
    task = make_task(state=TaskState.RUNNING, attempt=3, released=1, crashes=1)
    for counter in ("released", "crashes"):
        with pytest.raises(IntegrityError, match="task_attempt_rises_by_claim"):
            change(task, **{counter: 0})


@pytest.mark.parametrize("state", sorted(TERMINAL), ids=lambda state: state.word)
def test_a_task_that_has_ended_stays_as_it_is(state: TaskState) -> None:
    task = make_task(state=state)
    for values in ({"priority": 1}, {"payload": "1"}, {"tags": '["a"]'}, {"truncated": True}, {"lane_id": 0}):
        with pytest.raises(IntegrityError, match="task_ended_stays"):
            change(task, **values)
    change(task, sanitized=True)
    assert Task.objects.filter(pk=task.pk).delete()[0] == 1


def test_the_result_and_the_node_of_a_success_stay() -> None:
    task, other = make_task(state=TaskState.SUCCEEDED), make_node()
    for values in ({"result": "2"}, {"node_id": other.pk}, {"incarnation": 9}):
        with pytest.raises(IntegrityError, match="task_ended_stays"):
            change(task, **values)


def test_every_column_of_an_ended_task_is_looked_at() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'task_ended_stays'")
        else:
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'task_ended_stays'")
        looked_at = set(re.findall(r"\bold\.(\w+)", cursor.fetchone()[0].lower()))
    assert looked_at == {f.column for f in Task._meta.concrete_fields} - {"sanitized"}


def test_the_incarnation_of_a_node_does_not_fall() -> None:
    node = make_node(incarnation=5)
    with pytest.raises(IntegrityError, match="node_incarnation_rises"):
        change(node, incarnation=4)
    change(node, incarnation=6)


BULK_MOVES = {
    ("running", "paused"), ("running", "done"), ("running", "cancelled"), ("running", "failed"),
    ("paused", "running"), ("paused", "cancelled"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target"), list(itertools.permutations(("running", "paused", "done", "cancelled", "failed"), 2))
)
def test_bulk_actions_move_as_drawn(source: str, target: str) -> None:
    job, model = make_bulk_job(state=source, cursor=1), make_bulk_job(state=target, cursor=1)
    names = ("state", "paused_at", "paused_by", "finished_at", "error")
    values = {name: getattr(model, name) for name in names}
    if (source, target) in BULK_MOVES:
        change(job, **values)
    else:
        with pytest.raises(IntegrityError, match="bulk_job_moves_as_drawn"):
            change(job, **values)


def test_what_a_bulk_action_has_dealt_with_stays_behind_it_and_its_scope_stays_as_it_is() -> None:
    job = make_bulk_job(cursor=500, done=5, skipped=5, failed=5)
    other = {
        "cursor": 501, "done": 4, "skipped": 4, "failed": 4, "newest_id": 2000, "action": "cancel", "query": "",
        "actor": "bob", "again": True,
    }  # fmt: skip
    for name, value in other.items():
        with pytest.raises(IntegrityError, match="bulk_job_goes_down"):
            change(job, **{name: value})
    change(job, cursor=499, done=6, skipped=6, failed=6, next_at=NOW, held_by="full")

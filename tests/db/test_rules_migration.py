"""A database of the version before: what its rows meet when the rules come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from dispatcher.models import Attempt, Change, Node, Queue, Task
from dispatcher.states import TaskState
from tests.factories import make_attempt, make_node, make_task

pytestmark = pytest.mark.django_db(transaction=True)


def columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return {column[0] for column in cursor.description}


class Later:
    """The columns that later versions have, so that the factories and models of today can be used with older tables."""

    def __init__(self) -> None:
        self._added: set[tuple[str, str]] = set()

    def add(self) -> None:
        with connection.schema_editor() as editor:
            for model in (Change, Node, Queue, Task, Attempt):
                table = model._meta.db_table
                known = columns(table)
                for field in model._meta.local_concrete_fields:
                    if field.column not in known:
                        kind = field.db_type(connection)
                        editor.execute(f"ALTER TABLE {table} ADD COLUMN {field.column} {kind} NULL")
                        self._added.add((table, field.column))

    def drop(self) -> None:
        with connection.schema_editor() as editor:
            for table, column in self._added:
                # SQLite copies tables when it migrates, without what is none of theirs.
                if column in columns(table):
                    editor.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        self._added.clear()


later = Later()


def migrate(name: str) -> None:
    later.drop()
    try:
        call_command("migrate", "dispatcher", name, verbosity=0)
    finally:
        later.add()


@pytest.fixture
def before() -> Iterator[None]:
    migrate("0006")
    yield
    # However the test left it: others go on with this database.
    Task.objects.all().delete()
    Attempt.objects.all().delete()
    later.drop()
    call_command("migrate", "dispatcher", verbosity=0)


def change(task: Task, **values: Any) -> None:
    Task.objects.filter(pk=task.pk).update(**values)


def unchecked_rules() -> int:
    """Rules that PostgreSQL has not held against the rows that were there before them."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_constraint WHERE NOT convalidated")
        return int(cursor.fetchone()[0])


@pytest.mark.usefixtures("before")
def test_rows_of_the_version_before_are_kept_and_held_to_the_rules() -> None:
    tasks = [make_task(state=state, attempt=1) for state in TaskState if state is not TaskState.EXPIRED]
    make_attempt(tasks[0])
    kept = list(Task.objects.order_by("id").values()), list(Attempt.objects.values())
    # These could be made, and what they should be is beyond doubt.
    none_allowed = make_task(state=TaskState.FAILED, max_attempts=0)
    node, other = make_node(), make_node()
    refused = [make_attempt(none_allowed, node=by, outcome="superseded", number=7) for by in (node, node, other)]

    migrate("0007")

    assert Task.objects.get(pk=none_allowed.pk).max_attempts == 1
    assert set(Attempt.objects.filter(number=7).values_list("pk", flat=True)) == {refused[0].pk, refused[2].pk}
    others = Task.objects.exclude(pk=none_allowed.pk), Attempt.objects.exclude(number=7)
    assert (list(others[0].order_by("id").values()), list(others[1].values())) == kept
    assert unchecked_rules() == 0
    with pytest.raises(IntegrityError, match="task_ended_stays"):
        change(tasks[TaskState.SUCCEEDED], result="2")
    with pytest.raises(IntegrityError, match="task_attempts_in_bound"):
        change(tasks[TaskState.RUNNING], attempt=4)


@pytest.mark.usefixtures("before")
def test_rows_that_break_a_rule_stop_the_migration_which_names_them() -> None:
    fine = make_task()
    broken = [make_task(queued_at=None) for _ in range(6)]
    twice = [make_attempt(fine, number=1, node=make_node()) for _ in range(2)]
    named = ", ".join(str(task.pk) for task in broken[:5])
    with pytest.raises(IntegrityError, match=f"attempt_ended_once: {twice[1].pk}$"):
        migrate("0007")
    twice[0].delete()
    with pytest.raises(IntegrityError, match=f"dispatcher_task break rules.*task_queued_has_time: {named} and more$"):
        migrate("0007")
    # Once they are mended it goes on from where it stopped.
    for task in broken:
        change(task, queued_at=task.created_at)
    migrate("0007")
    assert unchecked_rules() == 0

"""SQLite uses a partial index only for conditions that it can compare with the index's own. A full scan of the tasks
instead would go unnoticed on a small table."""

from __future__ import annotations

import pytest

from dispatcher.models import Task
from dispatcher.states import TaskState
from tests.factories import NOW

pytestmark = pytest.mark.django_db

QUERIES = {
    "task_active": Task.objects.active,
    "task_expiring": lambda: Task.objects.waiting().filter(expires_at__lte=NOW).order_by("expires_at"),
    "task_ready": lambda: Task.objects.ready().filter(lane_id=1),
    "task_due": lambda: Task.objects.filter(state=TaskState.SCHEDULED).order_by("run_at"),
    "task_failed": lambda: Task.objects.filter(state=TaskState.FAILED).order_by("-id"),
}


@pytest.mark.parametrize("index", QUERIES)
def test_the_partial_index_is_used(index: str, on_postgres: bool) -> None:
    # PostgreSQL chooses by statistics, which an empty table has none of; there any plan is right here.
    assert on_postgres or index in QUERIES[index]().explain()

"""Lists of tasks in other orders than the newest first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatcher.models import Task
from dispatcher.queries import TaskFilters, task_search, task_sort
from dispatcher.queries.task_look import SORTED_WITHIN, SORTS
from dispatcher.queries.task_sort import Reading, ordered, parse_cursor, read
from dispatcher.queries.tasks_document import Screen, count_new
from dispatcher.states import TaskState
from tests.factories import make_node, make_task

pytestmark = pytest.mark.django_db


def ids(sort: str, q: str = "", limit: int = 500) -> list[int]:
    """All of the list, page by page."""
    found: list[int] = []
    cursor = None
    while True:
        page = read(TaskFilters.of_text(q), Reading.of(cursor, sort=sort, limit=limit))
        found += [int(row["id"]) for row in page["rows"]]
        if page["next"] is None:
            return found
        cursor = parse_cursor(page["next"])


def ended_task(waited: float, ran: float, **fields: object) -> int:
    start = timezone.now() - timedelta(hours=1)
    times = {"started_at": start + timedelta(seconds=waited), "finished_at": start + timedelta(seconds=waited + ran)}
    return make_task(state=TaskState.SUCCEEDED, node=make_node(), now=start, **times, **fields).pk


def test_every_order_there_is_has_a_way_to_it() -> None:
    assert set(task_sort._KEYS) == set(SORTED_WITHIN)
    for sort in SORTS:
        assert ids(sort) == []


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_what_was_found_is_sorted_and_what_has_no_value_comes_last(limit: int) -> None:
    first, second, third = ended_task(5, 1, priority=1), ended_task(1, 9), ended_task(3, 4, priority=-1)
    never = make_task(state=TaskState.SCHEDULED, run_at=timezone.now() + timedelta(hours=1)).pk
    assert ids("-waited", limit=limit) == [first, third, second, never]
    assert ids("waited", limit=limit) == [second, third, first, never]
    assert ids("-ran", limit=limit) == [second, third, first, never]
    assert ids("-ended", limit=limit) == [second, third, first, never]
    # Of equals the newest first.
    assert ids("-priority", limit=limit) == [first, never, second, third]
    assert ids("created", limit=limit) == [first, second, third, never]


def test_what_waits_or_runs_now_counts_until_now() -> None:
    now = timezone.now()
    short, long = (make_task(now=now - timedelta(minutes=ago)).pk for ago in (1, 50))
    ended = ended_task(600, 600)
    running = make_task(state=TaskState.RUNNING, node=make_node(), now=now - timedelta(hours=2)).pk
    assert [pk for pk in ids("-waited") if pk != running] == [long, ended, short]
    assert ids("-ran")[:2] == [running, ended]


def test_only_the_newest_that_match_are_sorted_and_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_sort, "MAX_COUNTED", 2)
    made = [ended_task(waited, 1, tags=["x"]) for waited in (9, 1, 5)]
    make_task()
    found = ordered(TaskFilters.of_text("tag:x"), Reading(sort="-waited"))
    assert [int(row["id"]) for row in found.page["rows"]] == [made[2], made[1]]
    assert (found.count, found.is_capped, found.page["searched_to"]) == (2, True, str(made[1]))


def test_pages_go_on_in_what_was_sorted_first_while_new_tasks_come() -> None:
    made = [ended_task(waited, 1) for waited in (1, 3, 5)]
    page = read(TaskFilters(), Reading(sort="-waited", limit=1))
    ended_task(4, 1)
    following = read(TaskFilters(), Reading.of(parse_cursor(page["next"] or ""), sort="-waited", limit=5))
    assert [int(row["id"]) for row in following["rows"]] == [made[1], made[0]]
    assert following["next"] is None


@pytest.mark.parametrize("text", ["", "x", "0", "1.", ".1", "1.x", "1.2.3", "-1", "9" * 30])
def test_what_no_page_gave_as_next_is_none(text: str) -> None:
    assert parse_cursor(text) is None


def test_the_oldest_first_says_how_far_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 3)
    for _ in range(5):
        make_task(state=TaskState.FAILED)
    make_task(state=TaskState.SUCCEEDED)
    found = ordered(TaskFilters.of_text("state:succeeded"), Reading(sort="created"))
    oldest = Task.objects.order_by("id").values_list("id", flat=True)[0]
    assert (found.count, found.searched, found.page["searched_to"]) == (0, 3, str(oldest + 3))
    assert ids("created", "state:succeeded") != []


def test_of_a_sorted_list_what_came_since_is_new() -> None:
    first, second = make_task().pk, make_task().pk
    screen = Screen(TaskFilters.of_text("state:queued"), frozenset({first}), None, 1, newest=second)
    assert count_new(screen) == 0
    make_task()
    make_task(state=TaskState.FAILED)
    assert count_new(screen) == 1


def test_sorting_costs_few_statements_however_much_there_is() -> None:
    for waited in range(30):
        ended_task(waited, 1)
    with CaptureQueriesContext(connection) as queries:
        read(TaskFilters(), Reading(sort="-waited", limit=10))
    assert len(queries) <= 12
    assert not any("COUNT(" in query["sql"] for query in queries)

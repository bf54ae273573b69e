from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatcher.models import Task, TaskProgress
from dispatcher.queries import TaskFilters, task_page, task_rows, task_search
from dispatcher.states import TaskState
from tests.factories import NOW, make_error, make_node, make_progress, make_task

pytestmark = pytest.mark.django_db


def ids(filters: TaskFilters | None = None, *, limit: int = 100) -> list[int]:
    """All matching ids, page by page."""
    found: list[int] = []
    after = None
    for _ in range(1000):
        page = task_page(filters or TaskFilters(), after=after, limit=limit)
        found += [int(row["id"]) for row in page["rows"]]
        if page["next"] is None:
            return found
        after = int(page["next"])
    raise AssertionError("the pages do not end")


def test_a_row_says_what_a_list_shows() -> None:
    node = make_node("w-1")
    started = NOW + timedelta(seconds=1)
    task = make_task(
        state=TaskState.FAILED, queue="gpu", task_type="render", node=node, tags=["nightly"], priority=5,
        started_at=started, finished_at=started + timedelta(seconds=2), attempt=3, released=1,
    )  # fmt: skip
    row = task_rows([task.pk])[0]
    assert row == {
        "id": str(task.pk), "version": 39, "state": "failed", "type": "render", "queue": "gpu", "node": "w-1",
        "attempt": 3, "counted_attempts": 2, "max_attempts": 3, "priority": 5, "tags": ["nightly"],
        "submitted_by": "", "cancel_requested": False, "created_at": NOW, "run_at": None, "queued_at": NOW,
            "started_at": started,
        "finished_at": started + timedelta(seconds=2), "wait_ms": 1000.0, "run_ms": 2000.0, "progress": None,
        "error": "ValueError: bad value",
    }  # fmt: skip


def test_progress_is_shown_of_the_current_attempt_only() -> None:
    task = make_task(state=TaskState.RUNNING, attempt=2)
    make_progress(task, 0.5, "halfway")
    assert task_rows([task.pk])[0]["progress"] == {"fraction": 0.5, "message": "halfway", "at": NOW}
    TaskProgress.objects.filter(task=task).update(attempt=1)
    assert task_rows([task.pk])[0]["progress"] is None


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.SCHEDULED, TaskState.EXPIRED])
def test_the_start_of_an_earlier_attempt_is_not_shown_as_this_ones(state: TaskState) -> None:
    task = make_task(state=state, attempt=1, started_at=NOW)
    row = task_rows([task.pk])[0]
    assert (row["started_at"], row["wait_ms"], row["run_ms"]) == (None, None, None)


def test_a_task_cancelled_while_it_waited_has_not_run() -> None:
    waited = make_task(state=TaskState.CANCELLED, started_at=NOW, cancel_requested_at=NOW)
    ran = make_task(state=TaskState.CANCELLED, started_at=NOW, cancel_requested_at=NOW - timedelta(seconds=1))
    assert task_rows([waited.pk])[0]["run_ms"] is None
    assert task_rows([ran.pk])[0]["run_ms"] == 0.0


@pytest.mark.parametrize(
    ("stored", "head"),
    [
        (make_error("ValueError", "line one\nline two"), "ValueError: line one"),
        (make_error("ValueError", ""), "ValueError"),
        (make_error("", "only words"), "only words"),
        (make_error("E", 'quoted "x" \\ and \u00e9'), 'E: quoted "x" \\ and \u00e9'),
        (make_error("E", "x" * 5000), "E: " + "x" * 196 + "…"),
        (make_error("E", "\\" * 5000), "E: " + "\\" * 196 + "…"),
        ("{}", "unknown error"),
    ],
)
def test_the_head_of_an_error_is_its_type_and_first_line(stored: str, head: str) -> None:
    task = make_task(state=TaskState.FAILED, error=stored)
    assert task_rows([task.pk])[0]["error"] == head


def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition() -> None:
    made = [make_task().pk for _ in range(7)]
    assert ids(limit=3) == made[::-1]
    assert task_page(TaskFilters(), after=made[0])["rows"] == []


def test_pages_are_stable_while_tasks_arrive() -> None:
    made = [make_task().pk for _ in range(4)]
    first = task_page(TaskFilters(), limit=2)
    make_task()
    assert first["next"] is not None
    second = task_page(TaskFilters(), after=int(first["next"]), limit=2)
    assert [int(row["id"]) for row in first["rows"] + second["rows"]] == made[::-1]


def some_tasks(rng: random.Random) -> list[Task]:
    nodes = [make_node("w-1"), make_node("w-2")]
    return [
        make_task(
            state=rng.choice(list(TaskState)),
            queue=rng.choice(["default", "gpu"]),
            task_type=rng.choice(["echo", "render"]),
            node=rng.choice(nodes),
            tags=rng.sample(["a", "b"], rng.randrange(3)),
            now=NOW + timedelta(seconds=n * 100),
            retry_of=rng.choice([None, None, 1]),
        )
        for n in range(60)
    ]


def matches(task: Task, filters: TaskFilters) -> bool:
    return (
        (not filters.states or task.state in filters.states)
        and (not filters.queues or task.lane.queue in filters.queues)
        and (not filters.types or task.lane.type in filters.types)
        and (not filters.node or (task.node is not None and task.node.name == filters.node))
        and (not filters.tag or filters.tag in task.tag_list)
        and (filters.created_after is None or task.created_at >= filters.created_after)
        and (filters.created_before is None or task.created_at < filters.created_before)
        and (filters.retry_of is None or task.retry_of == filters.retry_of)
    )


def random_filters(rng: random.Random) -> TaskFilters:
    def sometimes(value, chance=0.3):
        return value if rng.random() < chance else None

    return TaskFilters(
        states=frozenset(rng.sample(list(TaskState), rng.randrange(1, 5))) if rng.random() < 0.7 else frozenset(),
        queues=frozenset(sometimes(["gpu"]) or []),
        types=frozenset(sometimes(["echo"]) or []),
        node=sometimes("w-1", 0.2) or "",
        tag=sometimes("a", 0.2) or "",
        created_after=sometimes(NOW + timedelta(seconds=1000), 0.2),
        created_before=sometimes(NOW + timedelta(seconds=4000), 0.2),
        retry_of=sometimes(1, 0.1),
    )


@pytest.mark.parametrize("window", [5, 100_000])
@pytest.mark.parametrize("few", [0, 5000])
def test_any_filters_find_exactly_what_matches(window: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small windows make every search end early and go on from page to page.
    monkeypatch.setattr(task_search, "WINDOW", window)
    monkeypatch.setattr(task_search, "INDEX_WINDOW", window)
    monkeypatch.setattr(task_search, "FEW_WAITING", few)
    rng = random.Random(window + few)
    tasks = some_tasks(rng)
    for _ in range(25):
        filters = random_filters(rng)
        expected = sorted((task.pk for task in tasks if matches(task, filters)), reverse=True)
        assert ids(filters, limit=rng.choice([1, 4, 100])) == expected, filters


def test_unknown_names_match_nothing() -> None:
    make_task()
    for filters in (TaskFilters(queues=frozenset({"x"})), TaskFilters(node="x"), TaskFilters(tag="x")):
        assert task_page(filters) == {"rows": [], "next": None, "searched_to": None}


def test_a_search_that_ended_early_says_how_far_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 3)
    oldest = make_task(state=TaskState.SUCCEEDED)
    others = [make_task(state=TaskState.FAILED) for _ in range(5)]
    page = task_page(TaskFilters(states=frozenset({TaskState.SUCCEEDED})))
    assert page["rows"] == []
    assert page["searched_to"] == str(others[1].pk)
    assert page["next"] is not None
    following = task_page(TaskFilters(states=frozenset({TaskState.SUCCEEDED})), after=int(page["next"]))
    assert [row["id"] for row in following["rows"]] == [str(oldest.pk)]


def test_a_page_costs_the_same_number_of_statements_whatever_its_size() -> None:
    def cost(size: int) -> int:
        for _ in range(size):
            make_task(state=TaskState.RUNNING)
        with CaptureQueriesContext(connection) as queries:
            task_page(TaskFilters(), limit=100)
        return len(queries)

    cost(1)
    assert cost(1) == cost(30) <= 5


@pytest.mark.parametrize("limit", [0, -1, 10**9])
def test_a_page_has_between_one_and_five_hundred_rows(limit: int) -> None:
    make_task()
    assert len(task_page(TaskFilters(), limit=limit)["rows"]) == 1


def test_a_window_is_the_only_lower_bound_of_its_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 3)
    for _ in range(6):
        make_task(state=TaskState.SUCCEEDED)
    with CaptureQueriesContext(connection) as queries:
        page = task_page(TaskFilters(states=frozenset({TaskState.CANCELLED})))
    assert page["searched_to"] is not None
    # Of two, SQLite would begin at the first, which is the beginning of the table.
    walk = queries[-1]["sql"]
    assert walk.count('"id" >') == 1
    assert f'"id" > {page["searched_to"]}' in walk

"""Every key of the search language, against the same condition in Python over rows of all kinds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from dispatcher.models import Queue, Task
from dispatcher.queries import TaskFilters, task_page, task_search
from dispatcher.queries.conditions import MAX_PAYLOAD_BYTES
from dispatcher.search import KEYS, SearchError
from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState
from tests.factories import make_error, make_node, make_task

pytestmark = pytest.mark.django_db

PAYLOADS: list[Any] = [
    {"user": {"id": 42, "name": "Ann"}, "n": 7.5, "ok": True, "none": None, "list": ["a", {"b": "c"}]},
    {"user": {"id": "42"}, "n": -3, "ok": False, "list": [], "huge": 12345678901234567890123},
    {"n": "7.5", "user": 1, "text": 'with "quotes", commas and \u00fcmlauts'},
    [1, 2],
    None,
    {"n": 8, "filler": "x" * MAX_PAYLOAD_BYTES},
]


def some_tasks(now: datetime) -> list[Task]:
    rng = random.Random(7)
    nodes = [make_node("w-1"), make_node("w-2")]
    made = []
    for place in range(80):
        state = rng.choice(list(TaskState))
        # Ids rise with the time of creation. No age comes near a limit while the test runs.
        at = now - timedelta(seconds=[100_000, 9000, 900, 60, 5][place // 16])
        made.append(
            make_task(
                state=state,
                queue=rng.choice(["default", "gpu", "night shift"]),
                task_type=rng.choice(["echo", "render", "render.big", "a:b"]),
                node=rng.choice(nodes),
                tags=rng.sample(["a", "b", "two words"], rng.randrange(3)),
                now=at,
                retry_of=rng.choice([None, 1, 2]),
                priority=rng.randrange(-2, 3),
                payload=json.dumps(rng.choice(PAYLOADS), ensure_ascii=False),
                submitted_by=rng.choice(["ci", "ann"]),
                **(
                    {"error": make_error(rng.choice(["TimeoutError", "ValueError"]))}
                    if state == TaskState.FAILED
                    else {}
                ),
                **({"attempt_deadline": now + timedelta(hours=rng.choice([-1, 1]))} if state in ACTIVE else {}),
                **({"cancel_requested_at": at} if state in ACTIVE and place % 2 else {}),
            )
        )
    Queue.objects.filter(name="gpu").update(paused_at=now)
    return list(Task.objects.select_related("lane", "node").order_by("id"))


def started(task: Task) -> datetime | None:
    has_run = task.state in (TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED) or (
        task.state == TaskState.CANCELLED and task.cancel_requested_at != task.finished_at
    )
    return task.started_at if has_run else None


def waited(task: Task, now: datetime) -> timedelta | None:
    end = now if task.state == TaskState.QUEUED else started(task)
    return end - task.queued_at if end and task.queued_at else None


def ran(task: Task, now: datetime) -> timedelta | None:
    begin = started(task)
    return (task.finished_at or now) - begin if begin else None


def at(task: Task, *path: str | int) -> Any:
    """The member of the payload; a value of its own where there is none."""
    value = json.loads(task.payload)
    if len(task.payload.encode()) > MAX_PAYLOAD_BYTES:
        return ...
    for name in path:
        try:
            value = value[name]
        except (TypeError, KeyError, IndexError):
            return ...
    return value


def longer(length: timedelta | None, seconds: float) -> bool:
    return length is not None and length > timedelta(seconds=seconds)


def stuck(task: Task, now: datetime) -> bool:
    if task.state in ACTIVE:
        return task.attempt_deadline is not None and task.attempt_deadline < now
    return task.state == TaskState.QUEUED and now - task.queued_at > timedelta(minutes=10)


Check = Callable[[Task, datetime], bool]
QUERIES: dict[str, Check] = {
    "": lambda _task, _now: True,
    "state:failed,queued": lambda task, _now: task.state in (TaskState.FAILED, TaskState.QUEUED),
    "state:failed state:queued": lambda _task, _now: False,
    "-state:failed": lambda task, _now: task.state != TaskState.FAILED,
    "is:waiting": lambda task, _now: task.state in WAITING,
    "is:active": lambda task, _now: task.state in ACTIVE,
    "is:ended,active": lambda task, _now: task.state in TERMINAL | ACTIVE,
    "is:retrying": lambda task, _now: task.state == TaskState.SCHEDULED and task.attempt > 0,
    "is:unclaimed": lambda task, _now: task.state == TaskState.QUEUED and task.attempt == 0,
    "is:paused": lambda task, _now: task.state in WAITING and task.lane.queue == "gpu",
    "is:stuck": stuck,
    "is:cancelling": lambda task, _now: task.state in ACTIVE and task.cancel_requested_at is not None,
    "type:render": lambda task, _now: task.lane.type == "render",
    "-type:render,echo": lambda task, _now: task.lane.type not in ("render", "echo"),
    'queue:"night shift",gpu': lambda task, _now: task.lane.queue in ("night shift", "gpu"),
    "queue:gpu queue:default": lambda _task, _now: False,
    "RENDER": lambda task, _now: "render" in task.lane.type,
    "-render": lambda task, _now: "render" not in task.lane.type,
    '"a:b"': lambda task, _now: task.lane.type == "a:b",
    "node:w-1": lambda task, _now: task.node is not None and task.node.name == "w-1",
    "node:w-1,w-2": lambda task, _now: task.node is not None,
    "-node:w-1": lambda task, _now: task.node is None or task.node.name != "w-1",
    "node:nobody,no-one": lambda _task, _now: False,
    "tag:a": lambda task, _now: "a" in task.tag_list,
    'tag:a,"two words"': lambda task, _now: bool({"a", "two words"} & set(task.tag_list)),
    "tag:a tag:b": lambda task, _now: {"a", "b"} <= set(task.tag_list),
    "-tag:a state:succeeded": lambda task, _now: "a" not in task.tag_list and task.state == TaskState.SUCCEEDED,
    "priority:1,2": lambda task, _now: task.priority in (1, 2),
    "priority:<-1": lambda task, _now: task.priority < -1,
    "attempt:>=1": lambda task, _now: task.counted_attempts >= 1,
    "attempt:0": lambda task, _now: task.counted_attempts == 0,
    "submitter:ci": lambda task, _now: task.submitted_by == "ci",
    "retry_of:1": lambda task, _now: task.retry_of == 1,
    "retry_of:1,2": lambda task, _now: task.retry_of in (1, 2),
    "-retry_of:1": lambda task, _now: task.retry_of != 1,
    "error:timeout": lambda task, _now: task.error is not None and "Timeout" in task.error,
    "-error:timeout": lambda task, _now: task.error is None or "Timeout" not in task.error,
    "error:timeout,value": lambda task, _now: task.error is not None,
    "created:<1h": lambda task, now: now - task.created_at < timedelta(hours=1),
    "created:>1h": lambda task, now: now - task.created_at > timedelta(hours=1),
    "created:2d": lambda task, now: now - task.created_at < timedelta(days=2),
    "-created:<1h": lambda task, now: now - task.created_at > timedelta(hours=1),
    "created:>2020-01-01": lambda _task, _now: True,
    "created:2020-01-01": lambda _task, _now: False,
    "created:1h,2020-01-01": lambda task, now: now - task.created_at < timedelta(hours=1),
    "queued:<1h": lambda task, now: (
        task.state != TaskState.SCHEDULED and task.queued_at is not None and now - task.queued_at < timedelta(hours=1)
    ),
    "started:<1h": lambda task, now: (started(task) or now - timedelta(days=9)) > now - timedelta(hours=1),
    "-started:<1h": lambda task, now: not (started(task) or now - timedelta(days=9)) > now - timedelta(hours=1),
    "ended:>1h": lambda task, now: task.finished_at is not None and now - task.finished_at > timedelta(hours=1),
    "-ended:>1h": lambda task, now: task.finished_at is None or now - task.finished_at < timedelta(hours=1),
    "waited:>5m": lambda task, now: longer(waited(task, now), 300),
    "-waited:>5m": lambda task, now: not longer(waited(task, now), 300),
    "ran:>5m": lambda task, now: longer(ran(task, now), 300),
    "ran:<=5m": lambda task, now: ran(task, now) is not None and not longer(ran(task, now), 300),
    "args.user.id:42": lambda task, _now: at(task, "user", "id") in (42, "42"),
    "-args.user.id:42": lambda task, _now: at(task, "user", "id") not in (42, "42"),
    "args.user.name:Ann,Bob": lambda task, _now: at(task, "user", "name") == "Ann",
    "args.n:>7": lambda task, _now: isinstance(at(task, "n"), float | int) and at(task, "n") > 7,
    "-args.n:<0": lambda task, _now: not (isinstance(at(task, "n"), float | int) and at(task, "n") < 0),
    "args.n:7.5": lambda task, _now: at(task, "n") in (7.5, "7.5"),
    "args.ok:true": lambda task, _now: at(task, "ok") is True,
    "args.none:null": lambda task, _now: at(task, "none") is None,
    "args.huge:12345678901234567890123": lambda task, _now: at(task, "huge") == 12345678901234567890123,
    "args.list.1.b:c": lambda task, _now: at(task, "list", 1, "b") == "c",
    "args.0:1": lambda task, _now: at(task, 0) == 1,
    'args.text:"with \\"quotes\\", commas and \u00fcmlauts"': lambda task, _now: at(task, "text") is not ...,
    "state:failed,queued -render tag:a created:<2d priority:>=0": lambda task, now: (
        task.state in (TaskState.FAILED, TaskState.QUEUED)
        and "render" not in task.lane.type
        and "a" in task.tag_list
        and now - task.created_at < timedelta(days=2)
        and task.priority >= 0
    ),
}


def found(text: str, limit: int, *, wider: bool = False, oldest: bool = False) -> list[int]:
    """All that match, page by page."""
    filters = TaskFilters.of_text(text)
    ids: list[int] = []
    after: int | None = None
    while True:
        page = task_page(filters, after=after, limit=limit, wider=wider, oldest=oldest)
        ids += [int(row["id"]) for row in page["rows"]]
        if page["next"] is None:
            return ids
        after = int(page["next"])


@pytest.mark.parametrize("window", [7, 100_000])
def test_every_query_finds_exactly_what_matches(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINDOW", "INDEX_WINDOW", "PAYLOAD_WINDOW", "FEW_NAMED"):
        monkeypatch.setattr(task_search, name, window)
    monkeypatch.setattr(task_search, "PAYLOAD_STEP", 3)
    monkeypatch.setattr(task_search, "FEW_WAITING", 2 if window < 100 else 5000)
    now = timezone.now()
    tasks = some_tasks(now)
    for text, check in QUERIES.items():
        expected = [task.pk for task in reversed(tasks) if check(task, now)]
        assert found(text, 100) == expected, text
        assert found(text, 5, wider=True) == expected, text
        assert found(text, 100, oldest=True) == expected[::-1], text
        assert found(text, 5, wider=True, oldest=True) == expected[::-1], text


def test_every_key_is_tried() -> None:
    tried = " ".join(QUERIES)
    assert [key for key in KEYS if f"{key}:" not in tried and key != "id"] == []


def test_an_id_is_found_by_itself_and_by_how_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    for pk in (1234, 12345, 123456, 12, 1299):
        make_task(pk=pk, state=TaskState.SUCCEEDED if pk == 12345 else TaskState.FAILED, task_type="t1234")
    assert found("1234", 100) == [123456, 12345, 1234]
    assert found("1234 state:failed", 100) == [123456, 1234]
    assert found("-1234", 100) == [1299, 12]
    assert found("12", 100) == [12]
    assert found("#1234", 100) == found("id:1234", 100) == [1234]
    assert found("id:12,1299,7", 100) == [1299, 12]
    monkeypatch.setattr(task_search, "FEW_NAMED", 2)
    assert found("1234", 100) == [123456, 12345, 1234]
    assert found("1234 type:t1234", 1) == [123456, 12345, 1234]


def test_a_search_says_how_much_it_looked_at_and_goes_further_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 3)
    oldest = make_task(state=TaskState.SUCCEEDED)
    for _ in range(10):
        make_task(state=TaskState.FAILED)
    filters = TaskFilters.of_text("state:succeeded")
    narrow = task_search.matches(filters, after=None, limit=50)
    assert (narrow.count, narrow.searched, narrow.is_capped) == (0, 3, False)
    wide = task_search.matches(filters, after=None, limit=50, wider=True)
    assert (wide.count, wide.searched) == (1, None)
    assert [row["id"] for row in wide.page["rows"]] == [str(oldest.pk)]


def test_a_search_that_takes_too_long_ends_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 2)
    monkeypatch.setattr(task_search, "PATIENCE", -1.0)
    make_task(state=TaskState.SUCCEEDED)
    for _ in range(12):
        make_task(state=TaskState.FAILED)
    filters = TaskFilters.of_text("state:succeeded")
    assert task_search.matches(filters, after=None, limit=50, wider=True).searched == 2
    assert len(found("state:succeeded", 50, wider=True)) == 1


def test_matches_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "MAX_COUNTED", 4)
    made = [make_task() for _ in range(6)]
    some = task_search.matches(TaskFilters.of_text("echo"), after=None, limit=2)
    assert (some.count, some.is_capped, len(some.page["rows"])) == (4, True, 2)
    assert some.page["next"] == str(made[4].pk)


@pytest.mark.parametrize(
    "text", ["args.password:x", "args.login.api_key:>5", "-args.token:x", "state:failed args.secret:1"]
)
def test_what_is_masked_cannot_be_found_out_by_searching(text: str) -> None:
    with pytest.raises(SearchError, match="is masked") as refused:
        TaskFilters.of_text(text)
    assert text[refused.value.start : refused.value.end].lstrip("-").startswith("args")


@pytest.mark.parametrize("text", list(QUERIES))
def test_the_canonical_text_of_the_filters_means_the_same(text: str) -> None:
    filters = TaskFilters.of_text(text)
    assert TaskFilters.of_text(filters.text) == filters
    assert TaskFilters.parse(filters.params()) == filters
    assert hash(filters) == hash(TaskFilters.of_text(text))


def test_the_older_parameters_and_a_query_hold_together() -> None:
    filters = TaskFilters.parse({"q": "state:failed,queued render", "state": "failed", "queue": "gpu"})
    assert filters.text == "state:queued,failed queue:gpu render state:failed"

from __future__ import annotations

from typing import Any

import pytest

from dispatcher import bulk
from dispatcher.models import BulkJob, Change, Task
from dispatcher.states import TaskState
from tests.api.conftest import Caller, now
from tests.factories import make_task

pytestmark = pytest.mark.django_db

URL = "/api/v1/bulk"
FAILED = {"action": "retry", "q": "state:failed"}


@pytest.fixture
def tasks() -> list[Task]:
    return [make_task(state=TaskState.FAILED) for _ in range(5)]


def test_preview_start_watch_pause_resume_cancel(operator: Caller, tasks: list[Task]) -> None:
    preview = operator.post(f"{URL}/preview", FAILED).json
    assert (preview["count"], preview["will"], preview["query"]) == (5, 5, "state:failed")
    assert preview["sample"] == [str(task.pk) for task in reversed(tasks)]
    started = operator.post(URL, FAILED | {"batch_size": 2, "per_second": None})
    assert (started.status, started.json["job"]["state"], started.json["job"]["expected"]) == (201, "running", 5)
    where = started.headers["Location"]
    bulk.work(int(started.json["job"]["id"]), now=now())
    job = operator.read(where).json["job"]
    assert (job["done"], job["fraction"], job["actor"], job["tag"]) == (2, 0.4, "otto", f"bulk-{job['id']}")
    paused = operator.post(f"{where}/pause").json["job"]
    assert (paused["state"], paused["paused_by"]) == ("paused", "otto")
    assert operator.post(f"{where}/resume", {}).json["job"]["state"] == "running"
    assert operator.post(f"{where}/cancel").json["job"]["state"] == "cancelled"
    ended = operator.post(f"{where}/pause")
    assert (ended.status, ended.is_problem, "cancelled" in ended.json["detail"]) == (409, True, True)
    assert [row["id"] for row in operator.read(URL).json["jobs"]] == [job["id"]]


def test_the_page_goes_on_below(operator: Caller) -> None:
    ids = [operator.post(URL, FAILED).json["job"]["id"] for _ in range(3)]
    first = operator.read(URL, limit="2").json
    assert ([row["id"] for row in first["jobs"]], first["next"]) == ([ids[2], ids[1]], ids[1])
    rest = operator.read(URL, limit="2", after=first["next"]).json
    assert ([row["id"] for row in rest["jobs"]], rest["next"]) == ([ids[0]], None)


def test_what_was_left_is_listed_with_its_reason(operator: Caller, tasks: list[Task]) -> None:
    waiting = make_task()
    started = operator.post(URL, {"action": "retry", "q": ""}).json["job"]
    bulk.work(int(started["id"]), now=now())
    document = operator.read(f"{URL}/{started['id']}").json
    assert document["job"]["skipped"] == 1
    assert document["left"] == [
        {"reason": "not_ended", "count": 1, "tasks": [{"id": str(waiting.pk), "detail": ""}]},
    ]


def test_a_key_that_is_sent_again_begins_nothing(operator: Caller, tasks: list[Task]) -> None:
    first = operator.post(URL, FAILED, idempotency_key="k")
    again = operator.post(URL, FAILED, idempotency_key="k")
    assert (first.status, again.status, again.json["job"]["id"]) == (201, 200, first.json["job"]["id"])
    other = operator.post(URL, FAILED | {"batch_size": 7}, idempotency_key="k")
    assert (other.status, other.json["type"]) == (409, "urn:taskdist:problem:idempotency-conflict")
    assert BulkJob.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "delete", "q": ""}, "action"),
        ({"action": "retry"}, "q"),
        ({"action": "retry", "q": "state:broken"}, "q"),
        ({"action": "retry", "q": "colour:red"}, "q"),
        ({"action": "cancel", "q": "", "again": True}, "again"),
        ({"action": "retry", "q": "", "batch_size": 1001}, "batch_size"),
        ({"action": "retry", "q": "", "per_second": 0}, "per_second"),
        ({"action": "retry", "q": "", "speed": 3}, "speed"),
    ],
)
def test_what_is_refused_begins_nothing(operator: Caller, body: Any, field: str) -> None:
    refused = operator.post(URL, body)
    assert (refused.status, refused.is_problem, refused.fields) == (400, True, [(None, field)])
    assert not BulkJob.objects.exists()
    assert not Change.objects.filter(kind="bulk.started").exists()


@pytest.mark.parametrize("job", ["1", "x", "99999999999999999999", "0"])
def test_what_is_not_there(operator: Caller, job: str) -> None:
    assert operator.read(f"{URL}/{job}").status == 404
    for word in ("pause", "resume", "cancel"):
        assert operator.post(f"{URL}/{job}/{word}").status == 404


def test_a_viewer_sees_all_and_begins_nothing(operator: Caller, viewer: Caller, tasks: list[Task]) -> None:
    assert viewer.post(f"{URL}/preview", FAILED).json["will"] == 5
    assert viewer.post(URL, FAILED).status == 403
    where = operator.post(URL, FAILED).headers["Location"]
    assert viewer.read(where).status == 200
    assert viewer.post(f"{where}/cancel").status == 403

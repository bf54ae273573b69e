from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from dispatcher import roles
from dispatcher.models import Task
from dispatcher.states import NodeIntent, NodeState, TaskState
from tests.factories import make_engine, make_logs, make_node, make_queue, make_task, make_user

pytestmark = pytest.mark.django_db

HOSTILE = "\"'><script>alert(1)</script>"
PAGES = ["/", "/tasks/", "/nodes/", "/queues/", "/types/", "/submit/", "/settings/", "/tokens/", "/jump/?q=x"]


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_user("vera"))
    return client


@pytest.fixture
def operator() -> Client:
    user = make_user("otto")
    user.groups.add(Group.objects.get_or_create(name=roles.OPERATOR_GROUP)[0])
    client = Client()
    client.force_login(user)
    return client


def body(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


@pytest.mark.parametrize("path", [*PAGES, "/tasks/1/", "/nodes/w-1/"])
def test_every_page_asks_for_a_login(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("path", PAGES[:6])
def test_pages_work_on_an_empty_installation(viewer: Client, path: str) -> None:
    assert "<h1" in body(viewer, path)


def test_a_wrong_password_is_said_and_the_name_kept(client: Client) -> None:
    make_user("vera")
    response = client.post("/login/", {"username": "vera", "password": "wrong"})
    text = response.content.decode()
    assert 'role="alert"' in text
    assert 'value="vera"' in text


def test_a_login_leads_where_one_wanted_to_go_but_not_elsewhere(client: Client) -> None:
    make_user("vera", password="right")
    form = {"username": "vera", "password": "right"}
    assert client.post("/login/", form | {"next": "/queues/"})["Location"] == "/queues/"
    client.logout()
    assert client.post("/login/", form | {"next": "https://evil.example/"})["Location"] == "/"


def test_signing_out_needs_a_post(viewer: Client) -> None:
    assert viewer.get("/logout/").status_code == 405
    assert viewer.post("/logout/")["Location"] == "/login/"
    assert viewer.get("/").status_code == 302


def test_the_overview_says_how_things_are(viewer: Client) -> None:
    now = timezone.now()
    make_engine(now=now)
    make_node("w-1", now=now, slots=8)
    make_task(state=TaskState.FAILED, task_type="render", now=now)
    text = body(viewer, "/")
    assert 'id="no-engine" hidden' in text
    assert "render" in text
    assert "ValueError: bad value" in text
    assert 'data-key="w-1"' in text
    assert 'id="first-run"' not in text


def test_a_first_run_says_what_to_do_and_a_missing_engine_is_loud(viewer: Client) -> None:
    text = body(viewer, "/")
    assert 'id="first-run"' in text
    assert re.search(r'id="no-engine"(?! hidden)', text)


def test_a_task_row_can_be_read_without_scripts(viewer: Client) -> None:
    now = timezone.now()
    node = make_node("w-1", now=now)
    task = make_task(state=TaskState.RUNNING, task_type="render", queue="gpu", node=node, now=now)
    row = re.search(rf'<tr[^>]*data-key="{task.pk}".*?</tr>', body(viewer, "/tasks/"), re.DOTALL)
    assert row is not None
    words = re.sub(r"<[^>]+>", " ", row[0]).split()
    assert {"Running", "render", f"#{task.pk}", "gpu", "w-1", "1/3"} <= set(words)


def test_tasks_are_filtered_and_a_bad_filter_is_named(viewer: Client) -> None:
    failed, queued = make_task(state=TaskState.FAILED), make_task()
    text = body(viewer, "/tasks/?state=failed")
    assert f'data-key="{failed.pk}"' in text
    assert f'data-key="{queued.pk}"' not in text
    assert "unknown parameter" in body(viewer, "/tasks/?colour=red")
    assert "unknown state" in body(viewer, "/tasks/?state=dead")


def test_tabs_count_tasks_by_state(viewer: Client) -> None:
    make_task(state=TaskState.FAILED)
    make_task(state=TaskState.RUNNING)
    counts = dict(re.findall(r'data-states="([\w,]+)">([^<]*)<', body(viewer, "/tasks/")))
    assert counts["failed"] == "1"
    assert counts["dispatched,running"] == "1"
    assert counts["queued"] == "0"


def test_pages_follow_each_other_without_gap_or_repetition(viewer: Client) -> None:
    ids = [make_task(feed=False).pk for _ in range(60)]
    seen: list[int] = []
    path: str | None = "/tasks/"
    while path:
        text = body(viewer, path)
        seen += [int(pk) for pk in re.findall(r'<tr data-bind="[^"]*" data-row data-key="(\d+)"', text)]
        found = re.search(r'href="([^"]*)" rel="next"', text)
        path = found[1].replace("&amp;", "&") if found else None
    assert seen == sorted(ids, reverse=True)


def test_viewers_are_offered_nothing_that_they_may_not_do(viewer: Client, operator: Client) -> None:
    task = make_task(state=TaskState.FAILED)
    make_node("w-1")
    make_queue("gpu")
    offers = {
        "/tasks/": 'id="bulk-retry">',
        f"/tasks/{task.pk}/": 'id="retry"',
        "/nodes/": "data-act",
        "/queues/": "data-act",
    }
    for path, offer in offers.items():
        assert offer not in body(viewer, path)
        assert offer in body(operator, path)
    assert "disabled" in re.findall(r"<button[^>]*submit-button[^>]*>", body(viewer, "/submit/"))[0]


def test_a_task_shows_attempts_payload_error_and_log(viewer: Client) -> None:
    task = make_task(state=TaskState.FAILED, payload='{"n": 12345678901234567890}')
    make_logs(task, ["hello", HOSTILE])
    text = body(viewer, f"/tasks/{task.pk}/")
    assert "12345678901234567890" in text
    assert "bad value" in text
    assert '<span class="log-text">hello</span>' in text


def test_what_is_not_there_is_a_page_with_a_way_back(viewer: Client) -> None:
    assert "/tasks/" in body(viewer, "/tasks/999/", 404)
    assert "/nodes/" in body(viewer, "/nodes/none/", 404)
    assert "There is no such page" in body(viewer, "/nothing/here/", 404)
    assert "There is no task" in body(viewer, f"/tasks/{10**19 - 1}/", 404)


def test_a_paused_queue_says_who_and_why(viewer: Client) -> None:
    make_queue("mail", paused_at=timezone.now() - timedelta(hours=2), paused_by="bob", pause_reason="SMTP moves")
    text = body(viewer, "/queues/")
    assert {"bob", "SMTP moves", "Paused"} <= set(re.findall(r">([^<]+)<", text))
    assert "2h ago" in text


def test_a_node_shows_its_intent_and_reason(viewer: Client) -> None:
    make_node(
        "w-1", intent=NodeIntent.DRAIN, intent_reason="new kernel", types={"echo": {"description": "Say it back."}}
    )
    make_node("w-2", state=NodeState.OFFLINE)
    text = body(viewer, "/nodes/w-1/")
    assert "Drained" in text
    assert "new kernel" in text
    assert "Say it back." in text
    assert "Offline" in body(viewer, "/nodes/")


def test_without_scripts_the_form_is_sent_and_comes_back_with_what_is_wrong(operator: Client, viewer: Client) -> None:
    form = re.search(r'name="key" value="(\w+)"', body(operator, "/submit/?type=render"))
    assert form is not None
    fields = {
        "key": form[1],
        "type": "render",
        "payload": '{"id": 9007199254740993}',
        "priority": "101",
        "tags": "a, b",
    }
    answer = operator.post("/submit/", fields)
    text = answer.content.decode()
    assert (answer.status_code, Task.objects.count()) == (400, 0)
    assert "priority: must be at most 100" in text
    # What was typed is still there, and so is the key.
    assert "9007199254740993" in text
    assert form[1] in text
    for _ in range(2):
        answer = operator.post("/submit/", fields | {"priority": "5"})
    task = Task.objects.get()
    assert answer["Location"] == f"/tasks/{task.pk}/"
    assert (task.payload, task.priority, task.tag_list) == ('{"id": 9007199254740993}', 5, ["a", "b"])
    assert operator.post("/submit/", fields | {"payload": "{"}).status_code == 400
    assert viewer.post("/submit/", fields).status_code == 403


def test_a_clone_fills_the_form(operator: Client) -> None:
    task = make_task(task_type="render", queue="gpu", payload='{"frame": 12}', tags=["nightly"], priority=5)
    text = body(operator, f"/submit/?from={task.pk}")
    assert 'value="render"' in text
    assert 'value="gpu"' in text
    assert "{&quot;frame&quot;: 12}" in text
    assert 'value="nightly"' in text
    assert "no task 999" in body(operator, "/submit/?from=999")


@pytest.mark.parametrize(
    ("typed", "target"),
    [("#7", "/tasks/7/"), ("w-1", "/nodes/w-1/"), ("gpu", "/tasks/?queue=gpu"), ("render", "/tasks/?type=render")],
)
def test_the_search_box_goes_to_what_was_typed(viewer: Client, typed: str, target: str) -> None:
    make_node("w-1")
    make_queue("gpu")
    assert viewer.get("/jump/", {"q": typed})["Location"] == target


def hostile_world() -> Any:
    now = timezone.now()
    node = make_node(
        "w-1", now=now, labels={HOSTILE: HOSTILE}, version=HOSTILE, intent_reason=HOSTILE, types={HOSTILE: {}}
    )
    make_queue("q", paused_at=now, paused_by=HOSTILE, pause_reason=HOSTILE, description=HOSTILE)
    task = make_task(
        state=TaskState.FAILED,
        task_type=HOSTILE,
        queue=HOSTILE,
        node=node,
        now=now,
        payload=f'"{HOSTILE}"',
        tags=[HOSTILE],
    )
    make_logs(task, [HOSTILE])
    return task


@pytest.mark.parametrize(
    "path", ["/", "/tasks/", "/tasks/{}/", "/nodes/", "/nodes/w-1/", "/queues/", "/submit/?from={}"]
)
def test_nothing_that_others_supply_becomes_markup(operator: Client, path: str) -> None:
    text = body(operator, path.format(hostile_world().pk))
    assert "<script>alert" not in text
    assert "alert(1)" in text
    assert "\"'>" not in text


@pytest.mark.parametrize(
    "path", ["/", "/tasks/", "/tasks/{}/", "/nodes/", "/nodes/w-1/", "/queues/", "/submit/", "/login/"]
)
def test_no_page_has_inline_code(operator: Client, path: str) -> None:
    text = body(operator if path != "/login/" else Client(), path.format(hostile_world().pk))
    scripts = re.findall(r"<script\b([^>]*)>", text)
    assert scripts
    assert all("src=" in attributes or 'type="application/json"' in attributes for attributes in scripts)
    assert not re.search(r"<[^>]+\s(style|on\w+)=", text)
    assert "<style" not in text


def test_payload_and_result_are_carried_once_as_text(viewer: Client) -> None:
    marks = {"payload": '"payload-9007199254740993"', "result": '"result-9007199254740993"'}
    task = make_task(state=TaskState.SUCCEEDED, **marks)
    text = body(viewer, f"/tasks/{task.pk}/")
    for name in marks:
        # Once in the tree, once as it is.
        assert text.count(f"{name}-9007199254740993") == 2
        assert f'id="{name}-tree"' in text
    assert '"payload"' not in text.partition('id="again-data"')[2].partition("</script>")[0]


def test_a_value_is_shown_from_a_place_on_and_nothing_else_breaks(viewer: Client) -> None:
    task = make_task(payload='{"list": [1, [9223372036854775809]], "password": "x"}', task_type=HOSTILE)
    page = f"/tasks/{task.pk}/payload/"
    assert "9223372036854775809" in body(viewer, f"{page}?at=0.1&first=0")
    assert "***" in body(viewer, page)
    for query in ("?at=7", "?at=x", "?at=0.1&first=x", "?first=99999999999", "?at=" + "0." * 3000):
        assert "<h1" in body(viewer, page + query)
    assert "nothing to show here" in body(viewer, f"/tasks/{task.pk}/result/")
    assert body(viewer, f"/tasks/{task.pk + 1}/payload/", 404)


def test_numbers_stay_exact_where_secrets_are_masked(viewer: Client) -> None:
    task = make_task(payload='{"token": "x", "n": [9223372036854775809, 1e400, -0, 1.10]}')
    assert html.unescape(body(viewer, f"/tasks/{task.pk}/")).count("[9223372036854775809, 1e400, -0, 1.10]") == 1

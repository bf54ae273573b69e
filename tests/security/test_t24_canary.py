"""Secrets under telling names, in everything that a task can carry, looked for in everything that a viewer can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, get_resolver

from dispatcher import lifecycle, node_registry
from dispatcher.models import Change, Node, Task
from dispatcher.models.statements import Claim, statements
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_node, make_user
from tests.live.browser import Browser, cookie_of

CANARY = "kanarie7f3a"
#: Half of it is as bad: what was shortened may end within it.
TRACE = CANARY[:8]

PAYLOAD = {
    "db": {"password": CANARY, "dsn": f"postgresql://u:{CANARY}@h/x"},
    "url": f"https://user:{CANARY}@example.org/",
    "env": [{"name": "AWS_SECRET_ACCESS_KEY", "value": CANARY}],
    "headers": {"Authorization": f"Bearer {CANARY}", "Cookie": CANARY},
    "note": f"login with password={CANARY}",
    "pem": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
}
#: Its first line is longer than what lists show, and a URL with a password stands where they cut it.
LONG = "x" * 150 + f" cannot reach postgresql://user:{CANARY * 3}@db.internal/x?token={CANARY}"
TRACEBACK = f"  File 'x.py', line 1\n    connect(password='{CANARY}')\nenviron: {{'API_KEY': '{CANARY}'}}\n"


def submit(caller: Caller, count: int) -> list[str]:
    body = {"tasks": [{"type": "mail", "payload": PAYLOAD, "max_attempts": 2} for _ in range(count)]}
    ids: list[str] = caller.post("/api/v1/tasks", body).json["ids"]
    return ids


def claim(node: Node) -> None:
    heads = statements().lock_heads([(lane, 100) for lane in statements().ready_lanes()])
    lifecycle.claim([Claim(head.id, head.attempt, node.pk, node.incarnation) for head in heads], now=now())


def report(caller: Caller, node: Node, **parts: Any) -> None:
    answer = caller.post("/api/v1/nodes/results", {"boot_id": node.boot_id, **parts})
    assert answer.status == 200, answer


@pytest.fixture
def tasks(transactional_db: None) -> dict[str, str]:
    """One task that succeeded, one that failed, one that runs."""
    operator = make_user("otto")
    operator.groups.add(Group.objects.get_or_create(name="operator")[0])
    moment = now()
    node = make_node("n-1", now=moment, url=f"http://node:{CANARY}@127.0.0.1:9000", labels={"api_token": CANARY})
    caller = Caller(node_registry.issue_credential(name=node.name, actor="tests", now=moment))
    good, bad, running = submit(Caller(token_of(operator)), 3)
    claim(node)
    node.refresh_from_db()
    error = {"type": "ConnectionError", "message": LONG, "traceback": TRACEBACK}
    line = {"attempt": 1, "level": "info", "age_ms": 0}
    logs = [
        {"task_id": task_id, "n": n, "text": text, **line}
        for task_id in (good, running)
        for n, text in enumerate((f"token={CANARY}", "x" * 7_990 + f" redis://:{CANARY}@h"), start=1)
    ]
    progress = [{"task_id": running, "attempt": 1, "fraction": 0.5, "message": f"as https://u:{CANARY}@h"}]
    results = [
        {"task_id": good, "attempt": 1, "outcome": "succeeded", "result": PAYLOAD},
        {"task_id": bad, "attempt": 1, "outcome": "failed", "error": error, "retryable": False},
    ]
    report(caller, node, logs=logs, progress=progress)
    report(caller, node, results=results)
    return {"good": good, "bad": bad, "running": running}


def paths(tasks: dict[str, str]) -> Iterator[str]:
    """Every address that can be read, with the arguments filled in."""
    yield from addresses({"name": ["n-1", "default"], "task_id": [*tasks.values()], "object_id": [*tasks.values()]})
    for task_id in tasks.values():
        yield f"/submit/?from={task_id}"
        yield f"/live/snapshot?topic=task:{task_id}"
    for topic in ("overview", "nodes", "queues", "tasks", "node:n-1"):
        yield f"/live/snapshot?topic={topic}" + ("&ids=" + ",".join(tasks.values()) if topic == "tasks" else "")
    yield "/api/v1/tasks?state=failed"
    yield "/api/v1/changes?limit=500"


def addresses(values: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The address of every route, for each of the values of its first argument."""
    for route in sorted(set(_routes(get_resolver().url_patterns))):
        names = re.findall(r"<(\w+)>", route)
        for value in values.get(names[0], []) if names else [""]:
            yield "/" + re.sub(r"<\w+>", value, route)


def _routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", str(pattern.pattern)).lstrip("^")
        if isinstance(pattern, URLPattern):
            route = re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", route).rstrip("$").replace("\\Z", "")
            if "(" not in route:
                yield route
        else:
            yield from _routes(pattern.url_patterns, route)


def read_everything(client: Client, tasks: dict[str, str]) -> tuple[dict[str, int], list[str]]:
    """Path → status, and the paths whose answer holds the canary."""
    statuses, leaks = {}, []
    for path in paths(tasks):
        response = client.get(path)
        content = b"".join(response) if response.streaming else response.content
        response.close()
        statuses[path] = response.status_code
        if TRACE.encode() in content:
            leaks.append(path)
    return statuses, leaks


def test_t24_no_address_shows_a_viewer_a_secret(tasks: dict[str, str]) -> None:
    client = Client()
    client.force_login(make_user("vera"))
    statuses, leaks = read_everything(client, tasks)
    assert leaks == []
    for path in ("/", "/tasks/", f"/tasks/{tasks['good']}/", "/nodes/n-1/", f"/api/v1/tasks/{tasks['bad']}"):
        assert statuses[path] == 200
    read = [path for path, status in statuses.items() if status == 200]
    assert len(read) > 30, statuses


def test_t24_nor_does_the_admin_show_one_to_those_who_may_use_it(tasks: dict[str, str]) -> None:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    statuses, leaks = read_everything(client, tasks)
    assert leaks == []
    assert statuses[f"/admin/dispatcher/task/{tasks['good']}/change/"] == 200


def test_t24_what_is_masked_is_still_recognisable(tasks: dict[str, str]) -> None:
    viewer = Caller(token_of(make_user("vera")))
    good = viewer.read(f"/api/v1/tasks/{tasks['good']}").json
    assert good["masked"] is True
    assert good["payload"]["db"] == {"password": "***", "dsn": "***"}
    assert good["result"]["url"] == "https://user:***@example.org/"
    bad = viewer.read(f"/api/v1/tasks/{tasks['bad']}").json
    assert bad["error"].startswith("ConnectionError: xxx")
    assert "postgresql://user:***@db" in bad["failure"]["message"]
    assert "password='***'" in bad["failure"]["traceback"]


@pytest.mark.django_db(transaction=True)
async def test_t24_no_live_frame_holds_one(tasks: dict[str, str]) -> None:
    tab = Browser(await cookie_of(await sync_to_async(make_user)("vera")))
    await tab.open()
    for topic in ("overview", "nodes", "queues", "node:n-1", *(f"task:{task_id}" for task_id in tasks.values())):
        await tab.watch(topic)
    await tab.watch("tasks", ids=list(tasks.values()))
    assert tab.num_data_frames >= 8
    assert TRACE not in json.dumps(tab.frames)
    await tab.leave()


def test_t24_what_is_stored_stays_whole(tasks: dict[str, str]) -> None:
    stored = Task.objects.get(pk=tasks["good"])
    assert json.loads(stored.payload) == json.loads(stored.result) == PAYLOAD


def test_a42_the_program_that_submitted_a_task_gets_its_data_and_no_secret_of_the_node(tasks: dict[str, str]) -> None:
    from django.contrib.auth import get_user_model

    own = Caller(token_of(get_user_model().objects.get(username="otto")))
    assert own.read(f"/api/v1/tasks/{tasks['good']}").json["result"] == PAYLOAD
    failed = own.read(f"/api/v1/tasks/{tasks['bad']}")
    assert failed.json["payload"] == PAYLOAD
    assert TRACE not in json.dumps(failed.json["failure"])
    assert TRACE not in own.read(f"/api/v1/tasks/{tasks['good']}/logs").content.decode()
    assert not Change.objects.filter(kind="task.unmasked").exists()


def test_a42_another_program_gets_them_masked_until_an_operator_asks_which_is_on_record(tasks: dict[str, str]) -> None:
    other = make_user("olga")
    other.groups.add(Group.objects.get_or_create(name="operator")[0])
    caller, path = Caller(token_of(other)), f"/api/v1/tasks/{tasks['good']}"
    assert TRACE not in caller.read(path).content.decode()
    assert caller.read(path, unmasked="true").json["payload"] == PAYLOAD
    assert CANARY in caller.read(f"{path}/logs", unmasked="true").content.decode()
    rows = Change.objects.filter(kind="task.unmasked", actor="olga")
    # Both are one look.
    assert [json.loads(row.body) for row in rows] == [{"task_id": int(tasks["good"])}]


@pytest.mark.parametrize("suffix", ["", "/logs"])
def test_a42_a_viewer_who_asks_is_refused(tasks: dict[str, str], suffix: str) -> None:
    viewer = Caller(token_of(make_user("vera")))
    answer = viewer.read(f"/api/v1/tasks/{tasks['good']}{suffix}", unmasked="true")
    assert (answer.status, answer.is_problem) == (403, True)
    assert TRACE not in answer.content.decode()
    assert viewer.read(f"/api/v1/tasks/{tasks['good']}{suffix}", unmasked="perhaps").fields == [(None, "unmasked")]
    assert not Change.objects.filter(kind="task.unmasked").exists()


def test_a42_the_page_shows_secrets_to_operators_only_and_says_so(tasks: dict[str, str]) -> None:
    path = f"/tasks/{tasks['bad']}/"
    viewer, operator = Client(), Client()
    viewer.force_login(make_user("vera"))
    operator.force_login(make_user("olga", is_staff=True))
    assert "Show secrets" not in viewer.get(path).content.decode()
    assert TRACE not in viewer.get(path, {"unmasked": "true"}).content.decode()
    assert "Show secrets" in operator.get(path).content.decode()
    shown = operator.get(path, {"unmasked": "true"}).content.decode()
    assert CANARY in shown
    assert "Hide secrets" in shown
    assert [row.actor for row in Change.objects.filter(kind="task.unmasked")] == ["olga"]


def test_a42_a_clone_says_that_secrets_are_missing_and_can_have_them(tasks: dict[str, str]) -> None:
    operator = Client()
    operator.force_login(make_user("olga", is_staff=True))
    page = operator.get("/submit/", {"from": tasks["good"]}).content.decode()
    assert "masked as ***" in page
    assert TRACE not in page
    assert CANARY in operator.get("/submit/", {"from": tasks["good"], "unmasked": "true"}).content.decode()


def test_a42_a_problem_does_not_repeat_a_secret() -> None:
    answer = Caller().read(f"/api/v1/http://user:{CANARY}@host/x")
    assert answer.status == 404
    assert TRACE not in answer.content.decode()

from __future__ import annotations

import pytest
from django.test import Client

from dispatcher.states import TaskState
from tests.factories import make_node, make_task, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(make_user())
    return client


def test_without_a_session_there_is_no_snapshot(client: Client) -> None:
    answer = client.get("/live/snapshot?topic=overview")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_every_topic_has_a_snapshot(signed_in: Client) -> None:
    task = make_task(state=TaskState.RUNNING, node=make_node("w-1"))
    for topic in ("overview", "nodes", "queues", "node:w-1", f"task:{task.pk}", f"tasks&state=running&ids={task.pk}"):
        answer = signed_in.get(f"/live/snapshot?topic={topic}")
        assert answer.status_code == 200, topic
        body = answer.json()
        assert (body["type"], body["topic"]) == ("snapshot", topic.partition("&")[0])
        assert body["server_time"].endswith("Z")
        assert "no-store" in answer["Cache-Control"]
    assert [row["id"] for row in body["data"]["rows"]] == [str(task.pk)]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "unknown_topic"),
        ("topic=weather", 400, "unknown_topic"),
        ("topic=overview&x=1", 400, "bad_params"),
        ("topic=overview&limit=1", 400, "bad_params"),
        ("topic=tasks&stat=failed", 400, "bad_params"),
        ("topic=tasks&ids=x", 400, "bad_params"),
        ("topic=tasks&limit=0", 400, "bad_params"),
        ("topic=tasks&limit=x", 400, "bad_params"),
        ("topic=tasks&ids=" + ",".join("1" for _ in range(501)), 400, "bad_params"),
        ("topic=task:99999", 404, "not_found"),
        ("topic=node:x", 404, "not_found"),
    ],
)
def test_what_makes_no_sense_is_answered_with_a_problem(signed_in: Client, query: str, status: int, code: str) -> None:
    answer = signed_in.get(f"/live/snapshot?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_get_is_allowed(signed_in: Client) -> None:
    assert signed_in.post("/live/snapshot?topic=overview").status_code == 405

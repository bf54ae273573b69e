from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.test import Client

from dispatcher import events
from dispatcher.models import Task
from dispatcher.states import TaskState
from tests.factories import NOW, make_change, make_node, make_task, make_user

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


def ask(client: Client, query: str, seen: str = "") -> dict[str, Any]:
    answer = client.get(f"/live/snapshot?{query}" + (f"&seen={seen}" if seen else ""))
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("query", ["nodes", "tasks&state=failed", "task:{}"])
def test_what_has_not_changed_is_not_sent_again(signed_in: Client, query: str) -> None:
    task = make_task()
    query = "topic=" + query.format(task.pk)
    first = ask(signed_in, query)
    same = ask(signed_in, query, first["seen"])
    assert set(same) == {"type", "topic", "server_time", "seen"}
    assert (same["type"], same["topic"]) == ("same", first["topic"])
    assert ask(signed_in, query, same["seen"])["type"] == "same"


def test_a_change_is_sent_whole(signed_in: Client) -> None:
    first = ask(signed_in, "topic=nodes")
    make_node("w-1")
    # Made by hand, without news: seen when the document is old enough to be read again.
    position, second, digest = first["seen"].split(".")
    fresh = ask(signed_in, "topic=nodes", f"{position}.{int(second) - 60}.{digest}")
    assert (fresh["type"], [node["name"] for node in fresh["data"]["nodes"]]) == ("snapshot", ["w-1"])


@time_machine.travel(NOW, tick=False)
def test_news_are_read_at_once_and_silence_costs_one_look_at_the_feed(
    signed_in: Client, django_assert_max_num_queries: Any
) -> None:
    task = make_task()
    query = f"topic=task:{task.pk}"
    seen = ask(signed_in, query)["seen"]
    # The session, the account, and the feed's position.
    with django_assert_max_num_queries(3):
        assert ask(signed_in, query, seen)["type"] == "same"
    Task.objects.filter(pk=task.pk).update(priority=7)
    assert ask(signed_in, query, seen)["type"] == "same"
    make_change(events.QueuePaused(queue="default"))
    fresh = ask(signed_in, query, seen)
    assert (fresh["type"], fresh["data"]["priority"]) == ("snapshot", 7)


@pytest.mark.parametrize("seen", ["x", "1.2", "1.2.zz", "9" * 40 + ".1.0123456789abcdef", "-1.1.0123456789abcdef"])
def test_a_seen_that_makes_no_sense_is_none(signed_in: Client, seen: str) -> None:
    assert ask(signed_in, "topic=nodes", seen)["type"] == "snapshot"


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

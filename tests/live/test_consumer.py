from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from dispatcher.live import consumer, topics
from dispatcher.live.hub import hub_of_this_loop
from dispatcher.states import TaskState
from tests.factories import NOW, make_logs, make_node, make_progress, make_task, tell
from tests.live.browser import Browser

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_welcome_comes_first(cookie: str) -> None:
    browser = Browser(cookie)
    welcome = await browser.open()
    assert (welcome["type"], welcome["protocol"], welcome["max_hz"]) == ("welcome", 1, 4)
    # An open page whose scripts are of another build offers to be loaded anew.
    assert f"/static/{welcome['version'].partition('+')[2]}/" == settings.STATIC_URL
    await browser.say(type="ping", t=12.5)
    pong = await browser.frame()
    assert (pong["type"], pong["t"]) == ("pong", 12.5)
    await browser.leave()


async def test_a31_a_session_has_so_many_connections_and_no_more(cookie: str, settings: Any) -> None:
    settings.TASKDIST = {"max_websockets_per_session": 2}
    first, second = Browser(cookie), Browser(cookie)
    await first.open()
    await second.open()
    assert await Browser(cookie).accepted_and_closed() == 4503
    await first.leave()
    third = Browser(cookie)
    await third.open()
    await third.leave()
    await second.leave()
    assert not consumer._open_by_session


async def test_without_a_session_the_connection_closes_with_4401(transactional_db: None) -> None:
    assert await Browser().accepted_and_closed() == 4401
    assert await Browser("no-such-session").accepted_and_closed() == 4401


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "http://evil.example", "http://testserver:8001", "https://testserver", "http://testserver.evil.example",
     "http://evil.example@testserver", "file://", "http://testserver/path"],
)  # fmt: skip
async def test_other_origins_are_refused_before_there_is_a_connection(cookie: str, origin: str | None) -> None:
    assert await Browser(cookie, origin=origin).refused()


async def test_a_foreign_name_for_our_address_is_refused(cookie: str) -> None:
    assert await Browser(cookie, origin="http://evil.example:8000", host="evil.example:8000").refused()


async def test_the_port_belongs_to_the_origin(cookie: str) -> None:
    browser = Browser(cookie, origin="http://localhost:8000", host="localhost:8000")
    await browser.open()
    await browser.leave()
    assert await Browser(cookie, origin="http://localhost", host="localhost:8000").refused()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"type":"sub"}', '{"type":"join","topic":"x"}', '{"type":"sub","topic":"overview","x":1}',
     '{"type":"ack","n":1}', '{"type":"ack","n":-1}', '{"type":"visible","visible":"yes"}', "[" * 60000,
     '{"type":"sub","topic":"tasks","params":{"ids":[1]}}', '{"type":"sub","topic":"tasks","params":{"limit":501}}'],
)  # fmt: skip
async def test_what_the_protocol_does_not_know_closes_with_4400(cookie: str, text: str) -> None:
    browser = Browser(cookie)
    await browser.open()
    await browser.say_text(text)
    assert await browser.closed() == 4400
    await browser.leave()


async def test_large_and_binary_messages_and_floods_close(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long it takes to say them.
    monkeypatch.setattr(consumer, "MESSAGES_SECONDS", 600.0)

    def large(tab: Browser):
        return tab.say_text('{"type":"ping","t":1' + " " * 70_000 + "}")

    def binary(tab: Browser):
        return tab.say_bytes(b"\x00")

    async def flood(tab: Browser) -> None:
        for _ in range(101):
            await tab.say(type="visible", visible=True)

    for offend in (large, binary, flood):
        browser = Browser(cookie)
        await browser.open()
        await offend(browser)
        assert await browser.closed() == 4400
        await browser.leave()


def test_close_codes_are_such_as_daphne_sends() -> None:
    codes = [value for name, value in vars(consumer).items() if name.startswith("CLOSE_")]
    assert codes
    assert all(3000 <= code <= 4999 for code in codes)


@pytest.mark.parametrize(
    ("topic", "params", "code"),
    [
        ("weather", None, "unknown_topic"),
        ("task:x", None, "unknown_topic"),
        ("overview:x", None, "unknown_topic"),
        ("overview", {"limit": 5}, "bad_params"),
        ("tasks", {"filters": {"stat": "failed"}}, "bad_params"),
        ("tasks", {"filters": {"state": "faild"}}, "bad_params"),
        ("tasks", {"ids": ["x"]}, "bad_params"),
        ("tasks", {"after": "-1"}, "bad_params"),
        ("task:999999", None, "not_found"),
        ("node:nobody", None, "not_found"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_answered(tab, topic, params, code) -> None:
    browser = await tab()
    answer = await browser.watch(topic, **(params or {}))
    assert (answer["type"], answer["code"]) == ("error", code)
    assert hub_of_this_loop().num_subscriptions == 0


async def test_there_is_a_bound_on_topics(tab) -> None:
    nodes = [await sync_to_async(make_node)() for _ in range(17)]
    browser = await tab()
    for node in nodes[:16]:
        assert "node" in await browser.watch(f"node:{node.name}")
    assert (await browser.watch(f"node:{nodes[16].name}"))["code"] == "too_many_topics"
    # A subscription that is replaced is no further one.
    assert "node" in await browser.watch(f"node:{nodes[0].name}")


async def test_a_change_is_seen_within_a_second(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    # Seen as news, not by the reading again from time to time.
    monkeypatch.setattr(topics.OverviewTopic, "max_age", 600.0)
    browser = await tab()
    overview = await browser.watch("overview")
    assert overview["counts"]["queued"] == 0
    loop = asyncio.get_running_loop()
    delays = []
    for n in range(1, 6):
        started = loop.time()
        await sync_to_async(make_task)()
        await browser.until("overview", lambda document, n=n: document["counts"]["queued"] == n)
        delays.append(loop.time() - started)
    # The middle one: what else the machine does may delay some.
    assert sorted(delays)[2] < 1.0, delays


async def test_a_task_is_followed_with_its_progress_and_its_log(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics.TaskTopic, "max_age", 60.0)
    task = await sync_to_async(make_task)(state=TaskState.RUNNING)
    browser = await tab()
    name = f"task:{task.pk}"
    assert (await browser.watch(name))["state"] == "running"
    await sync_to_async(make_progress)(task, 0.5, "halfway")
    await browser.until(name, lambda document: document["progress"] and document["progress"]["fraction"] == 0.5)
    await sync_to_async(make_logs)(task, ["one", "two"])
    document = await browser.until(name, lambda document: len(document["logs"]) == 2)
    assert [line["text"] for line in document["logs"]] == ["one", "two"]
    # Only what is new travels.
    assert all("payload" not in frame.get("data", {}) for frame in browser.frames if frame["type"] == "delta")


async def test_a_task_that_is_deleted_while_watched_is_gone(tab) -> None:
    from dispatcher import lifecycle

    task = await sync_to_async(make_task)(state=TaskState.SUCCEEDED)
    browser = await tab()
    await browser.watch(f"task:{task.pk}")
    later = NOW + timedelta(days=1)
    await sync_to_async(lifecycle.prune)(finished_before=later, now=later)
    assert (await browser.frame())["type"] == "gone"
    assert hub_of_this_loop().num_subscriptions == 0


async def test_the_tasks_on_the_screen_change_in_place_and_newcomers_are_counted(
    tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics.TasksTopic, "max_age", 60.0)
    first = await sync_to_async(make_task)(state=TaskState.RUNNING)
    second = await sync_to_async(make_task)(state=TaskState.DISPATCHED)
    browser = await tab()
    params = {"filters": {"state": "running"}, "ids": [str(first.pk)], "limit": 100}
    document = await browser.watch("tasks", **params)
    assert ([row["id"] for row in document["rows"]], document["new"]) == ([str(first.pk)], 0)
    # Another task of another state: no frame for the list, but for its counts.
    await sync_to_async(make_task)(state=TaskState.SUCCEEDED)
    await browser.until("tasks", lambda document: document["counts"]["succeeded"] == 1)
    assert browser.documents["tasks"]["new"] == 0
    second.state, second.started_at = TaskState.RUNNING, second.created_at
    await second.asave()
    await sync_to_async(tell)(second, TaskState.DISPATCHED)
    await browser.until("tasks", lambda document: document["new"] == 1)
    await sync_to_async(make_progress)(first, None)
    first.priority = 7
    await first.asave()
    await sync_to_async(tell)(first, TaskState.RUNNING)
    await browser.until("tasks", lambda document: document["rows"][0]["priority"] == 7)
    assert [row["id"] for row in browser.documents["tasks"]["rows"]] == [str(first.pk)]


async def test_a_second_viewer_gets_the_same_document(tab) -> None:
    first, second = await tab(), await tab()
    await first.watch("overview")
    await second.watch("overview")
    await sync_to_async(make_task)()
    for browser in (first, second):
        await browser.until("overview", lambda document: document["counts"]["queued"] == 1)
    assert first.documents["overview"] == second.documents["overview"]
    assert [f for f in first.frames if f["type"] == "delta"][-1] == [f for f in second.frames if f["type"] == "delta"][
        -1
    ]


async def test_no_frame_comes_when_nothing_has_changed(tab) -> None:
    await sync_to_async(make_node)("w-1")
    browser = await tab()
    await browser.watch("nodes")
    await browser.watch("queues")
    # Longer than the age at which documents are read again.
    assert await browser.is_silent(1.6)


async def test_a_hidden_tab_gets_nothing_and_then_the_present(tab) -> None:
    browser = await tab()
    await browser.watch("overview")
    await browser.say(type="visible", visible=False)
    await browser.say(type="ping", t=1)
    await browser.frame()
    for _ in range(3):
        await sync_to_async(make_task)()
        assert await browser.is_silent(0.4)
    await browser.say(type="visible", visible=True)
    document = await browser.until("overview", lambda document: document["counts"]["queued"] == 3)
    assert document["counts"]["queued"] == 3
    assert sum(frame["type"] in {"snapshot", "delta"} for frame in browser.frames) == 2


async def test_a_newcomer_to_a_topic_that_nobody_looked_at_gets_no_old_document(tab) -> None:
    first = await tab()
    await first.watch("overview")
    await first.say(type="visible", visible=False)
    await first.say(type="ping", t=1)
    await first.frame()
    await sync_to_async(make_task)()
    second = await tab()
    assert (await second.watch("overview"))["counts"]["queued"] == 1


async def test_after_unsubscribing_nothing_comes(tab) -> None:
    browser = await tab()
    await browser.watch("overview")
    await browser.say(type="unsub", topic="overview")
    await browser.say(type="unsub", topic="overview")
    await sync_to_async(make_task)()
    assert await browser.is_silent()


async def test_another_connection_goes_on_where_the_first_one_ended(tab) -> None:
    witness, lost = await tab(), await tab()
    await witness.watch("nodes")
    await lost.watch("nodes")
    epoch, seq = lost._places["nodes"]
    await lost.leave()
    again = await tab()
    await again.say(type="sub", topic="nodes", known={"epoch": epoch, "seq": seq})
    assert (await again.frame()) == {"type": "resumed", "topic": "nodes", "seq": seq}
    await sync_to_async(make_node)("w-1")
    again.documents["nodes"], again._places["nodes"] = lost.documents["nodes"], (epoch, seq)
    assert [node["name"] for node in (await again.until("nodes", lambda pool: pool["nodes"]))["nodes"]] == ["w-1"]
    assert [frame["type"] for frame in again.frames] == ["welcome", "resumed", "delta"]
    stranger = await tab()
    await stranger.say(type="sub", topic="nodes", known={"epoch": "another", "seq": seq})
    assert (await stranger.frame())["type"] == "snapshot"


async def test_what_nobody_watched_in_between_comes_whole(tab) -> None:
    lost = await tab()
    await lost.watch("nodes")
    epoch, seq = lost._places["nodes"]
    await lost.leave()
    again = await tab()
    await again.say(type="sub", topic="nodes", known={"epoch": epoch, "seq": seq})
    frame = await again.frame()
    assert (frame["type"], frame["reason"]) == ("snapshot", "sub")

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from dispatcher import events
from dispatcher.live import hub as hub_module
from dispatcher.live import news, seat, topics
from dispatcher.live.hub import Hub, hub_of_this_loop
from dispatcher.live.seat import MAX_UNACKED_FRAMES, Seat
from dispatcher.live.topics import PassReads, Topic
from dispatcher.states import TaskState
from tests.factories import make_change, make_node, make_progress, make_task
from tests.live.browser import Browser

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 30


async def until(condition) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - conditions of all kinds, which no event tells of
            await asyncio.sleep(0.01)


async def test_the_hub_runs_only_while_somebody_watches(tab) -> None:
    hub = hub_of_this_loop()
    assert not hub.is_running
    browser = await tab()
    assert not hub.is_running
    await browser.watch("overview")
    assert hub.is_running
    await browser.say(type="unsub", topic="overview")
    await until(lambda: not hub.is_running)
    assert "counts" in await browser.watch("overview")
    assert hub.is_running


async def test_two_hundred_tabs_opened_and_closed_leave_nothing(cookie: str) -> None:
    hub = hub_of_this_loop()
    task = await sync_to_async(make_task)()
    for number in range(200):
        browser = Browser(cookie)
        await browser.open()
        await browser.say(type="sub", topic="overview")
        if number % 10 == 0:
            assert "state" in await browser.watch(f"task:{task.pk}")
        await browser.leave()
    assert hub.num_subscriptions == 0
    assert hub._channels == {}
    await until(lambda: not hub.is_running)

    def is_clean() -> bool:
        gc.collect()
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("live-hub")]
        return not threads and not any(isinstance(thing, Seat) for thing in gc.get_objects())

    # The last tasks of the loop end, and with them what they refer to.
    await until(is_clean)


async def test_a_viewer_that_never_acknowledges_costs_no_memory(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(seat, "ACK_PATIENCE_SECONDS", 600.0)
    browser = await tab()
    browser.acknowledges = False
    node = await sync_to_async(make_node)("w-1")
    await browser.watch("nodes")
    loud = await tab()
    await loud.watch("nodes")
    tracemalloc.start()
    try:
        for round_ in range(40):
            node.labels = {"round": str(round_)}
            await node.asave()
            await sync_to_async(make_change)(events.NodeOnline(node_id=node.pk, name=node.name))
            await loud.until("nodes", lambda document, n=round_: document["nodes"][0]["labels"] == {"round": str(n)})
            if round_ == MAX_UNACKED_FRAMES + 4:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert browser._socket.output_queue.qsize() <= MAX_UNACKED_FRAMES
    assert grown < 500_000
    # When it reads again it gets what it was sent, and after its acknowledgement the present.
    browser.acknowledges = True
    document = await browser.until("nodes", lambda document: document["nodes"][0]["labels"] == {"round": "39"})
    assert document == loud.documents["nodes"]
    assert browser.frames[-1]["type"] == "snapshot"
    assert browser.frames[-1]["reason"] == "slow"


async def test_frames_of_a_topic_come_at_most_four_times_a_second(tab) -> None:
    browser = await tab()
    await browser.watch("overview")
    loop = asyncio.get_running_loop()
    started, times = loop.time(), []
    for n in range(1, 9):
        await sync_to_async(make_task)()
        await browser.until("overview", lambda document, n=n: document["counts"]["queued"] >= n)
        times.append(loop.time())
    frames = sum(frame["type"] == "delta" for frame in browser.frames)
    assert frames <= (times[-1] - started) * 4 + 2


async def test_a_change_that_commits_after_a_later_one_is_seen(
    tab, on_postgres: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seen as news, not by the reading again from time to time.
    monkeypatch.setattr(topics.TaskTopic, "max_age", 600.0)
    task = await sync_to_async(make_task)(state=TaskState.RUNNING)
    other = await sync_to_async(make_task)(state=TaskState.RUNNING)
    browser = await tab()
    for watched in (task, other):
        await browser.watch(f"task:{watched.pk}")
    written, go_on = threading.Event(), threading.Event()

    def slow_writer() -> None:
        try:
            with transaction.atomic():
                make_progress(task, 0.25)
                written.set()
                assert go_on.wait(PATIENCE_SECONDS)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow_writer)
    thread.start()
    await asyncio.to_thread(written.wait, PATIENCE_SECONDS)
    if on_postgres:
        # Takes a larger id, commits first and is seen first. On SQLite the writers take turns.
        await sync_to_async(make_progress)(other, 0.75)
        await browser.until(f"task:{other.pk}", lambda document: document["progress"] is not None)
    assert browser.documents[f"task:{task.pk}"]["progress"] is None
    go_on.set()
    await browser.until(f"task:{task.pk}", lambda document: document["progress"] is not None)
    await asyncio.to_thread(thread.join, PATIENCE_SECONDS)


async def test_a_flood_is_not_looked_at_but_nothing_is_missed(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "MAX_CHANGES", 5)
    monkeypatch.setattr(news, "READ", 5)
    monkeypatch.setattr(topics.TaskTopic, "max_age", 60.0)
    task = await sync_to_async(make_task)(state=TaskState.RUNNING)
    browser = await tab()
    await browser.watch(f"task:{task.pk}")
    for _ in range(12):
        await sync_to_async(make_task)()
    await sync_to_async(make_progress)(task, 0.5)
    await browser.until(f"task:{task.pk}", lambda document: document["progress"] is not None)


async def test_news_that_come_too_soon_after_a_frame_are_not_forgotten(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics.QueuesTopic, "max_age", 60.0)
    browser = await tab()
    await browser.watch("queues")
    await sync_to_async(make_task)(queue="gpu")
    # Starts a pass at once, in which the queues are not read: they were a moment ago.
    await browser.watch("nodes")
    await browser.until("queues", lambda document: document["queues"])


class Broken(Topic):
    """A topic that cannot be read at first."""

    is_broken = True

    def read(self, reads: PassReads) -> dict[str, Any]:
        if self.is_broken:
            raise RuntimeError("the disk is full")
        return {"n": 1}


class Ear:
    """A seat whose frames are gathered."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ends: list[str] = []
        self.seat = Seat(self._send, lambda: 0.0)

    async def _send(self, text: str) -> None:
        self.texts.append(text)


async def test_a_topic_that_cannot_be_read_says_so_and_does_not_disturb_others(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    hub, ear = Hub(), Ear()
    service = asyncio.create_task(ear.seat.serve())
    hub.subscribe(ear.seat, Broken("broken"), ear.ends.append)
    hub.subscribe(ear.seat, Working("working"), ear.ends.append)
    await until(lambda: ear.ends and ear.texts)
    assert '"failed"' in ear.ends[0]
    assert '"working"' in ear.texts[0]
    assert "could not read broken" in caplog.text
    hub.leave(ear.seat)
    service.cancel()
    await until(lambda: not hub.is_running)


class Working(Topic):
    """A topic that can be read."""

    def read(self, reads: PassReads) -> dict[str, Any]:
        return {"n": 1}


async def test_a_topic_that_fails_for_a_while_goes_on_where_it_was(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FAILURE_PAUSE_SECONDS", 0.05)
    hub, ear = Hub(), Ear()
    service = asyncio.create_task(ear.seat.serve())
    topic = Broken("shaky")
    topic.max_age = 0.0  # type: ignore[misc]
    topic.is_broken = False
    hub.subscribe(ear.seat, topic, ear.ends.append)
    await until(lambda: ear.texts)
    topic.is_broken = True
    channel = next(iter(hub._channels.values()))
    await until(lambda: channel.is_failing)
    topic.is_broken = False
    await until(lambda: not channel.is_failing)
    assert ear.ends == []
    hub.leave(ear.seat)
    service.cancel()
    await until(lambda: not hub.is_running)


async def test_when_the_feed_cannot_be_read_the_hub_tries_again(tab, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await tab()
    await browser.watch("overview")
    failures: list[int] = []

    def fail() -> int:
        failures.append(1)
        raise RuntimeError("the connection is gone")

    monkeypatch.setattr(news, "latest_position", fail)
    await until(lambda: failures)
    monkeypatch.undo()
    await sync_to_async(make_task)()
    await browser.until("overview", lambda document: document["counts"]["queued"] == 1)

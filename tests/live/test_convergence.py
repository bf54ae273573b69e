"""Whatever happens, a browser that applies its frames ends with what a fresh read of the database gives."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from dispatcher.live import hub as hub_module
from dispatcher.live.hub import Hub
from dispatcher.live.messages import TasksParams, encode
from dispatcher.live.topics import PassReads, TasksTopic, TaskTopic, parse_topic
from dispatcher.models import Task
from dispatcher.queries import TaskFilters, task_page
from dispatcher.rollups import fold
from tests.factories import NOW, make_node
from tests.histories import random_step, some
from tests.live.browser import Browser

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 30


class History:
    """A random history on a clock of its own, which the hub shares."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now: datetime = NOW
        self.nodes = [make_node("w-1"), make_node("w-2")]
        for _ in range(10):
            self.step()

    def step(self) -> None:
        self.now += timedelta(seconds=self.rng.choice([0, 1, 5]))
        for _ in range(self.rng.randrange(1, 4)):
            random_step(self.rng, self.nodes, self.now)
        if self.rng.random() < 0.4:
            fold(self.now, limit=self.rng.choice([1, 500]))

    def fresh(self, topic: str, params: dict[str, Any]) -> Any:
        """What a fresh read gives, as a browser sees it."""
        found = parse_topic(topic, TasksParams(**params) if params else None).read(PassReads(self.now))
        return json.loads(encode(found))

    def some_topics(self) -> dict[str, dict[str, Any]]:
        ids = [task.pk for task in some(self.rng, Task.objects.all(), 2)]
        filters = self.rng.choice(
            [{}, {"state": "queued,failed"}, {"queue": "gpu"}, {"tag": "nightly"}, {"node": "w-1"}]
        )
        page = task_page(TaskFilters.parse(filters), limit=5)
        shown = [row["id"] for row in page["rows"]]
        return {
            "overview": {},
            "nodes": {},
            "queues": {},
            "types": {},
            "node:w-1": {},
            **{f"task:{pk}": {} for pk in ids},
            "tasks": {"filters": filters, "ids": shown, "limit": 5},
        }


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_frames_lead_to_what_a_fresh_read_gives(
    cookie: str, seed: int, hides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "TICK_SECONDS", 0.02)
    # News alone have to do, not the reading again from time to time.
    monkeypatch.setattr(TasksTopic, "max_age", 60.0)
    monkeypatch.setattr(TaskTopic, "max_age", 60.0)
    history = await sync_to_async(History)(seed)
    monkeypatch.setitem(hub_module._hubs, asyncio.get_running_loop(), Hub(lambda: history.now))
    browser = Browser(cookie)
    await browser.open()
    topics = await sync_to_async(history.some_topics)()
    for topic, params in topics.items():
        await browser.watch(topic, **params)
    for step in range(STEPS):
        await sync_to_async(history.step)()
        if hides and step % 7 == 3:
            await browser.say(type="visible", visible=step % 2 == 0)
        if step % 5 == 4:
            await browser.say(type="visible", visible=True)
            await _converge(browser, history, topics)
    assert browser.num_data_frames > len(topics)
    await browser.leave()


async def _converge(browser: Browser, history: History, topics: dict[str, dict[str, Any]]) -> None:
    for topic, params in topics.items():
        expected = await sync_to_async(history.fresh)(topic, params)
        try:
            async with asyncio.timeout(20):
                while not _agree(browser.documents.get(topic), expected):
                    await browser.frame()
        except TimeoutError:
            assert browser.documents.get(topic) == expected, topic


def _agree(shown: dict[str, Any] | None, expected: dict[str, Any] | None) -> bool:
    """Whether the documents are equal, but for what is said of other tasks and of nodes: it makes no news of a task."""
    if shown is None or expected is None:
        return shown is expected
    others = dict.fromkeys(("retries", "clones", "related", "same_cause", "holder"))
    return {**shown, **others} == {**expected, **others}

"""Places in front of Django: how many, for whom, and who waits."""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings

from dispatcher.overload.gate import Gate, Places


class Work:
    """An application that works until it is told that it is done, and counts."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.running = 0
        self.most = 0
        self.finished = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await receive()
        await self.done.wait()
        self.running -= 1
        self.finished += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def request(gate: Gate, path: str = "/api/v1/tasks") -> asyncio.Task[int]:
    """Begin a request; the task ends with the status."""

    async def run() -> int:
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        await gate({"type": "http", "path": path, "method": "GET"}, receive, send)
        return statuses[0]

    return asyncio.ensure_future(run())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a31_no_more_run_than_there_are_places_and_those_who_wait_are_served_in_turn() -> None:
    work = Work()
    gate = Gate(work, Places(4, kept_for_nodes=1, backlog=10))
    asked = [request(gate) for _ in range(10)]
    await settle()
    assert work.running == 3
    work.done.set()
    assert await asyncio.gather(*asked) == [200] * 10
    assert work.most == 3
    assert gate.places.inside == 0


async def test_a31_who_finds_the_backlog_full_or_waits_too_long_is_told_to_return() -> None:
    work = Work()
    gate = Gate(work, Places(2, kept_for_nodes=1, backlog=2))
    asked = [request(gate) for _ in range(5)]
    await settle()
    assert gate.is_full_for("/api/v1/tasks")
    # One works, two wait, two were turned away at once; then the two that waited are as well.
    assert [task.done() for task in asked] == [False, False, False, True, True]
    assert await asyncio.gather(*asked[1:]) == [503] * 4
    work.done.set()
    assert await asked[0] == 200
    assert not gate.is_full_for("/api/v1/tasks")


async def test_a31_nodes_get_through_while_the_rest_is_full() -> None:
    work = Work()
    gate = Gate(work, Places(3, kept_for_nodes=1, backlog=0))
    clients = [request(gate) for _ in range(5)]
    heartbeat = request(gate, "/api/v1/nodes/heartbeat")
    await settle()
    assert work.running == 3
    assert not heartbeat.done()
    # Whether the process lives is told even then.
    assert await request(gate, "/healthz") == 200
    assert await request(gate, "/readyz") == 503
    work.done.set()
    assert await heartbeat == 200
    assert sorted(await asyncio.gather(*clients)) == [200, 200, 503, 503, 503]


async def test_scripts_and_styles_come_through_while_all_places_are_taken() -> None:
    work = Work()
    gate = Gate(work, Places(2, kept_for_nodes=1, backlog=0))
    busy = [request(gate) for _ in range(2)]
    files = [request(gate, f"{settings.STATIC_URL}js/{number}.js") for number in range(10)]
    await settle()
    assert await busy[1] == 503
    # Four at a time; the others wait longer than requests do.
    assert (work.running, [one.done() for one in files]) == (5, [False] * 10)
    assert not gate.is_full_for(f"{settings.STATIC_URL}js/shell.js")
    work.done.set()
    assert await asyncio.gather(*files) == [200] * 10
    assert (gate.places.inside, gate.file_places.inside) == (0, 0)


async def test_a31_a_place_is_free_when_the_work_is_done_not_when_the_client_has_gone() -> None:
    work = Work()
    gate = Gate(work, Places(2, kept_for_nodes=1, backlog=0))
    gone = request(gate)
    await settle()
    gone.cancel()
    await settle()
    assert gate.places.inside == 1
    assert await request(gate) == 503
    work.done.set()
    await settle()
    assert (work.finished, gate.places.inside) == (1, 0)


async def test_a31_who_leaves_the_queue_takes_no_place_along() -> None:
    work = Work()
    gate = Gate(work, Places(2, kept_for_nodes=1, backlog=5))
    first, second, third = (request(gate) for _ in range(3))
    await settle()
    second.cancel()
    work.done.set()
    assert await asyncio.gather(first, third) == [200, 200]
    await settle()
    assert gate.places.inside == 0


async def test_a_hang_up_does_not_reach_the_application() -> None:
    heard: list[str] = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        heard.append((await receive())["type"])
        listener = asyncio.ensure_future(receive())
        await settle()
        assert not listener.done()
        listener.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(_message: Any) -> None:
        return

    gate = Gate(listening, Places(2, kept_for_nodes=1, backlog=0))
    await gate({"type": "http", "path": "/", "method": "GET"}, receive, send)
    assert heard == ["http.request"]

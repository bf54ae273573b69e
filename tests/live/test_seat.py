"""Flow control: what a viewer gets depends on what it acknowledges, and nothing is ever kept for it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dispatcher.live.channel import RING, Channel
from dispatcher.live.seat import ACK_PATIENCE_SECONDS, MAX_UNACKED_CHARS, MAX_UNACKED_FRAMES, Seat, WrongAck
from dispatcher.live.topics import Topic
from tests.live.browser import applied


class Board(Topic):
    """A topic whose document the test sets."""

    def read(self, reads: Any) -> dict[str, Any]:
        return {}


def board(name: str = "board") -> Channel:
    return Channel(Board(name), "epoch", itertools.count(1))


class Viewer:
    """A seat in service, what it was sent, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.texts: list[str] = []
        self.seat = Seat(self._send, lambda: self.now)

    async def _send(self, text: str) -> None:
        self.texts.append(text)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    async def settle(self) -> None:
        """Let the seat send what it may."""
        self.seat.wake()
        for _ in range(10):
            await asyncio.sleep(0)


@pytest_asyncio.fixture
async def viewer() -> AsyncIterator[Viewer]:
    viewer = Viewer()
    service = asyncio.create_task(viewer.seat.serve())
    yield viewer
    service.cancel()


async def test_the_first_frame_is_a_snapshot_and_then_come_deltas(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    await viewer.settle()
    assert viewer.texts == []
    channel.advance({"n": 1})
    await viewer.settle()
    channel.advance({"n": 2})
    await viewer.settle()
    first, second = viewer.frames
    assert (first["type"], first["reason"], first["data"]) == ("snapshot", "sub", {"n": 1})
    assert (second["type"], second["from"], second["data"]) == ("delta", first["seq"], {"n": 2})


async def test_a_newcomer_gets_the_present_and_not_what_the_first_one_got(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    channel.advance({"n": 1})
    await viewer.settle()
    channel.advance({"n": 2})
    viewer.seat.join(channel)
    await viewer.settle()
    assert [(frame["type"], frame["data"]) for frame in viewer.frames] == [
        ("snapshot", {"n": 1}),
        ("snapshot", {"n": 2}),
    ]


async def test_who_does_not_acknowledge_gets_no_more_and_then_the_present(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    for n in range(200):
        channel.advance({"n": n})
        await viewer.settle()
    assert len(viewer.texts) == MAX_UNACKED_FRAMES
    viewer.seat.acknowledge(MAX_UNACKED_FRAMES)
    await viewer.settle()
    assert viewer.frames[-1] == {
        "type": "snapshot", "topic": "board", "epoch": "epoch", "seq": 200, "reason": "slow", "data": {"n": 199},
    }  # fmt: skip
    assert len(viewer.texts) == MAX_UNACKED_FRAMES + 1


async def test_who_is_a_little_behind_gets_the_deltas_it_missed(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    for n in range(MAX_UNACKED_FRAMES + RING):
        channel.advance({"n": n})
        await viewer.settle()
    viewer.seat.acknowledge(MAX_UNACKED_FRAMES)
    await viewer.settle()
    assert {frame["type"] for frame in viewer.frames[1:]} == {"delta"}
    document = viewer.frames[0]["data"]
    for frame in viewer.frames[1:]:
        document = applied(document, frame)
    assert document == {"n": MAX_UNACKED_FRAMES + RING - 1}


async def test_large_frames_fill_the_window_sooner(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    for n in range(10):
        channel.advance({"text": str(n) * (MAX_UNACKED_CHARS // 2)})
        await viewer.settle()
    assert len(viewer.texts) == 2
    # A frame larger than the window gets through when nothing else is on its way.
    viewer.seat.acknowledge(2)
    channel.advance({"text": "x" * MAX_UNACKED_CHARS * 2})
    await viewer.settle()
    assert len(viewer.texts) == 3


async def test_a_slow_viewer_does_not_hold_up_others() -> None:
    channel, slow, fast = board(), Viewer(), Viewer()
    services = [asyncio.create_task(viewer.seat.serve()) for viewer in (slow, fast)]
    for viewer in (slow, fast):
        viewer.seat.join(channel)
    for n in range(100):
        channel.advance({"n": n})
        await slow.settle()
        await fast.settle()
        fast.seat.acknowledge(len(fast.texts))
    assert (len(slow.texts), len(fast.texts)) == (MAX_UNACKED_FRAMES, 100)
    # Made once, for both.
    assert slow.texts[-1] is fast.texts[MAX_UNACKED_FRAMES - 1]
    for service in services:
        service.cancel()


async def test_topics_share_the_window_fairly(viewer: Viewer) -> None:
    first, second = board("first"), board("second")
    for channel in (first, second):
        viewer.seat.join(channel)
    for n in range(40):
        first.advance({"n": n})
        second.advance({"n": n})
        await viewer.settle()
    topics = [frame["topic"] for frame in viewer.frames]
    assert topics.count("first") == topics.count("second") == MAX_UNACKED_FRAMES // 2


async def test_more_than_was_sent_cannot_be_acknowledged(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    channel.advance({"n": 1})
    await viewer.settle()
    with pytest.raises(WrongAck):
        viewer.seat.acknowledge(2)
    viewer.seat.acknowledge(1)
    viewer.seat.acknowledge(1)
    viewer.seat.acknowledge(0)


async def test_silence_about_frames_is_noticed_but_not_while_hidden(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    channel.advance({"n": 1})
    await viewer.settle()
    viewer.now = ACK_PATIENCE_SECONDS
    assert not viewer.seat.is_lost()
    viewer.now += 1
    assert viewer.seat.is_lost()
    viewer.seat.show(visible=False)
    assert not viewer.seat.is_lost()
    # Back again, the patience begins anew.
    viewer.seat.show(visible=True)
    assert not viewer.seat.is_lost()
    viewer.now += ACK_PATIENCE_SECONDS + 1
    assert viewer.seat.is_lost()
    viewer.seat.acknowledge(1)
    assert not viewer.seat.is_lost()


async def test_a_hidden_viewer_gets_nothing(viewer: Viewer) -> None:
    channel = board()
    viewer.seat.join(channel)
    viewer.seat.show(visible=False)
    channel.advance({"n": 1})
    await viewer.settle()
    assert viewer.texts == []
    viewer.seat.show(visible=True)
    await viewer.settle()
    assert viewer.frames[0]["reason"] == "visible"


async def test_joining_again_gives_a_new_snapshot(viewer: Viewer) -> None:
    channel = board()
    channel.advance({"n": 1})
    for _ in range(2):
        viewer.seat.join(channel)
        await viewer.settle()
    assert [frame["type"] for frame in viewer.frames] == ["snapshot", "snapshot"]


async def test_who_comes_back_gets_what_it_missed(viewer: Viewer) -> None:
    channel = board()
    channel.advance({"n": 1})
    known = channel.seq
    channel.advance({"n": 2})
    viewer.seat.join(channel, known)
    await viewer.settle()
    assert [(frame["type"], frame["from"], frame["data"]) for frame in viewer.frames] == [("delta", known, {"n": 2})]


async def test_who_comes_back_and_missed_nothing_is_told_so_once(viewer: Viewer) -> None:
    channel = board()
    channel.advance({"n": 1})
    viewer.seat.join(channel, channel.seq)
    await viewer.settle()
    viewer.seat.wake()
    await viewer.settle()
    assert viewer.frames == [{"type": "resumed", "topic": "board", "seq": channel.seq}]
    # No frame with data: there is nothing to acknowledge.
    viewer.seat.acknowledge(0)
    assert not viewer.seat._unacked


async def test_who_comes_back_to_an_old_document_waits_until_it_was_read(viewer: Viewer) -> None:
    channel = board()
    channel.advance({"n": 1})
    channel.is_stale = True
    viewer.seat.join(channel, channel.seq)
    await viewer.settle()
    assert viewer.texts == []
    channel.advance({"n": 1})
    viewer.seat.wake()
    await viewer.settle()
    assert [frame["type"] for frame in viewer.frames] == ["resumed"]


async def test_who_was_away_too_long_gets_the_whole(viewer: Viewer) -> None:
    channel = board()
    channel.advance({"n": 0})
    known = channel.seq
    for n in range(RING + 1):
        channel.advance({"n": n + 1})
    viewer.seat.join(channel, known)
    await viewer.settle()
    assert [frame["type"] for frame in viewer.frames] == ["snapshot"]

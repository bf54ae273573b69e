"""The hub: one per web process. Follows the feed, reads the documents that changed, hands frames to the seats.

It starts with the first subscriber and ends with the last. Its database work happens in one thread of its own; all its
state belongs to the event loop. A pass takes place at most four times a second, and less often when passes are
expensive, so that it never takes more than about a tenth of a core; documents are read whole, so nothing is missed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from django.db import close_old_connections, connections
from django.utils import timezone

from dispatcher import faults
from dispatcher.live.channel import Channel
from dispatcher.live.deltas import Document
from dispatcher.live.messages import MAX_HZ, Error, Gone, encode
from dispatcher.live.news import ANYTHING, News, Tailer
from dispatcher.live.seat import Seat
from dispatcher.live.topics import PassReads, Topic

logger = logging.getLogger(__name__)

TICK_SECONDS = 1 / MAX_HZ
#: A pass that took so much of a core is followed by a pause this many times as long,
COST_FACTOR = 9
#: but not by a longer one than this: a change is seen within a second or so.
LONGEST_PAUSE_SECONDS = 1.0
#: How long a topic that could not be read rests.
FAILURE_PAUSE_SECONDS = 2.0


class _Reading(NamedTuple):
    channel: Channel
    #: None: what the topic is about does not exist.
    document: Document | None
    is_failed: bool = False


class _Outcome(NamedTuple):
    readings: Sequence[_Reading]
    #: CPU time of the hub's thread, in seconds.
    cost: float


class Hub:
    """Shared by all viewers of one process. Its methods are called on its event loop only."""

    def __init__(self, clock: Callable[[], datetime] = timezone.now) -> None:
        self._clock = clock
        self._channels: dict[Hashable, Channel] = {}
        self._seats: defaultdict[Channel, dict[Seat, Callable[[str], None]]] = defaultdict(dict)
        self._kick = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        #: Names this hub: sequence numbers of another one (another process) mean nothing here.
        self.epoch = secrets.token_hex(8)

    @property
    def num_subscriptions(self) -> int:
        """Subscriptions of all viewers."""
        return sum(len(seats) for seats in self._seats.values())

    @property
    def is_running(self) -> bool:
        """Whether the hub follows the feed."""
        return self._task is not None

    def subscribe(self, seat: Seat, topic: Topic, tell: Callable[[str], None], *, known: int | None = None) -> None:
        """Let the seat, which is at ``known`` of this epoch, watch the topic; ``tell`` gets the frame that ends the
        subscription, if something else does.
        """  # fmt: skip
        self.unsubscribe(seat, topic.name)
        channel = self._channels.get(topic.key)
        if channel is None:
            channel = self._channels[topic.key] = Channel(topic, self.epoch, self._numbers)
        self._refresh_unless_watched(channel)
        self._seats[channel][seat] = tell
        seat.join(channel, known)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live hub")

    def unsubscribe(self, seat: Seat, name: str) -> None:
        """End one subscription of the seat, if it has it."""
        channel = seat.leave(name)
        if channel is not None:
            self._seats[channel].pop(seat, None)
            self._drop_if_empty(channel)

    def leave(self, seat: Seat) -> None:
        """End all subscriptions of the seat."""
        for name in seat.topics:
            self.unsubscribe(seat, name)

    def show(self, seat: Seat, *, visible: bool) -> None:
        """Somebody looks at the seat's tab, or nobody does. What nobody looked at meanwhile is read first."""
        if visible and not seat.is_visible:
            for name in seat.topics:
                if (channel := seat.channel(name)) is not None:
                    self._refresh_unless_watched(channel)
        seat.show(visible=visible)

    def _refresh_unless_watched(self, channel: Channel) -> None:
        if not _is_looked_at(self._seats[channel]):
            channel.is_stale = True
            self._kick.set()

    def _drop_if_empty(self, channel: Channel) -> None:
        if not self._seats[channel]:
            del self._seats[channel]
            self._channels.pop(channel.topic.key, None)
            self._kick.set()

    async def _run(self) -> None:
        reader = _Reader(self._clock)
        with ThreadPoolExecutor(1, "live-hub") as thread:
            loop = asyncio.get_running_loop()
            try:
                while self._channels:
                    self._kick.clear()
                    watched = [channel for channel, seats in self._seats.items() if _is_looked_at(seats)]
                    outcome = await loop.run_in_executor(thread, reader.run, watched)
                    await self._rest(outcome.cost + self._publish(outcome.readings))
            finally:
                self._task = None
                thread.submit(connections.close_all)

    async def _rest(self, cost: float) -> None:
        """Pause until the next pass; one for new topics comes sooner, but a flood of them takes half a core at most."""
        await asyncio.sleep(min(cost, LONGEST_PAUSE_SECONDS))
        pause = min(max(TICK_SECONDS, cost * COST_FACTOR), LONGEST_PAUSE_SECONDS)
        try:
            await asyncio.wait_for(self._kick.wait(), pause)
        except TimeoutError:
            return

    def _publish(self, readings: Iterable[_Reading]) -> float:
        """Hand out what was read; returns the time it took, in seconds."""
        started = time.perf_counter()
        for reading in readings:
            if reading.channel in self._seats:
                try:
                    self._hand_out(reading.channel, reading)
                except Exception:
                    logger.exception("live: could not make a frame for %s", reading.channel.topic.name)
        return time.perf_counter() - started

    def _hand_out(self, channel: Channel, reading: _Reading) -> None:
        name = channel.topic.name
        if reading.is_failed:
            if not channel.is_loaded:
                self._end(channel, Error(name, "failed", "The server could not read this; try again later."))
        elif reading.document is None:
            gone = Gone(name) if channel.is_loaded else Error(name, "not_found", "There is no such thing.")
            self._end(channel, gone)
        else:
            was_stale = channel.is_stale
            if channel.advance(reading.document) or was_stale:
                for seat in self._seats[channel]:
                    seat.wake()

    def _end(self, channel: Channel, frame: Error | Gone) -> None:
        text = encode(frame)
        for seat, tell in list(self._seats[channel].items()):
            self.unsubscribe(seat, channel.topic.name)
            tell(text)


class _Reader:
    """The hub's part that touches the database. Runs in the hub's thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._tailer: Tailer | None = None
        self._is_cut_off = False

    def run(self, channels: Sequence[Channel]) -> _Outcome:
        """Read the news, then every document that they concern or that is due by its age."""
        started = time.thread_time()
        try:
            news = self._news(details=any(channel.topic.wants_details for channel in channels))
            reads = PassReads(self._clock())
            readings = [self._read(channel, reads) for channel in channels if _is_due(channel, news)]
        except Exception as error:  # noqa: BLE001 - told by _tell
            self._tell(error)
            self._tailer = None
            # While the database is away viewers keep what they have, new ones wait: a new tailer reads everything.
            told = [] if _is_away(error) else [_Reading(channel, None, is_failed=True) for channel in channels]
            # As if it had been expensive: the next pass comes after the longest pause.
            return _Outcome(told, LONGEST_PAUSE_SECONDS)
        finally:
            close_old_connections()
        self._is_cut_off = False
        return _Outcome(readings, time.thread_time() - started)

    def _tell(self, error: Exception) -> None:
        """Log it: each time with where it was, or once in a line if the database is away."""
        if not _is_away(error):
            logger.error("live: the feed could not be read, trying again", exc_info=error)
        elif not self._is_cut_off:
            self._is_cut_off = True
            logger.warning("live: the database is away, trying again: %s", error)

    def _news(self, *, details: bool) -> News:
        # Before any document is read: what is committed after that is news of the next pass.
        self._tailer = self._tailer or Tailer()
        return self._tailer.read(details=details)

    def _read(self, channel: Channel, reads: PassReads) -> _Reading:
        channel.is_dirty, channel.read_at = False, time.monotonic()
        try:
            document = channel.topic.read(reads)
        except Exception as error:
            if _is_away(error):
                raise
            logger.exception("live: could not read %s", channel.topic.name)
            channel.is_failing = True
            return _Reading(channel, None, is_failed=True)
        channel.is_failing = False
        return _Reading(channel, document)


def _is_away(error: Exception) -> bool:
    """Whether nothing at all can be read: a single slow topic is no such case."""
    outage = faults.outage(error)
    return outage is not None and outage.kind == faults.UNREACHABLE.kind


def _is_looked_at(seats: Iterable[Seat]) -> bool:
    return any(seat.is_visible for seat in seats)


def _is_due(channel: Channel, news: News) -> bool:
    """Whether to read the channel's document in this pass: it is new, news concern it, or it is old."""
    age = time.monotonic() - channel.read_at
    is_urgent = channel.is_stale or not channel.is_loaded
    if is_urgent or channel.is_failing or age >= channel.topic.max_age:
        news = ANYTHING
    channel.is_dirty = channel.topic.note(news) or channel.is_dirty
    if channel.is_failing:
        return age >= FAILURE_PAUSE_SECONDS
    # A pass may be early because of someone else; that brings this topic no more frames than it may have.
    return channel.is_dirty and (is_urgent or age >= TICK_SECONDS * 0.9)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub_of_this_loop() -> Hub:
    """The hub of the running event loop, of which a web process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]

"""The websocket of one dashboard tab: who may have it, what it says, when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from typing import Any

import msgspec
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from dispatcher.conf import conf
from dispatcher.live import messages, session
from dispatcher.live.hub import Hub, hub_of_this_loop
from dispatcher.live.origin import is_own
from dispatcher.live.seat import MAX_TOPICS, Seat, WrongAck
from dispatcher.live.topics import TopicError, parse_topic
from dispatcher.live.version import build

# Of our own: daphne takes no others from an application, and says 1011 instead.
CLOSE_PROTOCOL = 4400
CLOSE_SIGNED_OUT = 4401
CLOSE_SLOW = 4408
CLOSE_UNAVAILABLE = 4503

#: At most so many messages in so many seconds.
MAX_MESSAGES = 100
MESSAGES_SECONDS = 10.0

logger = logging.getLogger(__name__)

#: Websockets of this process by session.
_open_by_session: Counter[str] = Counter()


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Speaks the protocol of ``docs/live_protocol.md``; what there is to say comes from the hub."""

    async def connect(self) -> None:
        """Let in signed-in users who come from our own pages."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._place = ""
        self._message_times: deque[float] = deque(maxlen=MAX_MESSAGES)
        self._hub: Hub = hub_of_this_loop()
        self._seat = Seat(self._send_text, time.monotonic)
        if not is_own(self.scope):
            # Before it is accepted: the browser gets HTTP 403.
            await self.close()
            return
        await self.accept()
        self._signed_in_at = time.monotonic()
        try:
            is_signed_in = await session.is_signed_in(self.scope)
        except (OperationalError, InterfaceError) as error:
            logger.warning("live: could not look up a session: %s", error)
            await self.close(CLOSE_UNAVAILABLE)
            return
        if not is_signed_in:
            # After it is accepted: only so does the page learn why, and goes to the login instead of trying again.
            await self.close(CLOSE_SIGNED_OUT)
            return
        if not self._take_place():
            await self.close(CLOSE_UNAVAILABLE)
            return
        welcome = messages.Welcome(server_time=timezone.now(), epoch=self._hub.epoch, version=build())
        await self._say(welcome)
        for work in (self._seat.serve(), self._watch()):
            self._start(work)

    async def disconnect(self, code: int) -> None:
        """Leave nothing behind."""
        if self._place:
            _open_by_session[self._place] -= 1
            if not _open_by_session[self._place]:
                del _open_by_session[self._place]
        self._hub.leave(self._seat)
        for task in list(self._tasks):
            task.cancel()

    def _take_place(self) -> bool:
        """Count this socket among those of its session; False if there are enough of them."""
        key = self.scope["session"].session_key
        if _open_by_session[key] >= conf().max_websockets_per_session:
            return False
        _open_by_session[key] += 1
        self._place = key
        return True

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Do what the message asks for; close on what the protocol does not know."""
        if text_data is None or len(text_data) > messages.MAX_MESSAGE_CHARS or self._is_flooding():
            await self.close(CLOSE_PROTOCOL)
            return
        try:
            await self._handle(messages.decode(text_data))
        except (msgspec.MsgspecError, WrongAck, RecursionError):
            await self.close(CLOSE_PROTOCOL)

    async def _handle(self, message: messages.FromBrowser) -> None:
        match message:
            case messages.Sub():
                await self._subscribe(message)
            case messages.Unsub(topic=name):
                self._hub.unsubscribe(self._seat, name)
            case messages.Visible(visible=visible):
                self._hub.show(self._seat, visible=visible)
            case messages.Ack(n=total):
                self._seat.acknowledge(total)
            case messages.Ping(t=t):
                await self._say(messages.Pong(t=t, server_time=timezone.now()))

    async def _subscribe(self, message: messages.Sub) -> None:
        try:
            topic = parse_topic(message.topic, message.params)
        except TopicError as error:
            self._hub.unsubscribe(self._seat, message.topic)
            await self._say(messages.Error(message.topic, error.code, str(error)))
            return
        if len(self._seat.topics) >= MAX_TOPICS and message.topic not in self._seat.topics:
            await self._say(messages.Error(message.topic, "too_many_topics", f"at most {MAX_TOPICS} topics"))
            return
        known = message.known
        # Of another epoch, such as that of another process, a number means nothing here.
        seq = known.seq if known is not None and known.epoch == self._hub.epoch else None
        self._hub.subscribe(self._seat, topic, self._tell, known=seq)

    def _tell(self, text: str) -> None:
        """Send a frame soon; for the hub, which does not wait for viewers."""
        self._start(self._send_text(text))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A connection that broke while it was sent to; its disconnect follows.
            logger.debug("live: connection ended: %s", error)

    async def _watch(self) -> None:
        """Close when the user is no longer signed in, or when frames are no longer acknowledged."""
        guard = session.SessionGuard(lambda: session.is_signed_in(self.scope), self._signed_in_at)
        while True:
            await asyncio.sleep(min(session.WATCH_SECONDS, session.SESSION_CHECK_SECONDS))
            if self._seat.is_lost():
                await self.close(CLOSE_SLOW)
                return
            is_over = await guard.is_over(time.monotonic)
            if is_over is not False:
                await self.close(CLOSE_SIGNED_OUT if is_over else CLOSE_UNAVAILABLE)
                return

    def _is_flooding(self) -> bool:
        now = time.monotonic()
        is_full = len(self._message_times) == MAX_MESSAGES and now - self._message_times[0] < MESSAGES_SECONDS
        self._message_times.append(now)
        return is_full

    async def _say(self, message: Any) -> None:
        await self._send_text(messages.encode(message))

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

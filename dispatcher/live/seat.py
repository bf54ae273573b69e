"""One viewer: what it has subscribed to, how far it is in each topic, and what it has not acknowledged yet.

Nothing is ever queued for a viewer. Per topic there is one number, where it is; what it gets next is made from that
when it can take more. So a slow viewer costs no memory, and gets the present when it goes on, not the past.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from dispatcher.live.channel import Channel
from dispatcher.live.messages import Resumed, SnapshotReason, encode

MAX_TOPICS = 16
#: What may be on its way without an acknowledgement.
MAX_UNACKED_FRAMES = 16
MAX_UNACKED_CHARS = 1024 * 1024
#: Silence about frames that were sent, after which the viewer is given up, in seconds.
ACK_PATIENCE_SECONDS = 30.0


@dataclass(slots=True)
class Subscription:
    """Where the viewer is in one topic."""

    channel: Channel
    known: int | None = None
    #: Why the next snapshot, if it takes one, is sent.
    reason: SnapshotReason = "sub"
    #: It went on from where an earlier connection was, and has not been told yet whether there is anything new.
    is_resuming: bool = False


class _Sent(NamedTuple):
    at: float
    chars: int


class WrongAck(ValueError):
    """More frames were acknowledged than sent."""


class Seat:
    """A viewer's place. Belongs to the event loop; ``send`` hands a frame to its connection."""

    def __init__(self, send: Callable[[str], Awaitable[None]], clock: Callable[[], float]) -> None:
        self._send = send
        self._clock = clock
        self._subscriptions: dict[str, Subscription] = {}
        self._ready = asyncio.Event()
        self._unacked: deque[_Sent] = deque()
        self._num_sent = 0
        self._patience_from = clock()
        self.is_visible = True

    @property
    def topics(self) -> list[str]:
        """Names of the topics subscribed to."""
        return list(self._subscriptions)

    def join(self, channel: Channel, known: int | None = None) -> None:
        """Begin with the channel, after ``known`` if that can still be told, otherwise with a snapshot. Takes the place
        of an earlier one of that name.
        """  # fmt: skip
        self._subscriptions[channel.topic.name] = Subscription(channel, known, is_resuming=known is not None)
        self.wake()

    def leave(self, name: str) -> Channel | None:
        """End with a topic; its channel, if there was one."""
        subscription = self._subscriptions.pop(name, None)
        return None if subscription is None else subscription.channel

    def channel(self, name: str) -> Channel | None:
        """The channel behind a topic that is subscribed to."""
        subscription = self._subscriptions.get(name)
        return None if subscription is None else subscription.channel

    def show(self, *, visible: bool) -> None:
        """Go on with frames, or send none. Called by the hub."""
        if visible and not self.is_visible:
            self._patience_from = self._clock()
            for subscription in self._subscriptions.values():
                subscription.reason = "visible"
        self.is_visible = visible
        self.wake()

    def acknowledge(self, total: int) -> None:
        """So many data frames have arrived. Raises ``WrongAck``."""
        if total > self._num_sent:
            raise WrongAck
        while self._num_sent - len(self._unacked) < total:
            self._unacked.popleft()
        self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self._ready.set()

    def is_lost(self) -> bool:
        """Whether frames were sent that were not acknowledged for too long, while somebody looked."""
        if not self.is_visible or not self._unacked:
            return False
        since = max(self._unacked[0].at, self._patience_from)
        return self._clock() - since > ACK_PATIENCE_SECONDS

    async def serve(self) -> None:
        """Send what there is to send, until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            await self._send_all()

    async def _send_all(self) -> None:
        """One frame per topic in turn, until there is none left or no room for more."""
        busy = True
        while busy:
            busy = False
            for subscription in list(self._subscriptions.values()):
                if self._may_send():
                    busy = await self._send_next(subscription) or busy

    def _may_send(self) -> bool:
        if not self._unacked:
            return self.is_visible
        chars = sum(sent.chars for sent in self._unacked)
        return self.is_visible and len(self._unacked) < MAX_UNACKED_FRAMES and chars < MAX_UNACKED_CHARS

    async def _send_next(self, subscription: Subscription) -> bool:
        channel = subscription.channel
        frame = channel.next_frame(subscription.known, subscription.reason)
        if frame is None:
            if subscription.is_resuming and channel.is_fresh:
                subscription.is_resuming = False
                await self._send(encode(Resumed(channel.topic.name, channel.seq)))
            return False
        subscription.is_resuming = False
        subscription.known, subscription.reason = frame.seq, "slow"
        self._num_sent += 1
        self._unacked.append(_Sent(self._clock(), len(frame.text)))
        await self._send(frame.text)
        return True

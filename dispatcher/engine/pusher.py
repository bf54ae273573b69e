"""Pushes claimed tasks to their nodes: per node one request at a time, as many tasks in it as have gathered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus

import msgspec
from django.db import connection
from django.utils import timezone

from dispatcher import addresses, credentials, node_registry
from dispatcher.clients.node_client import NodeClient, NotDelivered, OutcomeUnknown
from dispatcher.engine import deliveries
from dispatcher.engine.loop import Loop
from dispatcher.models import Node
from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.statements import Claimed
from dispatcher.states import AttemptOutcome
from workers import protocol

logger = logging.getLogger(__name__)

#: Requests to different nodes at the same time.
THREADS = 16
#: Tasks in one request at the most.
MAX_PUSH = 1000
#: Characters of all payloads in one request; as UTF-8 with the rest around them this stays below the 8 MiB nodes take.
MAX_PUSH_CHARS = 2_000_000
#: How long an acknowledgement waits for a push to travel with.
ACK_DELAY_SECONDS = 0.5
#: First and longest pause of a node after pushes that failed, in seconds; doubles in between.
FIRST_HOLD_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 30.0

_encoder = msgspec.json.Encoder()


class _Channel:
    """What waits for one node. ``busy`` while a thread is at it; guarded by the pusher's lock."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id
        self.waiting: list[Claimed] = []
        self.cancels: list[protocol.AttemptRef] = []
        self.acks: list[protocol.AttemptRef] = []
        self.acks_since = 0.0
        self.busy = False
        self.failures = 0
        self.client: NodeClient | None = None
        #: The node's row, as long as it takes what it is sent.
        self.node: Node | None = None

    def is_due(self, moment: float) -> bool:
        return not self.busy and (
            bool(self.waiting)
            or bool(self.cancels)
            or (bool(self.acks) and moment - self.acks_since >= ACK_DELAY_SECONDS)
        )


class Pusher(Loop):
    """Sends what the assigner claimed.

    Claimed tasks live in the database; the queues here are only what is to be sent next. If this process dies, the
    poller of the next one asks the nodes which of the claimed attempts have reached them.
    """

    name = "pusher"

    def __init__(self, on_unknown: Callable[[], None]) -> None:
        """``on_unknown`` is called when nobody knows whether a push arrived: the poller shall ask soon."""
        super().__init__(interval=ACK_DELAY_SECONDS)
        self._on_unknown = on_unknown
        self._channels: dict[int, _Channel] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="push")

    def push(self, tasks: Sequence[Claimed]) -> None:
        """Queue claimed tasks for their nodes. Does not block."""
        with self._lock:
            for task in tasks:
                channel = self._channels.setdefault(task.node_id, _Channel(task.node_id))
                channel.waiting.append(task)
        self.wake()

    def cancel(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Queue requests to cancel (task id, attempt, node id). Does not block; heartbeats repeat lost ones."""
        with self._lock:
            for task_id, attempt, node_id in rows:
                channel = self._channels.setdefault(node_id, _Channel(node_id))
                channel.cancels.append(protocol.AttemptRef(task_id=str(task_id), attempt=attempt))
        self.wake()

    def run_once(self, now: datetime) -> bool:
        """Put a thread to work for every node that something waits for."""
        moment = time.monotonic()
        with self._lock:
            due = [channel for channel in self._channels.values() if channel.is_due(moment)]
            for channel in due:
                channel.busy = True
        for channel in due:
            self._threads.submit(self._serve, channel)
        return False

    def close(self) -> None:
        """Wait for requests in flight; what was not sent is found by the poller of the next engine."""
        self._threads.shutdown(wait=True)
        for channel in self._channels.values():
            if channel.client is not None:
                channel.client.close()

    def _serve(self, channel: _Channel) -> None:
        try:
            while not self.is_stopping:
                with self._lock:
                    size = _push_size(channel.waiting)
                    tasks, channel.waiting = channel.waiting[:size], channel.waiting[size:]
                    acks, channel.acks = channel.acks, []
                    cancels, channel.cancels = channel.cancels, []
                if not (tasks or acks or cancels):
                    break
                self._deliver(channel, tasks, acks, cancels)
        except Exception:
            # The attempts stay claimed; the poller finds out what became of them.
            logger.exception("push to node %s failed", channel.node_id)
            self._on_unknown()
        finally:
            with self._lock:
                channel.busy = False
                again = bool(channel.waiting or channel.cancels)
            connection.close()
            if again:
                self.wake()

    def _deliver(
        self,
        channel: _Channel,
        tasks: list[Claimed],
        acks: list[protocol.AttemptRef],
        cancels: list[protocol.AttemptRef],
    ) -> None:
        node = _node(channel, tasks)
        # Others were given up when the node's program was started anew.
        tasks = [task for task in tasks if task.incarnation == node.incarnation]
        try:
            client = _client(channel, node)
            if node.is_tutorial:
                _push_singly(channel, client, tasks)
                channel.failures = 0
                return
            is_taken = True
            if cancels or not tasks:
                order = protocol.Control(boot_id=node.boot_id, ack=acks, cancel=cancels)
                is_taken = client.post("/control", _encoder.encode(order)).status == HTTPStatus.OK
                acks = []
            if tasks:
                answer = client.post("/tasks", _push_body(node, tasks, acks))
                safe = deliveries.take_in(answer, tasks, node_id=node.pk, now=timezone.now())
                self._acknowledge_later(channel, safe)
                is_taken = answer.status == HTTPStatus.ACCEPTED
            channel.node = node if is_taken else None
            channel.failures = 0
        except (NotDelivered, addresses.AddressRefused) as error:
            deliveries.give_back(tasks, AttemptOutcome.RELEASED, f"could not connect: {error}", now=timezone.now())
            _hold(channel, f"could not connect: {error}")
        except (OutcomeUnknown, msgspec.MsgspecError) as error:
            if tasks:
                _hold(channel, f"no usable answer to a push: {error}")
                self._on_unknown()

    def _acknowledge_later(self, channel: _Channel, refs: list[protocol.AttemptRef]) -> None:
        if refs:
            with self._lock:
                if not channel.acks:
                    channel.acks_since = time.monotonic()
                channel.acks.extend(refs)


def _node(channel: _Channel, tasks: Sequence[Claimed]) -> Node:
    """The node's row: the one kept of the last request, unless tasks are for another start of its program.

    Its address may change without a new start; then a request to the old one fails, and the row is read again.
    """
    kept, channel.node = channel.node, None
    if kept is not None and all(task.incarnation == kept.incarnation for task in tasks):
        return kept
    return Node.objects.get(pk=channel.node_id)


def _client(channel: _Channel, node: Node) -> NodeClient:
    if channel.client is None or channel.client.url != node.url:
        if channel.client is not None:
            channel.client.close()
        channel.client = NodeClient(url=node.url, key=credentials.push_key(node))
    return channel.client


def _push_size(waiting: Sequence[Claimed]) -> int:
    """How many of the first ``waiting`` fit into one request; at least one if there is any."""
    room = MAX_PUSH_CHARS
    for position, task in enumerate(waiting[:MAX_PUSH]):
        room -= len(task.payload)
        if room < 0:
            return max(1, position)
    return min(len(waiting), MAX_PUSH)


def _push_body(node: Node, tasks: Sequence[Claimed], acks: list[protocol.AttemptRef]) -> bytes:
    lanes = lanes_by_id({task.lane_id for task in tasks})
    pushed = [
        protocol.PushTask(
            task_id=str(task.id),
            attempt=task.attempt,
            type=lanes[task.lane_id].type,
            queue=lanes[task.lane_id].queue,
            payload=msgspec.Raw(task.payload.encode()),
            timeout_seconds=task.timeout_seconds,
            max_attempts=task.max_attempts,
        )
        for task in tasks
    ]
    return _encoder.encode(protocol.Push(boot_id=node.boot_id, tasks=pushed, ack=acks))


def _push_singly(channel: _Channel, client: NodeClient, tasks: Sequence[Claimed]) -> None:
    """The tutorial's way: one task per request, at ``POST /task``. Such a node cannot be asked afterwards."""
    lanes = lanes_by_id({task.lane_id for task in tasks})
    for position, task in enumerate(tasks):
        body = _encoder.encode(
            {
                "taskId": str(task.id),
                "payload": msgspec.Raw(task.payload.encode()),
                "type": lanes[task.lane_id].type,
                "attempt": task.attempt,
            }
        )
        try:
            answer = client.post("/task", body)
        except NotDelivered as error:
            reason = f"could not connect: {error}"
            deliveries.give_back(tasks[position:], AttemptOutcome.RELEASED, reason, now=timezone.now())
            _hold(channel, reason)
            return
        except OutcomeUnknown as error:
            # Given up at once; if it did arrive and its result comes before the next attempt, that result counts.
            reason = f"no usable answer to a push: {error}"
            deliveries.give_back([task], AttemptOutcome.LOST, reason, now=timezone.now())
            deliveries.give_back(tasks[position + 1 :], AttemptOutcome.RELEASED, reason, now=timezone.now())
            _hold(channel, reason)
            return
        deliveries.take_in_tutorial(answer, task, node_id=channel.node_id, now=timezone.now())


def _hold(channel: _Channel, reason: str) -> None:
    seconds = min(LONGEST_HOLD_SECONDS, FIRST_HOLD_SECONDS * 2**channel.failures)
    channel.failures += 1
    node_registry.hold(channel.node_id, seconds=seconds, reason=reason[:200], now=timezone.now(), failed=True)

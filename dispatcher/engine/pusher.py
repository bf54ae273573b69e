"""Pushes claimed tasks to their nodes: per node one request at a time, as many tasks in it as have gathered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

import msgspec
from django.db import connection
from django.utils import timezone

from dispatcher import addresses, credentials, node_registry
from dispatcher.clients.node_client import NodeClient, NotDelivered, OutcomeUnknown
from dispatcher.engine import deliveries
from dispatcher.engine.deliveries import Delivery
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
#: A node's row is read again after this time: what it is pushed to and signed with may have changed.
KEEP_NODE_SECONDS = 60.0
#: How long an acknowledgement waits for a push to travel with.
ACK_DELAY_SECONDS = 0.5
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
        self.client: NodeClient | None = None
        #: The node's row, as long as it takes what it is sent.
        self.node: Node | None = None
        self.node_read_at = 0.0

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
        """``on_unknown`` is called when nobody knows what a push came to, or how a node is: the poller shall ask."""
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
        except addresses.AddressRefused as error:
            deliveries.give_back(tasks, AttemptOutcome.RELEASED, f"could not connect: {error}", now=timezone.now())
            self._conclude(channel, node, Delivery(failure=f"could not connect: {error}"))
            return
        if node.is_tutorial:
            self._conclude(channel, node, _push_singly(client, tasks, node))
            return
        if cancels or not tasks:
            order = protocol.Control(boot_id=node.boot_id, ack=acks, cancel=cancels)
            said = _order(client, _encoder.encode(order))
            if not said.is_taken:
                # Whoever takes no orders gets no tasks; these have not been sent.
                reason = f"the node took no orders: {said.failure or 'it asked for a pause'}"
                deliveries.give_back(tasks, AttemptOutcome.RELEASED, reason, now=timezone.now())
                tasks = []
            acks = []
            self._conclude(channel, node, said)
        if tasks:
            delivery = _push(client, tasks, _push_body(node, tasks, acks), node)
            self._acknowledge_later(channel, delivery.safe)
            self._conclude(channel, node, delivery)

    def _conclude(self, channel: _Channel, node: Node, delivery: Delivery) -> None:
        """Keep or hold the node by what a request came to."""
        now = timezone.now()
        channel.node = node if delivery.is_taken else None
        if delivery.is_taken:
            if node.push_failures:
                node_registry.clear_push_failures(node.pk)
                channel.node = None
        elif delivery.failure:
            node_registry.hold_for_failure(node.pk, reason=delivery.failure, at_least=delivery.pause_seconds, now=now)
        elif delivery.pause_seconds:
            node_registry.hold(node.pk, seconds=delivery.pause_seconds, reason="asked for a pause", now=now)
        if delivery.is_unknown or delivery.failure:
            self._on_unknown()

    def _acknowledge_later(self, channel: _Channel, refs: Sequence[protocol.AttemptRef]) -> None:
        if refs:
            with self._lock:
                if not channel.acks:
                    channel.acks_since = time.monotonic()
                channel.acks.extend(refs)


def _node(channel: _Channel, tasks: Sequence[Claimed]) -> Node:
    """The node's row: the one kept of the last request, unless tasks are for another start of its program.

    Its address may change without a new start; then a request to the old one fails, and the row is read again. Its push
    key may change as well: the node takes the old one for some minutes more.
    """
    kept, channel.node = channel.node, None
    is_fresh = time.monotonic() - channel.node_read_at < KEEP_NODE_SECONDS
    if kept is not None and is_fresh and all(task.incarnation == kept.incarnation for task in tasks):
        return kept
    channel.node_read_at = time.monotonic()
    return Node.objects.get(pk=channel.node_id)


def _client(channel: _Channel, node: Node) -> NodeClient:
    key = credentials.push_key(node)
    if channel.client is None or channel.client.url != node.url or channel.client.key != key:
        if channel.client is not None:
            channel.client.close()
        channel.client = NodeClient(url=node.url, key=key)
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


def _order(client: NodeClient, body: bytes) -> Delivery:
    """Give orders. Acknowledgements and requests to cancel that get lost are repeated by other ways."""
    try:
        answer = client.post("/control", body)
    except (NotDelivered, OutcomeUnknown) as error:
        return Delivery(failure=f"no usable answer to orders: {error}")
    return Delivery(is_taken=True) if answer.status == HTTPStatus.OK else deliveries.judge(answer)


def _push(client: NodeClient, tasks: Sequence[Claimed], body: bytes, node: Node) -> Delivery:
    try:
        answer = client.post("/tasks", body)
    except NotDelivered as error:
        reason = f"could not connect: {error}"
        deliveries.give_back(tasks, AttemptOutcome.RELEASED, reason, now=timezone.now())
        return Delivery(failure=reason)
    except OutcomeUnknown as error:
        return Delivery(failure=f"no usable answer to a push: {error}", is_unknown=True)
    return deliveries.take_in(answer, tasks, node_id=node.pk, now=timezone.now())


def _push_singly(client: NodeClient, tasks: Sequence[Claimed], node: Node) -> Delivery:
    """The tutorial's way: one task per request, at ``POST /task``; ends with the first that is not taken."""
    lanes = lanes_by_id({task.lane_id for task in tasks})
    delivery = Delivery(is_taken=True)
    for position, task in enumerate(tasks):
        body = _encoder.encode(
            {
                "taskId": str(task.id),
                "payload": msgspec.Raw(task.payload.encode()),
                "type": lanes[task.lane_id].type,
                "attempt": task.attempt,
            }
        )
        delivery = _push_one(client, task, body, node)
        if not delivery.is_taken:
            rest = tasks[position + 1 :]
            reason = f"not sent: {delivery.failure or 'the node asked for a pause'}"
            deliveries.give_back(rest, AttemptOutcome.RELEASED, reason, now=timezone.now())
            break
    # Such a node cannot be asked: nothing is left open.
    return replace(delivery, is_unknown=False)


def _push_one(client: NodeClient, task: Claimed, body: bytes, node: Node) -> Delivery:
    try:
        answer = client.post("/task", body)
    except NotDelivered as error:
        reason, outcome = f"could not connect: {error}", AttemptOutcome.RELEASED
    except OutcomeUnknown as error:
        # Given up at once; if it did arrive and its result comes before the next attempt, that result counts.
        reason, outcome = f"no usable answer to a push: {error}", AttemptOutcome.LOST
    else:
        return deliveries.take_in_tutorial(answer, task, node_id=node.pk, now=timezone.now())
    deliveries.give_back([task], outcome, reason, now=timezone.now())
    return Delivery(failure=reason)

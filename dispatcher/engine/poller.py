"""Asks every node for its status on a timer: reconciles what runs, brings results home, passes orders on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from dispatcher import addresses, credentials, lifecycle, node_output, node_registry
from dispatcher.clients.node_client import Answer, NodeClient, NotDelivered, OutcomeUnknown
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop
from dispatcher.models import Node
from dispatcher.models.statements import Start
from dispatcher.models.task import parse_task_id
from dispatcher.states import NodeState
from workers import protocol

logger = logging.getLogger(__name__)

THREADS = 8
#: An attempt claimed more recently than this may still be on its way to the node.
SETTLE = timedelta(seconds=2)
#: So many times in a row a node may leave a question unanswered before it gets no more work.
MAX_UNANSWERED = 3
#: Between two passes at the least.
SHORTEST_PAUSE_SECONDS = 0.5

#: Nodes that count as gone are asked for this long: they may run what others have by now, or have results.
ASK_OFFLINE = timedelta(minutes=10)

_statuses = msgspec.json.Decoder(protocol.NodeStatus)
_replies = msgspec.json.Decoder(protocol.ControlReply)
_encoder = msgspec.json.Encoder()


class NoUse(Exception):
    """The node gave an answer that is of no use."""


_NO_STATUS = (
    NotDelivered, OutcomeUnknown, NoUse, addresses.AddressRefused, msgspec.MsgspecError, UnicodeDecodeError,
    RecursionError,
)  # fmt: skip


class Poller(Loop):
    """The second road home for results, and the answer to pushes with an unknown outcome.

    A node that answers is not thereby alive: leases are renewed by heartbeats alone, because an answer does not prove
    that the node can report.
    """

    name = "poller"

    def __init__(self) -> None:
        super().__init__(interval=conf().poll_seconds)
        self._clients: dict[int, NodeClient] = {}
        #: Nodes that are being asked, or wait for a thread.
        self._asked: set[int] = set()
        #: When a node last answered, in monotonic seconds.
        self._answered: dict[int, float] = {}
        #: Times in a row that a node did not answer.
        self._unanswered: dict[int, int] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="poll")

    def run_once(self, now: datetime) -> bool:
        """Ask every node that may hold something, a few at a time.

        A pass ends when the next is due at the latest and leaves out who is still being asked: were it to wait for many
        nodes that hang, the watchdog would take the loop for stuck.
        """
        gone = Q(state=NodeState.OFFLINE, last_seen_at__lt=now - ASK_OFFLINE)
        nodes = Node.objects.filter(is_tutorial=False).exclude(boot_id="").exclude(gone)
        fresh = [node for node in nodes if node.pk not in self._asked]
        self._asked.update(node.pk for node in fresh)
        wait([self._threads.submit(self._poll, node) for node in fresh], timeout=conf().poll_seconds)
        self.interval = _pause(fresh, now)
        return False

    def is_answering(self, node_id: int) -> bool:
        """Whether the node answered within the time in which it would have been given up. Safe from other threads."""
        answered = self._answered.get(node_id)
        return answered is not None and time.monotonic() - answered < conf().lease_seconds

    def close(self) -> None:
        """Wait for the requests in flight."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _poll(self, node: Node) -> None:
        try:
            client = self._client(node)
            status = node_output.read_items(_body(client.get("/status")), _statuses)
            self._unanswered.pop(node.pk, None)
            if status.boot_id == node.boot_id:
                self._answered[node.pk] = time.monotonic()
                self._reconcile(node, client, status)
                _prove(node, client)
        except _NO_STATUS as error:
            logger.info("node %s: no status: %s", node.name, error)
            self._miss(node, str(error))
        except Exception:
            logger.exception("node %s: status could not be taken in", node.name)
        finally:
            self._asked.discard(node.pk)
            connection.close()

    def _miss(self, node: Node, reason: str) -> None:
        """A node that takes pushes but cannot be asked what became of them gets no new work either."""
        misses = self._unanswered[node.pk] = self._unanswered.get(node.pk, 0) + 1
        if misses >= MAX_UNANSWERED and node.state == NodeState.ONLINE and not _is_held(node, timezone.now()):
            reason = f"it does not answer when asked how it is: {reason}"
            node_registry.hold_for_failure(node.pk, reason=reason, now=timezone.now())

    def _client(self, node: Node) -> NodeClient:
        client, key = self._clients.get(node.pk), credentials.push_key(node)
        if client is None or client.url != node.url or client.key != key:
            if client is not None:
                client.close()
            client = self._clients[node.pk] = NodeClient(url=node.url, key=key)
        return client

    def _reconcile(self, node: Node, client: NodeClient, status: protocol.NodeStatus) -> None:
        now = timezone.now()
        acks = _take_results(status.finished, node, now)
        _mark_running(status.held, node, now)
        held = {number: item.attempt for item in status.held if (number := parse_task_id(item.task_id))}
        superseded, cancel = lifecycle.compare(held, node_id=node.pk) if held else ([], [])
        unknown = lifecycle.missing(node_id=node.pk, incarnation=node.incarnation, held=held, before=now - SETTLE)
        wanted = node_registry.desired_status(node)
        if not (acks or superseded or cancel or unknown or status.draining != (wanted != "run")):
            return
        order = protocol.Control(
            boot_id=node.boot_id, ack=acks, cancel=cancel, superseded=superseded, resolve=unknown, status=wanted
        )
        reply = node_output.read_items(_body(client.post("/control", _encoder.encode(order))), _replies)
        lifecycle.settle(reply.resolved, node_id=node.pk, now=timezone.now())


def _prove(node: Node, client: NodeClient) -> None:
    """See whether a node that was held takes pushes again: with an empty one, so that no task is risked."""
    if not node.push_failures or _is_held(node, timezone.now()):
        return
    try:
        answer = client.post("/tasks", _encoder.encode(protocol.Push(boot_id=node.boot_id, tasks=[])))
        trouble = "" if answer.status == HTTPStatus.ACCEPTED else f"it answered {answer.status} to an empty push"
    except (NotDelivered, OutcomeUnknown) as error:
        trouble = f"no usable answer to an empty push: {error}"
    if trouble:
        node_registry.hold_for_failure(node.pk, reason=trouble, now=timezone.now())
    else:
        node_registry.clear_push_failures(node.pk)


def _is_held(node: Node, now: datetime) -> bool:
    return node.held_seconds(now) > 0


def _pause(nodes: Sequence[Node], now: datetime) -> float:
    """Seconds until the next pass: sooner if a node in trouble is to be tried again before."""
    waiting = [node.held_seconds(now) for node in nodes if node.push_failures]
    return min([conf().poll_seconds, *(max(SHORTEST_PAUSE_SECONDS, seconds) for seconds in waiting if seconds > 0)])


def _body(answer: Answer) -> bytes:
    if answer.status != HTTPStatus.OK:
        raise NoUse(f"it answered {answer.status}")
    return answer.body


def _take_results(finished: Sequence[protocol.TaskResult], node: Node, now: datetime) -> list[protocol.AttemptRef]:
    """Record results that the node could not report itself; all of them are safe, or of no use, afterwards."""
    lifecycle.record_results(finished, node_id=node.pk, now=now)
    return [protocol.AttemptRef(task_id=item.task_id, attempt=item.attempt) for item in finished]


def _mark_running(held: Sequence[protocol.Held], node: Node, now: datetime) -> None:
    lifecycle.start(
        [
            Start(number, item.attempt, now, now)
            for item in held
            if item.running and (number := parse_task_id(item.task_id))
        ],
        node_id=node.pk,
        now=now,
    )

"""The dispatcher's two programs: the web side as a server of nodes and clients, the engine with its real loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher import lifecycle, node_registry
from dispatcher.clients.node_client import Answer, NotDelivered, OutcomeUnknown
from dispatcher.engine import poller, pusher
from dispatcher.engine.assigner import Assigner
from dispatcher.engine.housekeeping import Stager
from dispatcher.engine.poller import NoUse
from dispatcher.engine.sweeper import Sweeper
from dispatcher.models import Node
from dispatcher.models.statements import Claimed
from dispatcher.states import NodeState, TaskState
from tests.simulation.timeline import Process
from workers import protocol

if TYPE_CHECKING:
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

PUSH_TIMEOUT = 2.0
_ROADS = {"/tasks": "push", "/control": "control"}
_FAILURES = {"refused": NotDelivered, "unknown": OutcomeUnknown}
_status = msgspec.json.Decoder(protocol.NodeStatus).decode


class Web(Process):
    """Answers nodes and clients. None is a 503: the database is away."""

    def __init__(self, world: World) -> None:
        super().__init__(world.timeline, "web")
        self.world = world

    def register(self, worker: Worker, message: protocol.Register) -> protocol.Registered | None:
        if not self.world.has_database:
            return None
        node = node_registry.register(message, node=Node(pk=worker.node_id), now=self.timeline.now())
        self.world.oracle.heard(worker)
        self.world.engine.look_soon()
        return node_registry.registered(node)

    def heartbeat(self, worker: Worker, message: protocol.Heartbeat) -> protocol.HeartbeatReply | str | None:
        if not self.world.has_database:
            return None
        try:
            reply = node_registry.heartbeat(message, node=Node(pk=worker.node_id), now=self.timeline.now())
        except node_registry.RegisterFirst:
            return "register"
        self.world.oracle.heard(worker)
        return reply

    def report(self, worker: Worker, report: protocol.Report) -> protocol.ReportReply | None:
        if not self.world.has_database:
            return None
        # Over the wire: what arrives is not the sender's object.
        copy = msgspec.json.decode(msgspec.json.encode(report), type=protocol.Report)
        expected = self.world.oracle.expectations(worker.node_id, copy.results)
        reply = lifecycle.record_report(copy, node_id=worker.node_id, now=self.timeline.now())
        self.world.oracle.judged(worker.node_id, copy.results, reply.verdicts, expected)
        self.world.engine.look_soon()
        return reply


class Engine(Process):
    """One engine. All that it keeps in memory is gone when it is killed."""

    def __init__(self, world: World) -> None:
        super().__init__(world.timeline, "engine")
        self.world = world
        self._is_looking = False

    def started(self) -> None:
        self._assigner = Assigner(self._push, self._cancel)
        self._sweeper = Sweeper(monotonic=lambda: self.timeline.t)
        self._stager = Stager()
        self._poller = poller.Poller()
        self._pusher = pusher.Pusher(on_unknown=lambda: None)
        self._waiting: dict[int, list[Claimed]] = defaultdict(list)
        self._orders: dict[int, list[protocol.AttemptRef]] = defaultdict(list)
        self._acks: dict[int, list[protocol.AttemptRef]] = defaultdict(list)
        self._busy: set[int] = set()
        self._asked: set[int] = set()
        self._is_looking = False
        settings = self.world.settings
        self.world.oracle.engine_started()
        self._every(settings["sweep_seconds"], self._sweep)
        self._every(settings["assign_seconds"], self._assign)
        self._every(settings["poll_seconds"], self._poll)
        self._every(settings["stage_seconds"], self._stage)

    def look_soon(self) -> None:
        """Something was committed: look for work."""
        if self.is_up and not self._is_looking:
            self._is_looking = True
            self.later(0.002, self._assign)

    def _every(self, seconds: float, run: Callable[[], None]) -> None:
        def turn() -> None:
            if self.world.has_database:
                run()
            self.later(seconds, turn)

        self.later(self.world.rng.uniform(0.0, seconds), turn)

    def _sweep(self) -> None:
        self.world.oracle.swept()
        if self.world.oracle.waiting():
            self._sweeper.run_once(self.timeline.now())
        else:
            # No task is open: as with the assigner, what would find nothing is left out.
            self._sweeper._sweep_nodes(self.timeline.now())

    def _assign(self) -> None:
        self._is_looking = False
        # A pass that would find nothing is left out: there are many, and they cost more than all the rest.
        if self.world.has_database and self.world.oracle.has_work():
            self._assigner.run_once(self.timeline.now())

    def _stage(self) -> None:
        if not self.world.oracle.has(TaskState.SCHEDULED):
            return
        self._stager.run_once(self.timeline.now())
        self.look_soon()

    # Pushes

    def _push(self, tasks: Sequence[Claimed]) -> None:
        for task in tasks:
            self._waiting[task.node_id].append(task)
        for node_id in {task.node_id for task in tasks}:
            self.later(self.world.rng.choice((0.0, 0.001, 0.05)), self._send, node_id)

    def _cancel(self, rows: Sequence[tuple[int, int, int]]) -> None:
        for task_id, attempt, node_id in rows:
            self._orders[node_id].append(protocol.AttemptRef(task_id=str(task_id), attempt=attempt))
            self.later(0.001, self._send_orders, node_id)

    def _send_orders(self, node_id: int) -> None:
        refs, worker = self._orders.pop(node_id, []), self.world.worker(node_id)
        if refs and self.world.has_database:
            node = Node.objects.get(pk=node_id)
            body = msgspec.json.encode(protocol.Control(boot_id=node.boot_id, cancel=refs))
            self._ask(worker, lambda message_id: worker.control(body, message_id), lambda _r: None, lambda _w: None)

    def _send(self, node_id: int) -> None:
        """As the pusher does: one request at a time and node, with all that has gathered."""
        if node_id in self._busy or not self._waiting[node_id] or not self.world.has_database:
            return
        claimed = self._waiting.pop(node_id)
        node = pusher._node(self._channel(node_id), claimed)
        tasks = [task for task in claimed if task.incarnation == node.incarnation]
        if not tasks:
            return
        self._busy.add(node_id)
        body, worker = pusher._push_body(node, tasks, self._acks.pop(node_id, [])), self.world.worker(node_id)
        self._ask(
            worker,
            lambda message_id: worker.push(body, message_id),
            lambda reply: self._concluded(node, tasks, body, Answer(reply[0], {}, reply[1])),
            lambda why: self._concluded(node, tasks, body, _FAILURES[why](why)),
        )

    def _channel(self, node_id: int) -> pusher._Channel:
        """The pusher's own, of which the row of the node that it keeps is used here."""
        return self._pusher._channels.setdefault(node_id, pusher._Channel(node_id))

    def _ask(self, worker: Worker, handle: Any, done: Any, failed: Any) -> None:
        self.world.network.request(self, worker, handle, done=done, failed=failed, timeout=PUSH_TIMEOUT)

    def _concluded(self, node: Node, tasks: Sequence[Claimed], body: bytes, outcome: Answer | Exception) -> None:
        self._busy.discard(node.pk)
        if not self.world.has_database:
            # Nothing can be written: as with a pass that failed, the poller asks.
            self._poll_soon(node.pk)
            return
        client: Any = _Settled(outcome)
        delivery = pusher._push(client, tasks, body, node)
        self._acks[node.pk] += delivery.safe
        self._pusher._conclude(self._channel(node.pk), node, delivery)
        if delivery.is_unknown:
            self._poll_soon(node.pk)
        self._send(node.pk)
        self.look_soon()

    # The poller's requests

    def _poll(self) -> None:
        for node in Node.objects.exclude(boot_id="").exclude(state=NodeState.OFFLINE).order_by("id"):
            self._ask_status(node)

    def _poll_soon(self, node_id: int) -> None:
        def ask() -> None:
            if self.world.has_database:
                self._ask_status(Node.objects.get(pk=node_id))

        self.later(0.05, ask)

    def _ask_status(self, node: Node) -> None:
        if node.pk in self._asked:
            return
        self._asked.add(node.pk)
        worker = self.world.worker(node.pk)
        self._ask(
            worker, worker.status, lambda body: self._reconcile(node, body), lambda _why: self._asked.discard(node.pk)
        )

    def _reconcile(self, node: Node, body: bytes) -> None:
        self._asked.discard(node.pk)
        status = _status(body)
        if status.boot_id == node.boot_id and self.world.has_database:
            expected = self.world.oracle.expectations(node.pk, status.finished)
            try:
                client: Any = _Orders(self.world, node.pk)
                self._poller._reconcile(node, client, status)
                poller._prove(node, client)
            except (OutcomeUnknown, NoUse):
                pass
            self.world.oracle.collected(expected)
            self.look_soon()


class _Settled:
    """A client whose request has come to its end."""

    def __init__(self, outcome: Answer | Exception) -> None:
        self._outcome = outcome

    def post(self, _path: str, _body: bytes) -> Answer:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class _Orders:
    """The poller's client for what it sends: a request may be lost on either way, or come late."""

    def __init__(self, world: World, node_id: int) -> None:
        self._world = world
        self._worker = world.worker(node_id)

    def post(self, path: str, body: bytes) -> Answer:
        network, worker, engine = self._world.network, self._worker, self._world.engine
        message_id = f"c{next(network._ids)}"
        is_cut = (engine.name, worker.name) in network.cut
        if is_cut or not worker.is_up or worker.is_paused or network._is_hit(network.loss):
            if worker.is_up and not is_cut and network._is_hit(0.5):
                worker.later(self._world.rng.uniform(0.5, 4.0), getattr(worker, _ROADS[path]), body, message_id)
            raise OutcomeUnknown("no answer")
        status, reply = getattr(worker, _ROADS[path])(body, message_id)
        if (worker.name, engine.name) in network.cut or network._is_hit(network.loss):
            raise OutcomeUnknown("no answer")
        return Answer(status, {}, reply)

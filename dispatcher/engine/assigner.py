"""Gives ready tasks to nodes: reads the facts, decides, claims, and hands the claimed tasks to the pusher."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, transaction

from dispatcher import lifecycle, snapshots
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop
from dispatcher.engine.observer import Observer
from dispatcher.models.statements import Claim, Claimed, Head, statements
from dispatcher.scheduling.decision import Decision, decide
from dispatcher.scheduling.ramp import Ramp
from dispatcher.scheduling.room import room
from dispatcher.scheduling.snapshot import NodeView, Snapshot, TaskHead
from dispatcher.states import NodeIntent, NodeState

logger = logging.getLogger(__name__)

#: Nodes and queues are read again at the latest after this, although the feed tells of every change to them.
POOL_MAX_AGE = timedelta(seconds=1)
#: Further tasks of a lane that are looked at when some of its first have crashed before.
LOOK_BEYOND = 200
#: Advisory lock that engines take turns at: decisions of two engines at once would fill the same slots.
DECISION_LOCK = 0x7461736B


class Assigner(Loop):
    """Late binding: a task stays in the database until a node has room for it."""

    name = "assigner"
    wakes_on_commit = True

    def __init__(
        self,
        push: Callable[[Sequence[Claimed]], None],
        cancel: Callable[[Sequence[tuple[int, int, int]]], None],
    ) -> None:
        """``push`` takes over claimed tasks after their claim has committed, ``cancel`` requests to cancel (task id,
        attempt, node id). Neither may block.
        """
        super().__init__(interval=conf().assign_seconds)
        self._push = push
        self._cancel = cancel
        self._observer = Observer()
        self._pool: snapshots.Pool | None = None
        self._memory: Mapping[str, object] = {}
        self._ramp = Ramp()

    def run_once(self, now: datetime) -> bool:
        """One decision; True if it was cut off by the batch size."""
        pool = self._read_pool(now)
        ready = statements().ready_lanes()
        if not ready:
            return False
        claimed = self._claim(ready, pool, now)
        if claimed:
            self._push(claimed)
        return len(claimed) >= conf().claim_batch

    def _read_pool(self, now: datetime) -> snapshots.Pool:
        changed = self._observer.catch_up(now)
        if cancels := self._observer.take_cancels():
            self._cancel(cancels)
        if self._pool is None or changed or now - self._pool.read_at > POOL_MAX_AGE:
            self._pool = snapshots.read_pool(now)
            self._observer.show_breakers(self._pool.nodes, now)
        return self._pool

    def _claim(self, ready: Sequence[int], pool: snapshots.Pool, now: datetime) -> list[Claimed]:
        with _turn():
            facts = snapshots.snapshot(
                pool=pool,
                in_flight=snapshots.read_in_flight(),
                ready=ready,
                experience=self._observer.experience,
                now=now,
                memory=self._memory,
            )
            places = room(facts)
            most = self._most(facts, [lane_id for lane_id in ready if lane_id in places], now)
            wanted = [(lane_id, min(places[lane_id], most)) for lane_id in ready if lane_id in places]
            if not wanted or not most:
                return []
            with transaction.atomic(savepoint=False):
                heads = statements().lock_heads(wanted)
                if any(head.crashes for head in heads):
                    # Some of them may wait for a better node: those behind them shall not.
                    heads = statements().lock_heads([(lane_id, count + LOOK_BEYOND) for lane_id, count in wanted])
                decision = decide(snapshots.with_heads(facts, _by_lane(heads, now)), most)
                claimed = lifecycle.claim(_claims(decision, facts, heads, pool), now=now)
        self._memory = decision.memory
        self._ramp = self._ramp.after(now=facts.now, claimed=len(claimed))
        return claimed

    def _most(self, facts: Snapshot, placeable: Sequence[int], now: datetime) -> int:
        """How many tasks of lanes with room this decision may give out: fewer than a batch after a standstill."""
        slots = sum(node.slots for node in facts.nodes if _takes_work(node))
        in_flight = sum(sum(node.in_flight.values()) for node in facts.nodes)
        if self._ramp.may_begin(facts.now):
            self._ramp = self._ramp.look(
                now=facts.now,
                slots=slots,
                in_flight=in_flight,
                waited=snapshots.waits(placeable, now, limit=slots + 1),
                rand=random.random(),
            )
            if self._ramp.began is not None:
                logger.warning("work begins again after a standstill: a tenth of %d slots first", slots)
        most = self._ramp.room(now=facts.now, slots=slots, in_flight=in_flight)
        return conf().claim_batch if most is None else min(most, conf().claim_batch)


def _takes_work(node: NodeView) -> bool:
    return node.state is NodeState.ONLINE and node.intent is NodeIntent.RUN and not node.draining


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for the turn among engines: what nodes hold, counted in here, is not changed by another's claims.

    With SQLite there is one engine, and no transaction yet: it would take others' turn to write, perhaps for nothing.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [DECISION_LOCK])
        yield


def _by_lane(heads: Sequence[Head], now: datetime) -> dict[int, list[TaskHead]]:
    lanes: dict[int, list[TaskHead]] = {}
    for head in heads:
        lanes.setdefault(head.lane_id, []).append(snapshots.task_head(head, now))
    return lanes


def _claims(decision: Decision, facts: Snapshot, heads: Sequence[Head], pool: snapshots.Pool) -> list[Claim]:
    attempts = {head.id: head.attempt for head in heads}
    nodes = {node.pk: node for node in pool.nodes}
    types = {lane.id: lane.type for lane in facts.lanes}
    return [
        Claim(
            item.task_id,
            attempts[item.task_id],
            item.node_id,
            nodes[item.node_id].incarnation,
            nodes[item.node_id].declared_timeout(types[item.lane_id]),
        )
        for item in decision.assignments
    ]

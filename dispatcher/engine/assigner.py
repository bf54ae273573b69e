"""Gives ready tasks to nodes: reads the facts, decides, claims, and hands the claimed tasks to the pusher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import connection, transaction

from dispatcher import lifecycle, snapshots
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop
from dispatcher.engine.observer import Observer
from dispatcher.models.statements import Claim, Claimed, Head, statements
from dispatcher.scheduling.decision import Decision, decide
from dispatcher.scheduling.room import room
from dispatcher.scheduling.snapshot import Snapshot, TaskHead

#: Nodes and queues are read again at the latest after this, although the feed tells of every change to them.
POOL_MAX_AGE = timedelta(seconds=1)
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

    def run_once(self, now: datetime) -> bool:
        """One decision; True if it was cut off by the batch size."""
        pool = self._read_pool(now)
        ready = statements().ready_lanes()
        if not ready:
            return False
        facts = snapshots.snapshot(
            pool=pool,
            in_flight=snapshots.read_in_flight(),
            ready=ready,
            experience=self._observer.experience,
            now=now,
            memory=self._memory,
        )
        places = room(facts)
        wanted = [(lane_id, min(places[lane_id], conf().claim_batch)) for lane_id in ready if lane_id in places]
        if not wanted:
            return False
        claimed = self._claim(facts, wanted, pool, now)
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

    def _claim(
        self, facts: Snapshot, wanted: Sequence[tuple[int, int]], pool: snapshots.Pool, now: datetime
    ) -> list[Claimed]:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                facts = _alone_and_fresh(facts)
            heads = statements().lock_heads(wanted)
            decision = decide(snapshots.with_heads(facts, _by_lane(heads)), conf().claim_batch)
            claimed = lifecycle.claim(_claims(decision, facts, heads, pool), now=now)
        self._memory = decision.memory
        return claimed


def _alone_and_fresh(facts: Snapshot) -> Snapshot:
    """Wait for the turn among engines, then count again what nodes hold: another engine may just have filled them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [DECISION_LOCK])
    in_flight = snapshots.read_in_flight()
    return replace(facts, nodes=[replace(node, in_flight=in_flight.get(node.id, {})) for node in facts.nodes])


def _by_lane(heads: Sequence[Head]) -> dict[int, list[TaskHead]]:
    lanes: dict[int, list[TaskHead]] = {}
    for head in heads:
        lanes.setdefault(head.lane_id, []).append(snapshots.task_head(head))
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

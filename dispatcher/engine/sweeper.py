"""Looks at leases and deadlines: of nodes, of attempts, of tasks that were not started in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from dispatcher import events, lifecycle, node_registry
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop
from dispatcher.models import Change, Node
from dispatcher.models.clock import database_now
from dispatcher.scheduling import health
from dispatcher.states import NodeIntent, NodeState

logger = logging.getLogger(__name__)

EXPIRE_BATCH = 1000
#: A drained node hands back by itself what outlasts the deadline. One that has not by so long after it, because it
#: speaks an earlier protocol or cannot be reached, is spared the trouble.
HAND_BACK_PATIENCE = timedelta(seconds=30)


class Sweeper(Loop):
    """Safe to run in several engines: every change is conditional."""

    name = "sweeper"

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        is_answering: Callable[[int], bool] = lambda _node_id: False,
    ) -> None:
        """``monotonic`` tells a pause of our own from silence of nodes, ``is_answering`` an outage of the intake."""
        super().__init__(interval=conf().sweep_seconds, clock=database_now)
        self._monotonic = monotonic
        self._is_answering = is_answering
        self._memory: health.HealthMemory | None = None
        self._is_holding = False

    def run_once(self, now: datetime) -> bool:
        """One sweep."""
        self._sweep_nodes(now)
        if lifecycle.is_any_amiss(now=now):
            lifecycle.draw_back(now=now)
            lifecycle.lose_stale(now=now)
            lifecycle.lose_overdue(now=now)
        return lifecycle.expire(now=now, limit=EXPIRE_BATCH) >= EXPIRE_BATCH

    def _sweep_nodes(self, now: datetime) -> None:
        settings = conf()
        nodes = [node for node in Node.objects.exclude(boot_id="") if node.last_seen_at and node.lease_expires_at]
        verdict = health.sweep(
            [_pulse(node, is_answering=self._is_answering(node.pk)) for node in nodes],
            now=now.timestamp(),
            monotonic=self._monotonic(),
            memory=self._memory,
            rules=health.HealthRules(
                suspect_seconds=settings.suspect_after_seconds,
                lease_seconds=settings.lease_seconds,
                grace_seconds=settings.lease_seconds,
                sweep_seconds=settings.sweep_seconds,
            ),
        )
        if verdict.is_resumed:
            if self._memory is not None:
                logger.warning("an own pause or a jump of the clock: every node gets a lease anew before it is judged")
            until = now + timedelta(seconds=settings.lease_seconds)
            node_registry.extend_leases(until=until)
            lifecycle.extend_deadlines(by=timedelta(seconds=verdict.jump_seconds), until=until)
        self._memory = verdict.memory
        late = [node.pk for node in nodes if _is_past_its_drain(node, now)]
        if late and (taken := lifecycle.hand_back(late, now=now)):
            logger.warning("%d attempts taken back from drained nodes after their deadline", taken)
        self._tell_of_hold(verdict, nodes, now)
        silent = [pk for pk, state in verdict.states.items() if state is NodeState.SUSPECT]
        gone = [pk for pk, state in verdict.states.items() if state is NodeState.OFFLINE]
        if silent:
            node_registry.suspect(silent, now=now)
        if gone:
            node_registry.take_offline(gone, now=now)
            lifecycle.lose_held_by(gone, reason="the node fell silent", now=now)

    def _tell_of_hold(self, verdict: health.Sweep, nodes: Sequence[Node], now: datetime) -> None:
        if verdict.held and not self._is_holding:
            expected = [
                node for node in nodes if node.state != NodeState.OFFLINE and node.intent != NodeIntent.DISABLED
            ]
            silent = sum(verdict.states[node.pk] is not NodeState.ONLINE for node in expected)
            logger.error("%d of %d nodes fell silent at once; nothing is taken from them yet", silent, len(expected))
            Change.objects.append(events.PoolHeld(silent=silent, total=len(expected)), now=now)
        self._is_holding = bool(verdict.held)


def _is_past_its_drain(node: Node, now: datetime) -> bool:
    """Whether what the node still has is to be taken from it."""
    return bool(node.hands_back and node.drain_until and node.drain_until + HAND_BACK_PATIENCE < now)


def _pulse(node: Node, *, is_answering: bool) -> health.Pulse:
    # Both are set together with the state (a constraint of the table); the fallback is never reached.
    seen = node.last_seen_at or timezone.now()
    return health.Pulse(
        node.pk,
        NodeState(node.state),
        seen.timestamp(),
        (node.lease_expires_at or seen).timestamp(),
        is_expected=node.intent != NodeIntent.DISABLED,
        is_answering=is_answering,
    )

"""The only writer of nodes: enrol, register, heartbeat, what operators want, what the failure detector finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db import IntegrityError, connection, transaction

from dispatcher import credentials, events, task_types
from dispatcher.conf import conf
from dispatcher.lifecycle import compare, lose_stale, missing, settle
from dispatcher.models import Change, Credential, Node
from dispatcher.models.node import digest_of
from dispatcher.models.task import parse_task_id
from dispatcher.payload_schemas import schema_error
from dispatcher.states import BreakerState, NodeIntent, NodeState
from workers import protocol

#: First and longest pause of a node after requests to it that failed, in seconds; doubles in between.
FIRST_HOLD_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 30.0

#: What an operator's word changes.
_WANTED = ("intent", "intent_reason", "drain_until", "hands_back", "held_until", "push_failures", "trouble")

#: Nearly all heartbeats change nothing but the lease.
_RENEW = """
    UPDATE dispatcher_node SET last_seen_at = %s, lease_expires_at = %s
    WHERE id = %s AND boot_id = %s AND boot_id <> '' AND state = 'online' AND draining = %s AND push_key_version >= %s
    RETURNING intent, push_failures, protocol, incarnation
"""


class Deadline(NamedTuple):
    """How long a drain may take, and whether the rest is handed back then, to run elsewhere, or left alone."""

    seconds: float
    hand_back: bool = True


class RegisterFirst(Exception):
    """The dispatcher does not know this start of the node's program."""


class EnrolmentRefused(Exception):
    """The name is taken by a node that the enrolment token may not enrol."""


class EnrolmentUsedUp(EnrolmentRefused):
    """The enrolment token has no use left, or has ended since it was shown."""


def issue_credential(*, name: str, actor: str, now: datetime) -> str:
    """A credential for the node called ``name``, which is made if there is none. Earlier ones stay valid."""
    with transaction.atomic():
        node, _ = Node.objects.get_or_create(name=name, defaults={"created_at": now})
        return credentials.issue_node_credential(node=node, actor=actor, now=now)


def enrol(message: protocol.Register, *, credential: Credential, now: datetime) -> tuple[Node, str]:
    """Let a new node in with an enrolment token: makes its row and its own credential, then registers it.

    A token may name the only node it is for, whose earlier credentials end with that; otherwise a name that is taken is
    refused, so that nobody can take over another node's identity. A node that asks again because the answer was lost
    gets a fresh credential in place of the one it never had, at no further use of the token.
    """
    by = f"enrolment {credential.prefix}"
    with transaction.atomic():
        node = credentials.take_back_unused(credential, name=message.name, now=now)
        if node is None:
            if not credentials.use_once(credential, now=now):
                raise EnrolmentUsedUp
            node = _enrolled(message.name, credential, now)
            credentials.revoke_node(node, actor=by, now=now)
        token = credentials.issue_node_credential(node=node, actor=by, now=now, obtained_with=credential)
        return register(message, node=node, now=now), token


def _enrolled(name: str, credential: Credential, now: datetime) -> Node:
    """The node that the token lets in: the one it is bound to, or a new one."""
    if credential.node is not None:
        if credential.node.name != name:
            raise EnrolmentRefused(f"this token is for the node {credential.node.name!r}")
        return credential.node
    try:
        # A row that is there already, or that another enrolment makes at this moment, belongs to someone else.
        with transaction.atomic():
            return Node.objects.create(name=name, created_at=now)
    except IntegrityError:
        raise EnrolmentRefused(f"there is a node called {name!r} already; choose another name") from None


def register(
    message: protocol.Register, *, node: Node, now: datetime, is_tutorial: bool = False, key_version: int = 0
) -> Node:
    """A start of the node's program says where it is and what it can do.

    A new ``boot_id`` makes a new incarnation: whatever the previous one held is given up at once. The same one again
    (a repeated request) only refreshes what it said, and is a sign of life like a heartbeat. ``key_version``: the push
    key that came with its credential.
    """
    with transaction.atomic():
        node = Node.objects.select_for_update().get(pk=node.pk)
        was, restarted = node.state, node.boot_id != message.boot_id
        if restarted:
            node.incarnation += 1
            node.boot_id = message.boot_id
            node.registered_at = now
            node.push_failures, node.held_until, node.trouble = 0, None, ""
            node.draining = False
        _take_over(node, message, is_tutorial)
        _renew(node, now)
        node.push_key_version = max(node.push_key_version, key_version)
        node.save()
        if restarted:
            Change.objects.append(events.NodeRegistered(node_id=node.pk, name=node.name), now=now)
            lose_stale(node_id=node.pk, now=now)
        elif was != NodeState.ONLINE:
            Change.objects.append(events.NodeOnline(node_id=node.pk, name=node.name), now=now)
    return node


def heartbeat(
    message: protocol.Heartbeat, *, node: Node, now: datetime, credential: Credential | None = None
) -> protocol.HeartbeatReply:
    """Renew the lease of this incarnation; the answer says what the node shall do. Raises ``RegisterFirst``.

    ``credential`` is the one that it came with: who shows it has the push key that was handed out with it.
    """
    shown = 0 if credential is None else credential.push_key_version
    node = _renewed(message, node.pk, shown, now) or _heard(message, node.pk, shown, now)
    held = {number: item.attempt for item in message.held if (number := parse_task_id(item.task_id))}
    superseded, cancel = compare(held, node_id=node.pk) if held else ([], [])
    settle(message.resolved, node_id=node.pk, now=now)
    return protocol.HeartbeatReply(
        resolve=_unaccounted(node, held, now),
        status=desired_status(node),
        heartbeat_seconds=conf().heartbeat_seconds,
        drain_seconds=_drain_seconds(node, now),
        cancel=cancel,
        superseded=superseded,
        renew_credential=credential is not None and credentials.is_to_be_renewed(credential, now),
    )


def _renewed(message: protocol.Heartbeat, node_id: int, shown: int, now: datetime) -> Node | None:
    """The lease of a node of which nothing else has changed, in one statement; None if something has."""
    lease_ends = now + timedelta(seconds=conf().lease_seconds)
    with connection.cursor() as cursor:
        cursor.execute(
            _RENEW, [*map(connection.ops.adapt_datetimefield_value, (now, lease_ends)), node_id, message.boot_id,
                     message.draining, shown],
        )  # fmt: skip
        row = cursor.fetchone()
    return row and Node(pk=node_id, intent=row[0], push_failures=row[1], protocol=row[2], incarnation=row[3])


def _heard(message: protocol.Heartbeat, node_id: int, shown: int, now: datetime) -> Node:
    """Take in a heartbeat that may change something."""
    with transaction.atomic():
        node = Node.objects.select_for_update().get(pk=node_id)
        if node.boot_id != message.boot_id or not node.boot_id:
            raise RegisterFirst
        was = node.state
        if message.draining and not node.draining:
            Change.objects.append(
                events.NodeDraining(node_id=node.pk, name=node.name, reason="the node is stopping"), now=now
            )
        node.draining = message.draining
        _renew(node, now)
        node.push_key_version = max(node.push_key_version, shown)
        node.save(update_fields=["state", "last_seen_at", "lease_expires_at", "draining", "push_key_version"])
        if was != NodeState.ONLINE:
            Change.objects.append(events.NodeOnline(node_id=node.pk, name=node.name), now=now)
    return node


def _unaccounted(node: Node, held: dict[int, int], now: datetime) -> list[protocol.AttemptRef]:
    """Attempts that the node ought to hold and does not name, if it can be asked in no other way.

    What has been on its way for longer than a push may take has been pushed, if it ever will be.
    """
    if not node.push_failures or node.protocol < protocol.RESOLVES_BY_HEARTBEAT:
        return []
    before = now - timedelta(seconds=2 * conf().push_timeout_seconds)
    return missing(node_id=node.pk, incarnation=node.incarnation, held=held, before=before)


def desired_status(node: Node) -> protocol.DesiredStatus:
    """What the node is told to do."""
    return "run" if node.intent == NodeIntent.RUN else "drain"


def _drain_seconds(node: Node, now: datetime) -> float | None:
    """In how many seconds the node shall hand back what it still has; None if it need not."""
    if node.intent != NodeIntent.DRAIN:
        return None
    # The row in the hand may be of ``_renewed``, which reads next to nothing.
    until = Node.objects.filter(pk=node.pk, hands_back=True).values_list("drain_until", flat=True).first()
    return None if until is None else max(0.0, (until - now).total_seconds())


def registered(node: Node, *, credential: str | None = None) -> protocol.Registered:
    """The answer to a registration."""
    return protocol.Registered(
        node_id=node.pk,
        name=node.name,
        push_key=credentials.push_key(node),
        heartbeat_seconds=conf().heartbeat_seconds,
        lease_seconds=conf().lease_seconds,
        status=desired_status(node),
        credential=credential,
        protocol=node.protocol,
    )


def drain(
    nodes: Iterable[Node], *, reason: str, actor: str, now: datetime, deadline: Deadline | None = None
) -> list[Node]:
    """No new work; what the nodes hold is finished, if it ends by the deadline. Returns those that this changed.

    A node that drains already gets the deadline anew; without one its own is lifted.
    """
    return _want(nodes, NodeIntent.DRAIN, events.NodeDraining, reason=reason, actor=actor, now=now, deadline=deadline)


def resume(nodes: Iterable[Node], *, reason: str = "", actor: str, now: datetime) -> list[Node]:
    """Work again, with a clean slate: holds and breaker are reset as well."""
    return _want(nodes, NodeIntent.RUN, events.NodeResumed, reason=reason, actor=actor, now=now)


def disable(nodes: Iterable[Node], *, reason: str, actor: str, now: datetime) -> list[Node]:
    """Take the nodes out of the pool until they are resumed."""
    return _want(nodes, NodeIntent.DISABLED, events.NodeDisabled, reason=reason, actor=actor, now=now)


def suspect(node_ids: Sequence[int], *, now: datetime) -> None:
    """online → suspect: silent for a while."""
    _detect(node_ids, (NodeState.ONLINE,), NodeState.SUSPECT, events.NodeSuspected, now)


def take_offline(node_ids: Sequence[int], *, now: datetime) -> None:
    """online | suspect → offline: silent beyond the lease. The caller gives up what they hold."""
    _detect(node_ids, (NodeState.ONLINE, NodeState.SUSPECT), NodeState.OFFLINE, events.NodeWentOffline, now)


def extend_leases(*, until: datetime) -> int:
    """Give every node that counts as alive a lease until then at least (after a pause of our own); how many."""
    alive = Node.objects.exclude(state=NodeState.OFFLINE)
    return alive.filter(lease_expires_at__lt=until).update(lease_expires_at=until)


def hold(node_id: int, *, seconds: float, reason: str, now: datetime) -> None:
    """No pushes to the node for a while: it asked for a pause."""
    with transaction.atomic():
        _hold(Node.objects.select_for_update().get(pk=node_id), seconds, reason, now)


def hold_for_failure(node_id: int, *, reason: str, at_least: float = 0.0, now: datetime) -> None:
    """No pushes to the node for a while that doubles with every failure in a row: its last request failed."""
    with transaction.atomic():
        node = Node.objects.select_for_update().get(pk=node_id)
        seconds = min(LONGEST_HOLD_SECONDS, FIRST_HOLD_SECONDS * 2 ** min(node.push_failures, 16))
        node.push_failures += 1
        _hold(node, max(seconds, at_least), reason, now)


def _hold(node: Node, seconds: float, reason: str, now: datetime) -> None:
    node.held_until, node.trouble = now + timedelta(seconds=seconds), reason[:200]
    node.save(update_fields=["held_until", "push_failures", "trouble"])
    event = events.NodeHeld(node_id=node.pk, name=node.name, reason=reason, seconds=seconds)
    Change.objects.append(event, now=now)


def clear_push_failures(node_id: int) -> None:
    """A push got through."""
    # The next look at the pool finds it, within a second: that is soon enough to need no event.
    Node.objects.filter(pk=node_id).exclude(push_failures=0).update(push_failures=0, held_until=None, trouble="")


def set_breaker(node_id: int, breaker: BreakerState, *, reason: str, now: datetime) -> None:
    """Show the state of the node's circuit breaker. The engine keeps the breaker itself."""
    with transaction.atomic():
        if Node.objects.filter(pk=node_id).exclude(breaker=breaker).update(breaker=breaker):
            name = Node.objects.values_list("name", flat=True).get(pk=node_id)
            event = events.NodeBreakerChanged(node_id=node_id, name=name, reason=f"{breaker.value}: {reason}")
            Change.objects.append(event, now=now)


def _take_over(node: Node, message: protocol.Register, is_tutorial: bool) -> None:
    node.url = message.url
    node.slots = message.slots
    node.labels = message.labels
    node.queues = message.queues
    node.types = None if message.types is None else {name: _kept(info) for name, info in message.types.items()}
    digest = digest_of(node.types)
    if digest != node.types_digest:
        node.types_digest = digest
        task_types.look_again()
    node.version = message.version
    node.protocol = max(message.protocol, min(message.newest_protocol, protocol.PROTOCOL_VERSION))
    node.is_tutorial = is_tutorial


def _kept(info: protocol.TypeInfo) -> dict[str, object]:
    """What is stored of a type. A schema that cannot be used is left out, and why: the node is none the worse."""
    kept: dict[str, object] = msgspec.to_builtins(info)
    if info.schema is not None:
        error = schema_error(info.schema)
        kept["schema"] = None if error else msgspec.json.encode(info.schema).decode()
        kept["schema_error"] = error
    return kept


def _renew(node: Node, now: datetime) -> None:
    node.state = NodeState.ONLINE
    node.last_seen_at = now
    node.lease_expires_at = now + timedelta(seconds=conf().lease_seconds)


def _want(
    nodes: Iterable[Node],
    intent: NodeIntent,
    event: type[events.NodeEvent],
    *,
    reason: str,
    actor: str,
    now: datetime,
    deadline: Deadline | None = None,
) -> list[Node]:
    changed = []
    until = None if deadline is None else now + timedelta(seconds=deadline.seconds)
    told = {} if deadline is None else {"deadline_seconds": deadline.seconds, "hand_back": deadline.hand_back}
    with transaction.atomic():
        for node in Node.objects.select_for_update().filter(pk__in=[node.pk for node in nodes]):
            is_other = intent == NodeIntent.DRAIN and (deadline is not None or node.drain_until is not None)
            is_forgiven = intent == NodeIntent.RUN and _is_set_aside(node, now)
            if node.intent == intent and not (is_other or is_forgiven):
                continue
            node.intent, node.intent_reason = intent, reason[:200]
            node.drain_until, node.hands_back = until, None if deadline is None else deadline.hand_back
            if intent == NodeIntent.RUN:
                node.held_until, node.push_failures, node.trouble = None, 0, ""
            node.save(update_fields=_WANTED)
            Change.objects.append(event(node_id=node.pk, name=node.name, reason=reason, **told), now=now, actor=actor)
            changed.append(node)
    return changed


def _is_set_aside(node: Node, now: datetime) -> bool:
    """Whether a node that is wanted gets no work for what it did: there is something to forgive."""
    return node.breaker != BreakerState.CLOSED or node.push_failures > 0 or node.held_seconds(now) > 0


def _detect(
    node_ids: Sequence[int],
    sources: tuple[NodeState, ...],
    target: NodeState,
    event: type[events.NodeEvent],
    now: datetime,
) -> None:
    with transaction.atomic():
        for node in Node.objects.select_for_update().filter(pk__in=node_ids, state__in=sources):
            node.state = target
            node.save(update_fields=["state"])
            Change.objects.append(event(node_id=node.pk, name=node.name), now=now)

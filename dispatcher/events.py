"""The catalogue of what can happen: one typed class per event, one name for feed, websocket, webhook and audit.

A change-feed row holds one event: ``kind`` names the class, ``body`` is its JSON. Events carry small facts (ids,
states, lanes, nodes, times), never payloads or results. Names are ``noun.past_tense``. Knows no Django.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class TaskChange(msgspec.Struct, array_like=True, frozen=True):
    """One task's transition. Travels as an array, in this order; new fields go to the end."""

    task_id: int
    #: TaskState before, None for a new task. Active states are not told apart: 3 stands for 2 or 3.
    from_state: int | None
    to_state: int
    attempt: int
    lane_id: int
    node_id: int | None = None
    #: AttemptOutcome of the attempt that this transition ended, "succeeded", or "" if it ended none.
    outcome: str = ""
    #: From ready to started, and from started to ended, in milliseconds; None where it does not apply.
    wait_ms: float | None = None
    run_ms: float | None = None


def version(state: int, attempt: int) -> int:
    """A number that rises with every transition of a task: a view ignores what is not above what it knows.

    Within attempt n a task goes dispatched, running, then back to scheduled or queued, or to an end.
    """
    rank = {2: 1, 3: 2, 0: 3, 1: 4}.get(state, 9)
    return attempt * 10 + rank


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """Base of all events."""

    kind: ClassVar[str] = ""


class TasksChanged(Event, frozen=True):
    """Tasks changed state, in one transaction. Written by every transition; read by roll-ups, engine and dashboard."""

    kind: ClassVar[str] = "tasks.changed"
    rows: list[TaskChange]
    #: The bulk action that did it, which names who started it.
    bulk: int | None = None


class TasksPruned(Event, frozen=True):
    """Finished tasks were deleted for their age: how many, per lane and state."""

    kind: ClassVar[str] = "tasks.pruned"
    #: [lane_id, state, count]
    counts: list[tuple[int, int, int]]


class TasksCancelRequested(Event, frozen=True):
    """Someone asked to cancel tasks that a node holds; the node decides whether it is still in time."""

    kind: ClassVar[str] = "tasks.cancel_requested"
    #: [task_id, attempt, node_id]
    rows: list[tuple[int, int, int]]
    #: The bulk action that did it, which names who started it.
    bulk: int | None = None


class TasksProgressed(Event, frozen=True):
    """Running tasks told how far they are: [task_id, attempt, fraction or None, message]."""

    kind: ClassVar[str] = "tasks.progressed"
    rows: list[tuple[int, int, float | None, str]]


class TasksLogged(Event, frozen=True):
    """Log lines arrived: [task_id, attempt, first n, last n]."""

    kind: ClassVar[str] = "tasks.logged"
    rows: list[tuple[int, int, int, int]]


class TaskUnmasked(Event, frozen=True):
    """Someone looked at the secrets in a task's payload, result, errors or log."""

    kind: ClassVar[str] = "task.unmasked"
    task_id: int


class ResultsRefused(Event, frozen=True):
    """Results that came after another attempt had taken over: [task_id, attempt, node_id, outcome]."""

    kind: ClassVar[str] = "results.refused"
    rows: list[tuple[int, int, int, str]]


class NodeEvent(Event, frozen=True):
    """Base of what happens to a node."""

    node_id: int
    name: str
    reason: str = ""


class NodeRegistered(NodeEvent, frozen=True):
    """A node came up (a new boot) and said what it can do."""

    kind: ClassVar[str] = "node.registered"


class NodeOnline(NodeEvent, frozen=True):
    """A silent node was heard from again."""

    kind: ClassVar[str] = "node.online"


class NodeSuspected(NodeEvent, frozen=True):
    """A node has been silent for a while: it gets no new work."""

    kind: ClassVar[str] = "node.suspected"


class NodeWentOffline(NodeEvent, frozen=True):
    """A node's lease ended: what it held goes to others."""

    kind: ClassVar[str] = "node.went_offline"


class NodeDraining(NodeEvent, frozen=True):
    """Someone (or the node itself) asked for a drain: no new work, finish what it holds."""

    kind: ClassVar[str] = "node.draining"
    #: So long it may take, and what happens to the rest then: it goes elsewhere, or is left alone.
    deadline_seconds: float | None = None
    hand_back: bool | None = None


class NodeResumed(NodeEvent, frozen=True):
    """A drained or disabled node takes work again."""

    kind: ClassVar[str] = "node.resumed"


class NodeDisabled(NodeEvent, frozen=True):
    """A node was taken out of the pool; its requests are refused."""

    kind: ClassVar[str] = "node.disabled"


class NodeBreakerChanged(NodeEvent, frozen=True):
    """The circuit breaker of a node opened, half-opened or closed; ``reason`` is the new state."""

    kind: ClassVar[str] = "node.breaker_changed"


class NodeHeld(NodeEvent, frozen=True):
    """Pushes to a node failed or it asked for a pause: no new work for ``seconds``."""

    kind: ClassVar[str] = "node.held"
    seconds: float = 0.0


class NodeMadeUpResults(NodeEvent, kw_only=True, frozen=True):
    """A node reported the ends of attempts that it was never given. Told once a minute and node, with an example."""

    kind: ClassVar[str] = "node.made_up_results"
    task_id: int
    attempt: int
    #: In the report that is told of.
    count: int


class RotationRequested(NodeEvent, frozen=True):
    """Someone asked a node to fetch new credentials in place of those it has."""

    kind: ClassVar[str] = "credential.rotation_requested"


class PoolHeld(Event, frozen=True):
    """Most nodes fell silent at once: nothing is requeued for one more grace period. Look at the network first."""

    kind: ClassVar[str] = "pool.held"
    silent: int
    total: int


class QueueEvent(Event, frozen=True):
    """Base of what happens to a queue."""

    queue: str
    reason: str = ""


class QueueCreated(QueueEvent, frozen=True):
    """A queue was made, by hand or by the first task for it."""

    kind: ClassVar[str] = "queue.created"


class QueuePaused(QueueEvent, frozen=True):
    """A queue hands out no tasks until it is resumed."""

    kind: ClassVar[str] = "queue.paused"


class QueueResumed(QueueEvent, frozen=True):
    """A paused queue hands out tasks again."""

    kind: ClassVar[str] = "queue.resumed"


class QueueEdited(QueueEvent, frozen=True):
    """A queue's policy or description changed."""

    kind: ClassVar[str] = "queue.edited"


class CredentialEvent(Event, kw_only=True, frozen=True):
    """Base of what happens to a token. Never holds the token."""

    #: Called otherwise in the feed: what has "credential" in its name is masked there.
    credential_kind: str = msgspec.field(name="sort", default="")
    prefix: str
    label: str = ""


class CredentialIssued(CredentialEvent, frozen=True):
    """A token was made."""

    kind: ClassVar[str] = "credential.issued"


class CredentialRevoked(CredentialEvent, frozen=True):
    """A token was taken back."""

    kind: ClassVar[str] = "credential.revoked"


class AccountEvent(Event, frozen=True):
    """Base of what happens to the accounts and groups that the roles come from."""

    #: "user" or "group".
    account_kind: str
    name: str
    reason: str = ""


class AccountCreated(AccountEvent, frozen=True):
    """An account or a group was made."""

    kind: ClassVar[str] = "account.created"


class AccountEdited(AccountEvent, frozen=True):
    """An account or a group was changed; ``reason`` names the fields, never what is in them."""

    kind: ClassVar[str] = "account.edited"


class AccountDeleted(AccountEvent, frozen=True):
    """An account or a group was deleted."""

    kind: ClassVar[str] = "account.deleted"


class BulkEvent(Event, kw_only=True, frozen=True):
    """Base of what happens to an action on all tasks that match a query."""

    job_id: int
    #: "retry" or "cancel".
    action: str


class BulkStarted(BulkEvent, kw_only=True, frozen=True):
    """Someone began an action on all tasks that match."""

    kind: ClassVar[str] = "bulk.started"
    #: In the search language; "" for all tasks.
    query: str
    #: Only tasks up to this id.
    newest_id: int
    #: As counted at the start; None if there were too many to count.
    expected: int | None = None


class BulkPaused(BulkEvent, frozen=True):
    """It does nothing until it is resumed."""

    kind: ClassVar[str] = "bulk.paused"


class BulkResumed(BulkEvent, frozen=True):
    """It goes on where it was."""

    kind: ClassVar[str] = "bulk.resumed"


class BulkOutcome(BulkEvent, kw_only=True, frozen=True):
    """Base of its ends: what it came to."""

    done: int
    skipped: int
    failed: int
    reason: str = ""


class BulkFinished(BulkOutcome, frozen=True):
    """All tasks that matched were dealt with."""

    kind: ClassVar[str] = "bulk.finished"


class BulkCancelled(BulkOutcome, frozen=True):
    """Someone stopped it; what was done stays done."""

    kind: ClassVar[str] = "bulk.cancelled"


class BulkFailed(BulkOutcome, frozen=True):
    """It could not go on; ``reason`` says why."""

    kind: ClassVar[str] = "bulk.failed"


class ViewEvent(Event, kw_only=True, frozen=True):
    """Base of what happens to a view of the list of tasks that somebody keeps by a name."""

    view_id: int
    name: str
    shared: bool = False


class ViewSaved(ViewEvent, frozen=True):
    """Somebody saved a view."""

    kind: ClassVar[str] = "view.saved"


class ViewEdited(ViewEvent, frozen=True):
    """Its owner changed what it shows, what it is called or whom it is for."""

    kind: ClassVar[str] = "view.edited"


class ViewDeleted(ViewEvent, frozen=True):
    """Its owner, or an admin, deleted it."""

    kind: ClassVar[str] = "view.deleted"


CATALOGUE: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        TasksChanged, TasksPruned, TasksCancelRequested, TasksProgressed, TasksLogged, TaskUnmasked, ResultsRefused,
        NodeRegistered, NodeOnline, NodeSuspected, NodeWentOffline, NodeDraining, NodeResumed, NodeDisabled,
        NodeBreakerChanged, NodeHeld, NodeMadeUpResults, PoolHeld,
        QueueCreated, QueuePaused, QueueResumed, QueueEdited, CredentialIssued, CredentialRevoked,
        RotationRequested, AccountCreated, AccountEdited, AccountDeleted,
        BulkStarted, BulkPaused, BulkResumed, BulkFinished, BulkCancelled, BulkFailed,
        ViewSaved, ViewEdited, ViewDeleted,
    )
}  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(event) for kind, event in CATALOGUE.items()}


def encode(event: Event) -> str:
    """The event's body as JSON text."""
    return _encoder.encode(event).decode()


def decode(kind: str, body: str) -> Event | None:
    """The event of a feed row; None for a kind that this version does not know (a newer one wrote it)."""
    decoder = _decoders.get(kind)
    return None if decoder is None else decoder.decode(body)

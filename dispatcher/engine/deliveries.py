"""What became of a push: results, refusals and pauses written back through the lifecycle and the node registry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec

from dispatcher import lifecycle, node_registry
from dispatcher.clients.node_client import Answer
from dispatcher.models.statements import Claimed, Start
from dispatcher.states import AttemptOutcome
from workers import protocol

#: Bounds of a pause that a node may ask for, in seconds.
MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 60.0
#: A refused signature will not get better by itself soon.
CREDENTIAL_PAUSE_SECONDS = 30.0

_PAUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

#: Reasons of a rejection that say nothing against the node.
_NO_BLAME = frozenset({"full", "draining"})

_replies = msgspec.json.Decoder(protocol.PushReply)


def take_in(answer: Answer, tasks: Sequence[Claimed], *, node_id: int, now: datetime) -> list[protocol.AttemptRef]:
    """Act on a node's answer to a push. Returns the inline results that are safe now, to be acknowledged."""
    if answer.status == HTTPStatus.ACCEPTED:
        node_registry.clear_push_failures(node_id)
        return _take_in_items(_replies.decode(answer.body).items, tasks, node_id=node_id, now=now)
    if answer.status in _PAUSES:
        give_back(tasks, AttemptOutcome.RELEASED, f"the node asked for a pause ({answer.status})", now=now)
        seconds = retry_after(answer.headers)
        node_registry.hold(node_id, seconds=seconds, reason="asked for a pause", now=now, failed=False)
        return []
    reason = f"the node answered {answer.status} to a push"
    give_back(tasks, AttemptOutcome.RELEASED, reason, now=now)
    if answer.status != HTTPStatus.CONFLICT:
        # Conflict: its program was started anew, it will register in a moment.
        pause = CREDENTIAL_PAUSE_SECONDS if answer.status in _REFUSALS else MAX_PAUSE_SECONDS / 12
        node_registry.hold(node_id, seconds=pause, reason=reason, now=now, failed=True)
    return []


def take_in_tutorial(answer: Answer, task: Claimed, *, node_id: int, now: datetime) -> None:
    """The same for a node written to the tutorial: any 2xx means that it has the task and runs it."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        lifecycle.start([Start(task.id, task.attempt, now, now)], node_id=node_id, now=now)
    elif answer.status in _PAUSES:
        take_in(answer, [task], node_id=node_id, now=now)
    else:
        give_back([task], AttemptOutcome.REJECTED, f"the node answered {answer.status}", now=now)


def give_back(tasks: Sequence[Claimed], outcome: AttemptOutcome, reason: str, *, now: datetime) -> None:
    """The node did not take these: offer them again; it does not count as an attempt."""
    error = msgspec.json.encode({"type": "NotTaken", "message": reason, "traceback": ""}).decode()
    lifecycle.end(
        [
            lifecycle.FailedAttempt(task_id=task.id, attempt=task.attempt, outcome=outcome, error=error)
            for task in tasks
        ],
        node_id=None,
        now=now,
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """The pause a node asks for, in seconds, within bounds; garbage and dates count as one second."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 1.0
    return min(MAX_PAUSE_SECONDS, max(MIN_PAUSE_SECONDS, seconds)) if math.isfinite(seconds) else 1.0


def _take_in_items(
    items: Sequence[protocol.PushItem], tasks: Sequence[Claimed], *, node_id: int, now: datetime
) -> list[protocol.AttemptRef]:
    by_key = {(str(task.id), task.attempt): task for task in tasks}
    done = [item.result for item in items if item.status == "done" and item.result is not None]
    refused: dict[tuple[AttemptOutcome, str], list[Claimed]] = {}
    for item in items:
        task = by_key.get((item.task_id, item.attempt))
        if task is not None and item.status in ("rejected", "superseded"):
            blame = item.status == "rejected" and item.reason not in _NO_BLAME
            outcome = AttemptOutcome.REJECTED if blame else AttemptOutcome.RELEASED
            refused.setdefault((outcome, item.reason or item.status), []).append(task)
    # Only results of what was pushed: a node answers for its own attempts, by node id, in any case.
    lifecycle.record_results(done, node_id=node_id, now=now)
    for (outcome, reason), group in refused.items():
        give_back(group, outcome, reason, now=now)
    return [protocol.AttemptRef(task_id=result.task_id, attempt=result.attempt) for result in done]

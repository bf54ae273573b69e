"""What became of a push: results and refusals written back through the lifecycle, and what to make of the node.

Only the node's own word settles anything. An answer that some other program may have given in its place (a proxy's 502,
a redirect, a success without the items) leaves open whether the node has the tasks: their attempts stay claimed, and
the poller asks the node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import msgspec

from dispatcher import lifecycle, node_output
from dispatcher.clients.node_client import Answer
from dispatcher.models.node import LONGEST_PAUSE
from dispatcher.models.statements import Claimed, Start
from dispatcher.states import AttemptOutcome
from workers import protocol

#: Bounds of a pause that a node may ask for, in seconds.
MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = LONGEST_PAUSE.total_seconds()
#: A refused signature will not get better by itself soon.
CREDENTIAL_PAUSE_SECONDS = 30.0

_PAUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_CREDENTIAL_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

#: Reasons of a rejection that say nothing against the node.
_NO_BLAME = frozenset({"full", "draining"})

_replies = msgspec.json.Decoder(protocol.PushReply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a request to a node came to. Neither taken nor a failure: the node refused it for a good reason."""

    is_taken: bool = False
    #: What is wrong with the node; "" if nothing is.
    failure: str = ""
    #: No push to the node for so long; a ``failure`` may make it longer.
    pause_seconds: float = 0.0
    #: Whether the node may have tasks of which it said nothing.
    is_unknown: bool = False
    #: Results of the answer that are recorded now, to be acknowledged.
    safe: Sequence[protocol.AttemptRef] = ()


def take_in(answer: Answer, tasks: Sequence[Claimed], *, node_id: int, now: datetime) -> Delivery:
    """Act on a node's answer to a push."""
    if answer.status == HTTPStatus.ACCEPTED:
        items = _items_of(answer)
        if items is None:
            return Delivery(failure="its answer to a push cannot be read", is_unknown=True)
        return _take_in_items(items, tasks, node_id=node_id, now=now)
    verdict = judge(answer)
    if not verdict.is_unknown:
        give_back(tasks, AttemptOutcome.RELEASED, f"the node answered {answer.status} to a push", now=now)
    return verdict


def judge(answer: Answer) -> Delivery:
    """What an answer other than success says: refused with nothing of it done, or not to be told."""
    status = answer.status
    failure = f"it answered {status}"
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _items_of(answer) is None:
        # Without the node's word on every task this may be a proxy that lost the node's answer.
        return Delivery(failure=failure, pause_seconds=retry_after(answer.headers), is_unknown=True)
    if status in _PAUSES:
        return Delivery(pause_seconds=retry_after(answer.headers))
    if status == HTTPStatus.CONFLICT:
        # Its program was started anew, it will register in a moment.
        return Delivery()
    if status == HTTPStatus.REQUEST_TIMEOUT or not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Delivery(failure=failure, is_unknown=True)
    return Delivery(failure=failure, pause_seconds=CREDENTIAL_PAUSE_SECONDS if status in _CREDENTIAL_REFUSED else 0.0)


def take_in_tutorial(answer: Answer, task: Claimed, *, node_id: int, now: datetime) -> Delivery:
    """The same for a node written to the tutorial: any 2xx means that it has the task and runs it.

    It has no other words for a pause than the status. It cannot be asked either, so an attempt of which nobody knows is
    given up at once; if its result comes before the next attempt, that result counts.
    """
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        lifecycle.start([Start(task.id, task.attempt, now, now)], node_id=node_id, now=now)
        return Delivery(is_taken=True)
    if status in _PAUSES:
        give_back([task], AttemptOutcome.RELEASED, f"the node asked for a pause ({status})", now=now)
        return Delivery(pause_seconds=retry_after(answer.headers))
    verdict = judge(answer)
    outcome = AttemptOutcome.LOST if verdict.is_unknown else AttemptOutcome.REJECTED
    give_back([task], outcome, f"the node answered {status} to a push", now=now)
    return verdict


def give_back(tasks: Sequence[Claimed], outcome: AttemptOutcome, reason: str, *, now: datetime) -> None:
    """The node did not take these: offer them again; unless lost, it does not count as an attempt."""
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


def _items_of(answer: Answer) -> list[protocol.PushItem] | None:
    try:
        return node_output.read_items(answer.body, _replies).items
    except msgspec.DecodeError:
        return None


def _take_in_items(
    items: Sequence[protocol.PushItem], tasks: Sequence[Claimed], *, node_id: int, now: datetime
) -> Delivery:
    by_key = {(str(task.id), task.attempt): task for task in tasks}
    done: list[protocol.TaskResult] = []
    refused: dict[tuple[AttemptOutcome, str], list[Claimed]] = {}
    for item in items:
        task = by_key.get((item.task_id, item.attempt))
        if task is None:
            continue
        if item.status == "done":
            if item.result is None or (item.result.task_id, item.result.attempt) != (item.task_id, item.attempt):
                continue
            done.append(item.result)
        elif item.status in ("rejected", "superseded"):
            blame = item.status == "rejected" and item.reason not in _NO_BLAME
            outcome = AttemptOutcome.REJECTED if blame else AttemptOutcome.RELEASED
            refused.setdefault((outcome, item.reason or item.status), []).append(task)
        del by_key[item.task_id, item.attempt]
    lifecycle.record_results(done, node_id=node_id, now=now)
    for (outcome, reason), group in refused.items():
        give_back(group, outcome, reason, now=now)
    safe = [protocol.AttemptRef(task_id=result.task_id, attempt=result.attempt) for result in done]
    return Delivery(is_taken=True, is_unknown=bool(by_key), safe=safe)

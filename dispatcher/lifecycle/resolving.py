"""Attempts of which nobody knows whether they reached their node: which they are, and what the node says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from dispatcher.lifecycle.claiming import start
from dispatcher.lifecycle.endings import FailedAttempt, end
from dispatcher.lifecycle.reporting import record_results
from dispatcher.models import Task
from dispatcher.models.statements import Start
from dispatcher.models.task import parse_task_id
from dispatcher.states import AttemptOutcome
from workers import protocol

#: Attempts asked for in one request.
MAX_RESOLVE = 1000

_NEVER_ARRIVED = msgspec.json.encode(
    {"type": "NotTaken", "message": "the push never reached the node", "traceback": ""}
).decode()


def missing(*, node_id: int, incarnation: int, held: Mapping[int, int], before: datetime) -> list[protocol.AttemptRef]:
    """Attempts that we believe to be on the node, dispatched ``before``, and that are not among those it ``held``."""
    rows = (
        Task.objects.active()
        .filter(node_id=node_id, incarnation=incarnation, dispatched_at__lt=before)
        .values_list("id", "attempt")
    )
    absent = [(pk, attempt) for pk, attempt in rows if held.get(pk) != attempt]
    return [protocol.AttemptRef(task_id=str(pk), attempt=attempt) for pk, attempt in absent[:MAX_RESOLVE]]


def settle(resolved: Sequence[protocol.Resolved], *, node_id: int, now: datetime) -> None:
    """Act on what the node says of attempts asked for: adopt, record, or offer elsewhere without counting.

    One that has finished and comes without its result is left alone: the node reports it.
    """
    if not resolved:
        return
    results = [item.result for item in resolved if item.state == "finished" and item.result is not None]
    record_results(results, node_id=node_id, now=now)
    named = [(number, item) for item in resolved if (number := parse_task_id(item.task_id))]
    running = [Start(number, item.attempt, now, now) for number, item in named if item.state == "running"]
    start(running, node_id=node_id, now=now)
    end(
        [
            FailedAttempt(task_id=number, attempt=item.attempt, outcome=AttemptOutcome.RELEASED, error=_NEVER_ARRIVED)
            for number, item in named
            if item.state == "tombstoned"
        ],
        node_id=node_id,
        now=now,
    )

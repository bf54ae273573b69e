"""dispatched | running → scheduled | failed: attempts given up because of their node.

It fell silent, was started anew, overran, or was drained and did not hand back in time what it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q

from dispatcher.lifecycle.endings import FailedAttempt, end
from dispatcher.models import Task
from dispatcher.models.task import TaskQuerySet
from dispatcher.states import AttemptOutcome

#: Attempts given up in one transaction.
BATCH = 1000
#: So far the clocks of two engines may be apart without their attempts looking as if they came from the future.
CLOCK_TOLERANCE = timedelta(seconds=5)


def is_any_amiss(*, now: datetime) -> bool:
    """Whether ``draw_back``, ``lose_stale`` or ``lose_overdue`` has anything to do: one look, where mostly none has."""
    ahead, stale = Q(dispatched_at__gt=now + CLOCK_TOLERANCE), Q(incarnation__lt=F("node__incarnation"))
    return Task.objects.active().filter(ahead | stale | Q(attempt_deadline__lt=now)).exists()


def lose_held_by(node_ids: Sequence[int], *, reason: str, now: datetime) -> int:
    """Give up every attempt that these nodes hold. Returns how many."""
    return _lose(Task.objects.active().filter(node_id__in=node_ids), reason=reason, now=now)


def hand_back(node_ids: Sequence[int], *, now: datetime) -> int:
    """Take back every attempt that these nodes hold, without counting it: their drain has passed its deadline."""
    held = Task.objects.active().filter(node_id__in=node_ids)
    reason = "the node was drained and the time for it was over"
    return _lose(held, reason=reason, now=now, outcome=AttemptOutcome.RELEASED, kind="HandedBack")


def lose_stale(*, now: datetime, node_id: int | None = None) -> int:
    """Give up attempts of earlier starts of their node's program: it has registered anew and knows nothing of them."""
    stale = Task.objects.active().filter(incarnation__lt=F("node__incarnation"))
    if node_id is not None:
        stale = stale.filter(node_id=node_id)
    return _lose(stale, reason="the node's program was started anew", now=now)


def lose_overdue(*, now: datetime) -> int:
    """Give up attempts that have passed their absolute deadline without a report, on whatever node."""
    return _lose(
        Task.objects.active().filter(attempt_deadline__lt=now), reason="no report by the attempt's deadline", now=now
    )


def extend_deadlines(*, by: timedelta, until: datetime) -> None:
    """After an outage of ours or a jump of the clock (forward, ``by`` so much): no attempt ends because of that.

    Each gets what the clock left out, and until then at least, so that a node can bring what it has finished meanwhile.
    """
    active = Task.objects.active()
    if by:
        active.update(attempt_deadline=F("attempt_deadline") + by)
    active.filter(attempt_deadline__lt=until).update(attempt_deadline=until)


def draw_back(*, now: datetime) -> None:
    """After the clock was set back: attempts that went out at a time that has yet to come went out just now.

    Otherwise nobody would ask for them, nor find them overdue, until that time. Done at every sweep: a clock that was
    ahead for less than the time between two is seen by nobody. Repeating it changes nothing more.
    """
    ahead = Task.objects.active().filter(dispatched_at__gt=now + CLOCK_TOLERANCE)
    left = ExpressionWrapper(F("attempt_deadline") - F("dispatched_at"), output_field=DurationField())
    ahead.filter(started_at__gt=now).update(started_at=now)
    ahead.update(attempt_deadline=ExpressionWrapper(now + left, output_field=DateTimeField()), dispatched_at=now)


def _lose(
    tasks: TaskQuerySet,
    *,
    reason: str,
    now: datetime,
    outcome: AttemptOutcome = AttemptOutcome.LOST,
    kind: str = "AttemptLost",
) -> int:
    error = msgspec.json.encode({"type": kind, "message": reason, "traceback": ""}).decode()
    lost = 0
    while True:
        held = list(tasks.order_by("id").values_list("id", "attempt")[:BATCH])
        ended = end(
            [FailedAttempt(task_id=pk, attempt=attempt, outcome=outcome, error=error) for pk, attempt in held],
            node_id=None,
            now=now,
        )
        lost += len(ended)
        # Nothing ended: the rest was moved by others in between.
        if len(held) < BATCH or not ended:
            return lost

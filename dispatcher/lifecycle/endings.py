"""How attempts end: succeed, fail, confirm_cancel, release, lose. Each conditional on state, attempt and node.

An attempt counts until it is superseded, that is until another attempt of the task has been claimed or the task has
ended. So the success of an attempt that was given up is still welcome while the task waits for its next one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

import msgspec
from django.db import connection, transaction

from dispatcher.conf import conf
from dispatcher.events import TaskChange, TasksChanged
from dispatcher.models import Attempt, Change, Task
from dispatcher.models.statements import Ending, Success, statements
from dispatcher.scheduling.backoff import delay
from dispatcher.states import ACTIVE, WAITING, AttemptOutcome, TaskState

ACTIVE_STATES = sorted(state.value for state in ACTIVE)

_task_id = attrgetter("task_id")
_UNCOUNTED = frozenset({AttemptOutcome.RELEASED, AttemptOutcome.REJECTED})
_CRASHES = frozenset({AttemptOutcome.CRASHED, AttemptOutcome.LOST})

#: Outcomes that say what we believed, not what came of the run: the node may have it yet, and succeed.
GIVEN_UP = frozenset({AttemptOutcome.LOST, AttemptOutcome.RELEASED, AttemptOutcome.REJECTED})

#: How long a task waits before it is offered again after a node did not take it, in seconds.
REOFFER_SECONDS = 0.5


class FailedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt that did not succeed."""

    task_id: int
    attempt: int
    outcome: AttemptOutcome
    #: JSON object {type, message, traceback}, or None.
    error: str | None = None
    #: False: do not try again whatever max_attempts says.
    retryable: bool = True
    #: The handler's own wish for the delay before the next attempt.
    retry_after_seconds: float | None = None
    run_ms: float | None = None
    truncated: bool = False


def lock_in_order(task_ids: Iterable[int]) -> None:
    """Lock these tasks for this transaction, by ascending id.

    Whoever locks several waits for them in this order: two that took the same tasks in different orders would wait for
    each other.
    """
    if connection.features.has_select_for_update:
        list(Task.objects.select_for_update().filter(id__in=list(task_ids)).order_by("id").values_list("id"))


def succeed(successes: Sequence[Success], *, node_id: int, run_ms: dict[int, float], now: datetime) -> set[int]:
    """→ succeeded, with the result, in one transaction. Returns the ids for which this was the first result.

    ``run_ms`` by task id is for the feed.
    """
    if not successes:
        return set()
    attempts = {row.task_id: row.attempt for row in successes}
    with transaction.atomic(savepoint=False):
        moved = [
            (TaskState.RUNNING, row)
            for row in statements().succeed(
                sorted(successes, key=_task_id), node_id=node_id, now=now, states=ACTIVE_STATES
            )
        ]
        if len(moved) < len(successes):
            late = _given_up_before(successes, {row.id for _, row in moved}, node_id)
            for state in WAITING if late else ():
                moved += [
                    (state, row) for row in statements().succeed(late, node_id=node_id, now=now, states=[state.value])
                ]
        changes = [
            TaskChange(
                row.id, state.value, TaskState.SUCCEEDED.value, attempts[row.id], row.lane_id, node_id,
                "succeeded", None if row.wait_ms is None else max(0.0, row.wait_ms), run_ms.get(row.id),
            )
            for state, row in moved
        ]  # fmt: skip
        if changes:
            Change.objects.append(TasksChanged(rows=changes), now=now)
    return {row.id for _, row in moved}


def _given_up_before(successes: Sequence[Success], done: set[int], node_id: int) -> list[Success]:
    """Those of the rest whose attempt had been given up."""
    rest = {row.task_id: row for row in successes if row.task_id not in done}
    ended = Attempt.objects.filter(task_id__in=list(rest), node_id=node_id, outcome__in=GIVEN_UP)
    return [rest[pk] for pk, number in ended.values_list("task_id", "number") if rest[pk].attempt == number]


def end(
    failed: Sequence[FailedAttempt],
    *,
    node_id: int | None,
    now: datetime,
    rng: random.Random | None = None,
) -> set[int]:
    """End attempts that did not succeed; decide for each task between another attempt and its end.

    The outcome names the transition: failed, timed_out and crashed ``fail``; lost ``lose``; rejected and released
    ``release`` (these do not count); cancelled ``confirm_cancel``. ``node_id`` is whose attempts they must be (None:
    whoever's, for sweeps). Returns the ids whose attempt this ended.
    """
    if not failed:
        return set()
    by_task = {row.task_id: row for row in failed}
    with transaction.atomic(savepoint=False):
        tasks = [
            task
            for task in Task.objects.select_for_update()
            .filter(id__in=list(by_task), state__in=ACTIVE_STATES)
            .defer("payload", "result", "tags")
            .order_by("id")
            if task.attempt == by_task[task.pk].attempt and (node_id is None or task.node_id == node_id)
        ]
        endings = {task.pk: _ending(task, by_task[task.pk], now, rng or random.Random()) for task in tasks}
        moved = set(statements().end_attempts(list(endings.values()), states=ACTIVE_STATES))
        ended = [task for task in tasks if task.pk in moved]
        Attempt.objects.bulk_create(_attempt_row(task, by_task[task.pk], now) for task in ended)
        if ended:
            changes = [_change(task, by_task[task.pk], endings[task.pk]) for task in ended]
            Change.objects.append(TasksChanged(rows=changes), now=now)
    return moved


def _ending(task: Task, row: FailedAttempt, now: datetime, rng: random.Random) -> Ending:
    released = 1 if row.outcome in _UNCOUNTED else 0
    crashes = 1 if row.outcome in _CRASHES else 0
    to_state, run_at = _where_next(task, row, now, rng)
    return Ending(
        task_id=task.pk,
        attempt=task.attempt,
        to_state=to_state.value,
        started_at=_begin(task, row, now),
        run_at=run_at,
        finished_at=now if to_state not in WAITING else None,
        error=_final_error(task, row, to_state),
        released=released,
        crashes=crashes,
        truncated=row.truncated,
    )


def _where_next(task: Task, row: FailedAttempt, now: datetime, rng: random.Random) -> tuple[TaskState, datetime | None]:
    settings = conf()
    if row.outcome is AttemptOutcome.CANCELLED or task.cancel_requested_at is not None:
        return TaskState.CANCELLED, None
    if row.outcome in _UNCOUNTED:
        if task.released + 1 >= settings.max_released:
            return TaskState.FAILED, None
        return TaskState.SCHEDULED, now + timedelta(seconds=REOFFER_SECONDS * rng.random())
    if not row.retryable or task.counted_attempts >= task.max_attempts:
        return TaskState.FAILED, None
    if row.outcome in _CRASHES and task.crashes + 1 >= settings.max_crashes:
        return TaskState.FAILED, None
    seconds = row.retry_after_seconds
    if seconds is None:
        seconds = delay(
            task.counted_attempts, base=task.backoff_seconds, cap=task.backoff_cap_seconds, rand=rng.random()
        )
    return TaskState.SCHEDULED, now + timedelta(seconds=min(max(seconds, 0.0), settings.max_timeout_seconds))


def _final_error(task: Task, row: FailedAttempt, to_state: TaskState) -> str | None:
    """The error to keep on the task row: the attempt's own, or why there is no further attempt."""
    if to_state is not TaskState.FAILED:
        return row.error
    if row.outcome in _UNCOUNTED:
        return _error("NoNodeTakesIt", f"handed back {task.released + 1} times without having run to an end")
    if row.outcome in _CRASHES and task.crashes + 1 >= conf().max_crashes:
        return _error("PoisonTask", f"crashed its process or lost its node {task.crashes + 1} times")
    return row.error or _error(row.outcome.value, "the attempt ended without an error message")


def _error(kind: str, message: str) -> str:
    return msgspec.json.encode({"type": kind, "message": message, "traceback": ""}).decode()


def _attempt_row(task: Task, row: FailedAttempt, now: datetime) -> Attempt:
    return Attempt(
        task_id=task.pk,
        number=task.attempt,
        node_id=task.node_id,
        outcome=row.outcome,
        queued_at=task.queued_at,
        dispatched_at=task.dispatched_at,
        started_at=_begin(task, row, now),
        ended_at=now,
        error=row.error,
    )


def _begin(task: Task, row: FailedAttempt, now: datetime) -> datetime | None:
    """When the attempt began to run: as recorded, or by what the node says of its length; None if it never did."""
    if task.started_at is None and row.run_ms:
        return now - timedelta(milliseconds=row.run_ms)
    return task.started_at


def _change(task: Task, row: FailedAttempt, ending: Ending) -> TaskChange:
    wait_ms = None
    if ending.started_at and task.queued_at:
        wait_ms = max(0.0, (ending.started_at - task.queued_at).total_seconds() * 1000)
    return TaskChange(
        task.pk, task.state, ending.to_state, task.attempt, task.lane_id, task.node_id, row.outcome.value,
        wait_ms, row.run_ms,
    )  # fmt: skip

"""What a node reports of its attempts: results, starts, progress, log lines; a verdict for every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import transaction

from dispatcher import throttle
from dispatcher.conf import conf
from dispatcher.events import NodeMadeUpResults, ResultsRefused
from dispatcher.lifecycle.claiming import start
from dispatcher.lifecycle.endings import GIVEN_UP, FailedAttempt, end, lock_in_order, succeed
from dispatcher.lifecycle.notes import record_notes
from dispatcher.models import Attempt, Change, Node, Task
from dispatcher.models.statements import Start, Success
from dispatcher.models.task import parse_task_id
from dispatcher.states import ACTIVE, TERMINAL, AttemptOutcome, TaskState
from workers import protocol

#: Some thirty years.
_LONGEST_MS = 1e12

_OUTCOMES = {
    "failed": AttemptOutcome.FAILED,
    "timed_out": AttemptOutcome.TIMED_OUT,
    "crashed": AttemptOutcome.CRASHED,
    "cancelled": AttemptOutcome.CANCELLED,
    "released": AttemptOutcome.RELEASED,
}


def record_report(report: protocol.Report, *, node_id: int, now: datetime) -> protocol.ReportReply:
    """Take in everything a node reports. Repeating a report changes nothing and gets the same kind of answer.

    Starts go first, so that a task which started and ended within one report passes through running.
    """
    superseded, cancel = _record_starts(report.started, node_id, now)
    record_notes(report.progress, report.logs, node_id=node_id, now=now)
    verdicts = record_results(report.results, node_id=node_id, now=now)
    return protocol.ReportReply(verdicts=verdicts, cancel=cancel, superseded=superseded)


def record_results(results: Sequence[protocol.TaskResult], *, node_id: int, now: datetime) -> list[protocol.Verdict]:
    """Record the ends of attempts, once each; a verdict per item in the order given. Items are of the node ``node_id``.

    One transaction for the whole batch. A task id that is no number is ``unknown``.
    """
    if not results:
        return []
    named = [(parse_task_id(item.task_id) or -1, item) for item in results]
    applied = _newest_of_each(named)
    successes = [_success(task_id, item, now) for task_id, item in applied.items() if item.outcome == "succeeded"]
    failures = [_failure(task_id, item) for task_id, item in applied.items() if item.outcome != "succeeded"]
    run_ms = {task_id: _plausible(item.run_ms) for task_id, item in applied.items()}
    with transaction.atomic():
        if successes and failures:
            lock_in_order(applied)
        recorded = succeed(successes, node_id=node_id, run_ms=run_ms, now=now)
        recorded |= end(failures, node_id=node_id, now=now)
        _mark_sanitized([task_id for task_id in recorded if applied[task_id].sanitized])
        rest = [(task_id, item) for task_id, item in named if task_id not in recorded or applied[task_id] is not item]
        others = _judge(rest, node_id, now) if rest else {}
    verdicts: list[protocol.Verdict] = []
    for task_id, item in named:
        is_recorded = task_id in recorded and applied[task_id] is item
        word = "recorded" if is_recorded else others[task_id, item.attempt]
        verdicts.append(protocol.Verdict(task_id=item.task_id, attempt=item.attempt, verdict=word))
    return verdicts


def _mark_sanitized(task_ids: Sequence[int]) -> None:
    # A statement of its own: hardly any result needs it, so the two updates of every task do without the column.
    if task_ids:
        Task.objects.filter(id__in=task_ids).update(sanitized=True)


def _newest_of_each(named: Sequence[tuple[int, protocol.TaskResult]]) -> dict[int, protocol.TaskResult]:
    """By task, the item that can count; the others are compared afterwards.

    A batch may name a task twice: a replayed outbox, or the ends of two attempts that were both on the node, of which
    only the later can be the current one. Of one attempt the first word stands.
    """
    newest: dict[int, protocol.TaskResult] = {}
    for task_id, item in named:
        if task_id > 0 and (task_id not in newest or item.attempt > newest[task_id].attempt):
            newest[task_id] = item
    return newest


def _success(task_id: int, item: protocol.TaskResult, now: datetime) -> Success:
    result, cut = _bounded(bytes(item.result))
    started_at = now - timedelta(milliseconds=_plausible(item.run_ms))
    return Success(task_id, item.attempt, started_at, result, item.truncated or cut)


def _plausible(milliseconds: float) -> float:
    """A duration that a node reported, within what a time can hold."""
    return max(0.0, min(milliseconds, _LONGEST_MS))


def _bounded(raw: bytes) -> tuple[str, bool]:
    """The result's JSON text; one that is too large becomes a JSON string of its beginning, and True."""
    limit = conf().max_result_bytes
    if len(raw) <= limit:
        return raw.decode(), False
    return msgspec.json.encode(raw[: limit // 2].decode(errors="ignore")).decode(), True


def _failure(task_id: int, item: protocol.TaskResult) -> FailedAttempt:
    error = None
    if item.error is not None:
        error = msgspec.json.encode(
            {
                "type": item.error.type[:200],
                "message": item.error.message[: protocol.MAX_ERROR_MESSAGE_CHARS],
                "traceback": item.error.traceback[-protocol.MAX_TRACEBACK_CHARS :],
            }
        ).decode()
    return FailedAttempt(
        task_id=task_id,
        attempt=item.attempt,
        outcome=_OUTCOMES[item.outcome],
        error=error,
        retryable=item.retryable,
        retry_after_seconds=item.retry_after_seconds,
        run_ms=_plausible(item.run_ms),
        truncated=item.truncated,
    )


def _judge(
    rest: Sequence[tuple[int, protocol.TaskResult]], node_id: int, now: datetime
) -> dict[tuple[int, int], protocol.VerdictWord]:
    """Verdicts for results that changed nothing; keeps what was refused for the record.

    Kept is what is said of attempts that were this node's: once each, so at most one row for every attempt there was.
    """
    ids = [task_id for task_id, _ in rest]
    tasks = {task.pk: task for task in Task.objects.filter(id__in=ids).only("id", "state", "attempt", "node_id")}
    ended: dict[tuple[int, int], dict[str, Attempt]] = {}
    for attempt in Attempt.objects.filter(task_id__in=ids, node_id=node_id):
        ended.setdefault((attempt.task_id, attempt.number), {})[attempt.outcome] = attempt
    verdicts: dict[tuple[int, int], protocol.VerdictWord] = {}
    refused: list[tuple[int, protocol.TaskResult]] = []
    made_up: list[tuple[int, protocol.TaskResult]] = []
    for task_id, item in rest:
        if (task_id, item.attempt) in verdicts:
            continue
        task, attempts = tasks.get(task_id), ended.get((task_id, item.attempt), {})
        lost = attempts.get(AttemptOutcome.LOST)
        word: protocol.VerdictWord = "superseded"
        if task is None:
            word = "unknown"
        elif AttemptOutcome.SUPERSEDED in attempts:
            pass
        elif lost is not None and item.outcome != "succeeded":
            word = "recorded"
            _tell_what_became_of(lost, item)
        elif _is_this(task, item, node_id) or (
            attempts and not (item.outcome == "succeeded" and GIVEN_UP & attempts.keys())
        ):
            word = "duplicate"
        elif attempts or (task.attempt == item.attempt and task.node_id == node_id):
            refused.append((task_id, item))
        else:
            made_up.append((task_id, item))
        verdicts[task_id, item.attempt] = word
    _keep_refused(refused, node_id, now)
    _tell_made_up(made_up, node_id, now)
    return verdicts


def _is_this(task: Task, item: protocol.TaskResult, node_id: int) -> bool:
    """Whether the task ended by this very result."""
    return (
        task.state == TaskState.SUCCEEDED
        and item.outcome == "succeeded"
        and task.attempt == item.attempt
        and task.node_id == node_id
    )


def _tell_what_became_of(attempt: Attempt, item: protocol.TaskResult) -> None:
    """An attempt given up as lost turns out to have failed: keep the true outcome. The next attempt goes on."""
    failure = _failure(attempt.task_id, item)
    Attempt.objects.filter(pk=attempt.pk).update(outcome=failure.outcome, error=failure.error)


def _keep_refused(refused: Sequence[tuple[int, protocol.TaskResult]], node_id: int, now: datetime) -> None:
    if not refused:
        return
    rejected = [
        Attempt(
            task_id=task_id,
            number=item.attempt,
            node_id=node_id,
            outcome=AttemptOutcome.SUPERSEDED,
            ended_at=now,
            error=_failure(task_id, item).error if item.outcome != "succeeded" else None,
        )
        for task_id, item in refused
    ]
    # The same report may be refused twice at the same moment: it is kept once.
    Attempt.objects.bulk_create(rejected, ignore_conflicts=True)
    rows = [(task_id, item.attempt, node_id, str(item.outcome)) for task_id, item in refused]
    Change.objects.append(ResultsRefused(rows=rows), now=now)


def _tell_made_up(made_up: Sequence[tuple[int, protocol.TaskResult]], node_id: int, now: datetime) -> None:
    """Put on record that the node reports what it was never given: not row by row, for it can go on without end."""
    limit = throttle.Limit("made-up results", (str(node_id),), 1)
    if not made_up or throttle.take([limit], now=now):
        return
    (task_id, item), name = made_up[0], Node.objects.values_list("name", flat=True).get(pk=node_id)
    event = NodeMadeUpResults(node_id=node_id, name=name, task_id=task_id, attempt=item.attempt, count=len(made_up))
    Change.objects.append(event, now=now)


def _record_starts(
    started: Sequence[protocol.Started], node_id: int, now: datetime
) -> tuple[list[protocol.AttemptRef], list[protocol.AttemptRef]]:
    """Mark attempts as running; returns those that are no longer the node's, and those that it shall cancel."""
    refs = {number: item for item in started if (number := parse_task_id(item.task_id))}
    starts = [
        Start(task_id, item.attempt, now - timedelta(milliseconds=_plausible(item.running_ms)), now)
        for task_id, item in refs.items()
    ]
    start(starts, node_id=node_id, now=now)
    return compare({task_id: item.attempt for task_id, item in refs.items()}, node_id=node_id)


def compare(held: Mapping[int, int], *, node_id: int) -> tuple[list[protocol.AttemptRef], list[protocol.AttemptRef]]:
    """What a node that holds these attempts (task id → attempt) shall do: those superseded, and those to cancel.

    An attempt that was given up while its task still waits for the next one is neither: it may yet come first.
    """
    superseded, cancel = [], []
    tasks = {
        task.pk: task
        for task in Task.objects.filter(id__in=list(held)).only(
            "id", "state", "attempt", "node_id", "cancel_requested_at"
        )
    }
    for task_id, attempt in held.items():
        task = tasks.get(task_id)
        ref = protocol.AttemptRef(task_id=str(task_id), attempt=attempt)
        if task is None or task.attempt != attempt or task.node_id != node_id or task.state in TERMINAL:
            superseded.append(ref)
        elif task.cancel_requested_at is not None and task.state in ACTIVE:
            cancel.append(ref)
    return superseded, cancel

"""One batch of one job: find the next tasks, do it to them, and move the cursor, in one transaction.

What is killed before its commit has done nothing, and what has committed is behind the cursor: each task is dealt with
once. Engines take turns: two that looked at the same tasks at once would both find them not yet retried.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F

from dispatcher import backlog, faults, lifecycle
from dispatcher.bulk.rows import finish, keep
from dispatcher.models import BulkJob, BulkSkip, BulkTally, Task
from dispatcher.models.bulk import BulkAction, BulkReason, BulkState
from dispatcher.queries.filters import FilterError, TaskFilters
from dispatcher.queries.task_search import Found, search

logger = logging.getLogger(__name__)

#: Advisory lock that engines take turns at.
BULK_LOCK = 0x62756C6B
#: So long a batch waits that did not fit into the backlog.
HELD_SECONDS = 2.0
#: Tasks of which it is kept that they were left as they were, per job and reason; further ones are only counted.
MAX_KEPT = 200


@dataclass
class Outcome:
    """What became of the tasks that were dealt with."""

    done: int = 0
    asked: int = 0
    #: task id → why it was left as it was, and what the database said
    left: dict[int, tuple[BulkReason, str]] = field(default_factory=dict)
    #: Tasks dealt with, from the first of the batch on.
    handled: int = 0
    #: Why the rest of the batch has to wait.
    held_by: str = ""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.done + other.done, self.asked + other.asked, self.left | other.left, self.handled + other.handled,
            other.held_by,
        )  # fmt: skip


def next_due() -> tuple[int, datetime] | None:
    """The running job whose turn comes first, and when that is."""
    return BulkJob.objects.filter(state=BulkState.RUNNING).order_by("next_at").values_list("pk", "next_at").first()


def work(job_id: int, *, now: datetime) -> bool:
    """Do the next batch of the job, if it is due and nobody else does; whether it was done."""
    job = BulkJob.objects.filter(pk=job_id, state=BulkState.RUNNING, next_at__lte=now).first()
    if job is None:
        return False
    try:
        filters = TaskFilters.parse({"q": job.query})
        # Before the transaction: it may look through many tasks, and others wait for their turn to write.
        found = search(filters, after=job.cursor, limit=job.batch_size, now=job.created_at)
        if backlog.is_limited():
            backlog.refresh()
        return _do(job, filters, found, now)
    except Exception as error:
        if faults.outage(error):
            raise
        # It would meet the same again, and other jobs wait behind it.
        logger.exception("bulk action %d cannot go on", job.pk)
        return _fail(job.pk, error, now)


def _do(known: BulkJob, filters: TaskFilters, found: Found, now: datetime) -> bool:
    with transaction.atomic():
        if not _is_our_turn():
            return False
        job = BulkJob.objects.select_for_update().get(pk=known.pk)
        if (job.state, job.cursor, job.next_at) != (known.state, known.cursor, known.next_at):
            # Paused, stopped, or this batch was done by another engine.
            return False
        outcome = _apply(job, filters, found.ids, now) if found.ids else Outcome()
        _record(job, outcome)
        _move(job, found, outcome, now)
        if job.cursor == 1:
            finish(job, BulkState.DONE, now=now)
        else:
            keep(job)
    return True


def _is_our_turn() -> bool:
    """Whether no other engine does a batch, until this transaction ends. With SQLite writers take turns anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [BULK_LOCK])
        return bool(cursor.fetchone()[0])


def _apply(job: BulkJob, filters: TaskFilters, ids: Sequence[int], now: datetime) -> Outcome:
    """Do it to all of them, or else to each half by itself: so one that is refused does not keep the others, and what
    fits into the backlog does not wait for what does not.
    """  # fmt: skip
    try:
        with transaction.atomic():
            return _retry(job, ids, now) if job.action == BulkAction.RETRY else _cancel(job, filters, ids, now)
    except backlog.BacklogFull as full:
        if len(ids) == 1:
            return Outcome(held_by=str(full)[:300])
    except (IntegrityError, DataError) as error:
        if len(ids) == 1:
            logger.warning("bulk action %d: task %d is refused: %s", job.pk, ids[0], error)
            return Outcome(left={ids[0]: (BulkReason.REFUSED, _first_line(error))}, handled=1)
    middle = len(ids) // 2
    first = _apply(job, filters, ids[:middle], now)
    return first if first.held_by else first + _apply(job, filters, ids[middle:], now)


def _retry(job: BulkJob, ids: Sequence[int], now: datetime) -> Outcome:
    retries = Task.objects.filter(retry_of__in=ids).values_list("retry_of", flat=True)
    before = {pk for pk in retries if pk is not None} if not job.again else set()
    # The oldest first: so they will run.
    wanted = sorted(set(ids) - before)
    result = lifecycle.retry(wanted, actor=job.actor, now=now, bulk=job.pk)
    left = _because(BulkReason.RETRIED, sorted(before))
    left |= _because(BulkReason.NOT_ENDED, result.not_finished) | _because(BulkReason.GONE, result.unknown)
    return Outcome(done=len(result.created), left=left, handled=len(ids))


def _cancel(job: BulkJob, filters: TaskFilters, ids: Sequence[int], now: datetime) -> Outcome:
    here = _lock(ids)
    # Looked at again now that nobody can move them: one that was queued and runs by now is not meant by state:queued.
    again = search(filters, after=max(ids) + 1, above=min(ids) - 1, limit=len(ids), now=job.created_at)
    rest = [pk for pk in ids if pk <= again.floor]
    ids = [pk for pk in ids if pk > again.floor]
    still = set(again.ids) & set(ids)
    result = lifecycle.cancel(sorted(still), actor=job.actor, now=now, bulk=job.pk)
    left = _because(BulkReason.GONE, [pk for pk in ids if pk not in here])
    left |= _because(BulkReason.CHANGED, [pk for pk in ids if pk in here and pk not in still])
    left |= _because(BulkReason.ENDED, result.too_late)
    done = len(result.cancelled) + len(result.requested)
    held_by = "It takes long to see whether the tasks still match." if rest else ""
    return Outcome(done, len(result.requested), left, len(ids), held_by)


def _lock(ids: Sequence[int]) -> set[int]:
    tasks = Task.objects.filter(id__in=ids).order_by("id")
    if connection.features.has_select_for_update:
        tasks = tasks.select_for_update()
    return set(tasks.values_list("id", flat=True))


def _because(reason: BulkReason, ids: Sequence[int]) -> dict[int, tuple[BulkReason, str]]:
    return dict.fromkeys(ids, (reason, ""))


def _record(job: BulkJob, outcome: Outcome) -> None:
    """Count what was done, and keep what was left and why."""
    told = Counter(reason for reason, _ in outcome.left.values())
    known = dict(BulkTally.objects.filter(job=job).values_list("reason", "count")) if told else {}
    for reason, count in told.items():
        if reason in known:
            BulkTally.objects.filter(job=job, reason=reason).update(count=F("count") + count)
        else:
            BulkTally.objects.create(job=job, reason=reason, count=count)
        room = max(0, MAX_KEPT - known.get(reason, 0))
        kept = [(pk, detail) for pk, (why, detail) in outcome.left.items() if why == reason][:room]
        BulkSkip.objects.bulk_create(BulkSkip(job=job, task_id=pk, reason=reason, detail=detail) for pk, detail in kept)
    job.done += outcome.done
    job.asked += outcome.asked
    job.failed += told[BulkReason.REFUSED]
    job.skipped += told.total() - told[BulkReason.REFUSED]


def _move(job: BulkJob, found: Found, outcome: Outcome, now: datetime) -> None:
    """Move the cursor behind what was dealt with, and say when the next batch may begin."""
    if outcome.handled < len(found.ids):
        job.cursor = found.ids[outcome.handled - 1] if outcome.handled else job.cursor
    elif len(found.ids) >= job.batch_size:
        job.cursor = found.ids[-1]
    else:
        job.cursor = found.floor + 1
    pause = outcome.done / job.per_second if job.per_second else 0.0
    job.held_by = outcome.held_by
    job.next_at = now + timedelta(seconds=max(pause, HELD_SECONDS if outcome.held_by else 0.0))
    job.last_at = now


def _fail(job_id: int, error: Exception, now: datetime) -> bool:
    text = error.message if isinstance(error, FilterError) else f"{type(error).__name__}: {_first_line(error)}"
    with transaction.atomic():
        job = BulkJob.objects.select_for_update().get(pk=job_id)
        if job.state == BulkState.RUNNING:
            finish(job, BulkState.FAILED, now=now, error=text[:300])
    return True


def _first_line(error: Exception) -> str:
    """What PostgreSQL says further down holds the row, payload and all."""
    return str(error).partition("\n")[0][:300]

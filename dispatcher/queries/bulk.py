"""Bulk actions as pages, API and live topics show them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from dispatcher.models import BulkJob, BulkSkip, BulkTally
from dispatcher.models.bulk import BulkAction, BulkState, tag_of
from dispatcher.queries.shapes import BulkDocument, BulkLeft, BulkPage, BulkRow, BulkSkipped

MAX_LIMIT = 500
#: Jobs in the live list.
SHOWN = 50
#: Less than this says nothing of the rate.
_SOONEST_RATE_SECONDS = 1.0


def bulk_page(*, after: int | None = None, limit: int = SHOWN) -> BulkPage:
    """Jobs with ids below ``after``, newest first."""
    limit = min(max(limit, 1), MAX_LIMIT)
    jobs = BulkJob.objects.order_by("-id")
    if after is not None:
        jobs = jobs.filter(id__lt=after)
    rows = list(jobs[: limit + 1])
    return BulkPage(
        jobs=[_row(job) for job in rows[:limit]], next=str(rows[limit - 1].pk) if len(rows) > limit else None
    )


def bulk_document(job_id: int) -> BulkDocument | None:
    """One job and what it left as it was; None if there is none."""
    job = BulkJob.objects.filter(pk=job_id).first()
    return None if job is None else BulkDocument(job=_row(job), left=_left(job))


def open_jobs() -> int:
    """How many are running or paused."""
    return BulkJob.objects.filter(state__in=[BulkState.RUNNING, BulkState.PAUSED]).count()


def _left(job: BulkJob) -> list[BulkLeft]:
    tallies = list(BulkTally.objects.filter(job=job).order_by("-count", "reason"))
    tasks: defaultdict[str, list[BulkSkipped]] = defaultdict(list)
    for skip in BulkSkip.objects.filter(job=job).order_by("-task_id") if tallies else ():
        tasks[skip.reason].append(BulkSkipped(id=str(skip.task_id), detail=skip.detail))
    return [BulkLeft(reason=tally.reason, count=tally.count, tasks=tasks[tally.reason]) for tally in tallies]


def _row(job: BulkJob) -> BulkRow:
    rate = _rate(job)
    to_do = None if job.expected is None else max(0, job.expected - job.handled)
    is_open = job.finished_at is None
    return BulkRow(
        id=str(job.pk),
        action=job.action,
        state=job.state,
        query=job.query,
        again=job.again,
        actor=job.actor,
        batch_size=job.batch_size,
        per_second=job.per_second,
        expected=job.expected,
        handled=job.handled,
        done=job.done,
        skipped=job.skipped,
        failed=job.failed,
        asked=job.asked,
        fraction=_fraction(job),
        rate=rate,
        left_ms=to_do / rate * 1000 if rate and to_do is not None and is_open else None,
        created_at=job.created_at,
        last_at=job.last_at,
        paused_at=job.paused_at,
        paused_by=job.paused_by,
        finished_at=job.finished_at,
        held_by=job.held_by,
        error=job.error,
        tag=tag_of(job.pk) if job.action == BulkAction.RETRY else "",
    )


def _fraction(job: BulkJob) -> float | None:
    if job.state == BulkState.DONE:
        return 1.0
    if not job.expected:
        return None
    # More may match by now than was counted; it has not ended yet.
    return min(job.handled / job.expected, 0.999)


def _rate(job: BulkJob) -> float | None:
    until: datetime | None = job.last_at
    if until is None:
        return None
    seconds = (until - job.created_at).total_seconds() - job.paused_seconds
    return round(job.handled / seconds, 1) if seconds >= _SOONEST_RATE_SECONDS else None

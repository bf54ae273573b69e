"""Start, pause, resume and stop. Each waits for the batch that is being done, and takes effect before the next."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import Max

from dispatcher import events
from dispatcher.bulk.rows import end_pause, finish, keep
from dispatcher.models import BulkJob, Change, Task
from dispatcher.models.bulk import OPEN, BulkAction, BulkState
from dispatcher.queries.bulk_scope import bulk_preview
from dispatcher.queries.filters import TaskFilters

DEFAULT_BATCH = 100
DEFAULT_PER_SECOND = 50.0


class UnknownJob(LookupError):
    """There is no such job."""


class JobEnded(Exception):
    """The job has ended, and can be steered no more. ``state``: how."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class KeyUsed(Exception):
    """The idempotency key was used before with another request. Nothing was stored."""


class BulkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to do to which tasks, and how fast. Validated already."""

    action: BulkAction
    filters: TaskFilters
    again: bool = False
    batch_size: int = DEFAULT_BATCH
    per_second: float | None = DEFAULT_PER_SECOND
    idempotency_key: str = ""

    @property
    def digest(self) -> str:
        """Of all but the key."""
        said = [self.action, self.filters.text, self.again, self.batch_size, self.per_second]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def start(request: BulkRequest, *, actor: str, now: datetime) -> tuple[BulkJob, bool]:
    """Begin; an engine does the rest. False beside a job that was begun before with the same key.

    Raises ``KeyUsed``.
    """
    if (known := _known(request, actor)) is not None:
        return known, False
    # Counted outside of the transaction: it may take a while. It is a figure for people, the scope is not made of it.
    preview = bulk_preview(request.action, request.filters, again=request.again)
    try:
        with transaction.atomic():
            job = _make(request, actor, now, preview["estimate"])
    except IntegrityError:
        # Somebody was first with the same key.
        if (known := _known(request, actor)) is None:
            raise
        return known, False
    return job, True


def _known(request: BulkRequest, actor: str) -> BulkJob | None:
    if not request.idempotency_key:
        return None
    job = BulkJob.objects.filter(actor=actor, idempotency_key=request.idempotency_key).first()
    if job is not None and job.digest != request.digest:
        raise KeyUsed
    return job


def _make(request: BulkRequest, actor: str, now: datetime, expected: int | None) -> BulkJob:
    newest = Task.objects.aggregate(newest=Max("id"))["newest"] or 0
    job = BulkJob.objects.create(
        action=request.action,
        query=request.filters.text,
        again=request.again,
        actor=actor,
        idempotency_key=request.idempotency_key,
        digest=request.digest if request.idempotency_key else "",
        batch_size=request.batch_size,
        per_second=request.per_second,
        newest_id=newest,
        cursor=newest + 1,
        expected=expected,
        created_at=now,
        next_at=now,
    )
    event = events.BulkStarted(job_id=job.pk, action=job.action, query=job.query, newest_id=newest, expected=expected)
    Change.objects.append(event, now=now, actor=actor)
    return job


def pause(job_id: int, *, actor: str, now: datetime) -> BulkJob:
    """Do nothing until it is resumed. Pausing a paused job changes nothing. Raises ``UnknownJob``, ``JobEnded``."""
    with transaction.atomic():
        job = _locked(job_id)
        if job.state == BulkState.RUNNING:
            job.state, job.paused_at, job.paused_by = BulkState.PAUSED, now, actor
            keep(job)
            Change.objects.append(events.BulkPaused(job_id=job.pk, action=job.action), now=now, actor=actor)
    return job


def resume(job_id: int, *, actor: str, now: datetime) -> BulkJob:
    """Go on. Resuming a running job changes nothing. Raises ``UnknownJob``, ``JobEnded``."""
    with transaction.atomic():
        job = _locked(job_id)
        if job.state == BulkState.PAUSED:
            end_pause(job, now)
            job.state, job.next_at = BulkState.RUNNING, now
            keep(job)
            Change.objects.append(events.BulkResumed(job_id=job.pk, action=job.action), now=now, actor=actor)
    return job


def cancel(job_id: int, *, actor: str, now: datetime) -> BulkJob:
    """Do no more; what was done stays done. Raises ``UnknownJob``, ``JobEnded``."""
    with transaction.atomic():
        job = _locked(job_id)
        finish(job, BulkState.CANCELLED, now=now, actor=actor)
    return job


def _locked(job_id: int) -> BulkJob:
    job = BulkJob.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise UnknownJob
    if job.state not in OPEN:
        raise JobEnded(job.state)
    return job

"""Writing the rows of jobs that are locked, and their ends."""

from __future__ import annotations

from datetime import datetime

from dispatcher import events
from dispatcher.models import BulkJob, Change
from dispatcher.models.bulk import BulkState

_ENDS = {
    BulkState.DONE: events.BulkFinished,
    BulkState.CANCELLED: events.BulkCancelled,
    BulkState.FAILED: events.BulkFailed,
}


def keep(job: BulkJob) -> None:
    """Write what has changed of a locked job."""
    job.save()


def finish(job: BulkJob, state: BulkState, *, now: datetime, actor: str = "", error: str = "") -> None:
    """End a locked job and tell the feed."""
    end_pause(job, now)
    job.state, job.finished_at, job.error, job.held_by = state, now, error, ""
    keep(job)
    event = _ENDS[state](
        job_id=job.pk, action=job.action, done=job.done, skipped=job.skipped, failed=job.failed, reason=error
    )
    Change.objects.append(event, now=now, actor=actor)


def end_pause(job: BulkJob, now: datetime) -> None:
    """Count the pause, if there is one."""
    if job.paused_at is not None:
        # A clock that was set back makes no negative pause.
        job.paused_seconds += max(0.0, (now - job.paused_at).total_seconds())
        job.paused_at, job.paused_by = None, ""

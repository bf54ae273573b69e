"""Jobs that steer all tasks that match a query, batch by batch. Only ``dispatcher.bulk`` writes these rows."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.db import models
from django.db.models import BaseConstraint, CheckConstraint, F, Q, UniqueConstraint
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _


class BulkAction(StrEnum):
    """What a job does to each task."""

    #: Make a new task like it, if it has ended.
    RETRY = "retry"
    #: End it if it waits, ask its node to stop it if one has it.
    CANCEL = "cancel"


class BulkState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    PAUSED = "paused"
    #: All tasks that matched were dealt with.
    DONE = "done"
    #: Somebody stopped it; what was done stays done.
    CANCELLED = "cancelled"
    #: It cannot go on: ``error`` says why.
    FAILED = "failed"


class BulkReason(StrEnum):
    """Why a task was left as it was."""

    #: Retry: it has not ended.
    NOT_ENDED = "not_ended"
    #: Retry: there is a retry of it already.
    RETRIED = "retried"
    #: Cancel: it had ended.
    ENDED = "ended"
    #: Cancel: it matches no longer.
    CHANGED = "changed"
    #: It was deleted for its age.
    GONE = "gone"
    #: The database would not take it; such tasks count as failed.
    REFUSED = "refused"


OPEN: Final = frozenset({BulkState.RUNNING, BulkState.PAUSED})
MAX_BATCH: Final = 1000
MAX_PER_SECOND: Final = 10_000
MAX_KEY_CHARS: Final = 200
_TAG: Final = "bulk-"


def tag_of(job_id: int) -> str:
    """The tag of the tasks that a job's retries make: they are found by it, and can be cancelled together."""
    return f"{_TAG}{job_id}"


def job_of(tag: str) -> int:
    """The job that gave this tag."""
    return int(tag.removeprefix(_TAG))


def is_bulk_tag(tag: str) -> bool:
    """Whether a job gave this tag."""
    return tag.startswith(_TAG) and tag.removeprefix(_TAG).isdecimal()


def _in(*states: BulkState) -> Q:
    return Q(state__in=[state.value for state in states]) if len(states) > 1 else Q(state=states[0].value)


_ENDED = [state.value for state in BulkState if state not in OPEN]


BULK_RULES: list[BaseConstraint] = [
    CheckConstraint(condition=Q(action__in=[one.value for one in BulkAction]), name="bulk_action_known"),
    CheckConstraint(condition=Q(state__in=[one.value for one in BulkState]), name="bulk_state_known"),
    CheckConstraint(
        condition=Q(state__in=_ENDED, finished_at__isnull=False) | Q(~Q(state__in=_ENDED), finished_at__isnull=True),
        name="bulk_finished_iff_ended",
    ),
    CheckConstraint(
        condition=Q(_in(BulkState.PAUSED), paused_at__isnull=False)
        | Q(~_in(BulkState.PAUSED), paused_at__isnull=True, paused_by=""),
        name="bulk_paused_has_time",
    ),
    CheckConstraint(
        condition=Q(_in(BulkState.FAILED), ~Q(error="")) | Q(~_in(BulkState.FAILED), error=""),
        name="bulk_failed_says_why",
    ),
    CheckConstraint(condition=Q(cursor__gte=1, cursor__lte=F("newest_id") + 1), name="bulk_cursor_in_scope"),
    # No task has an id below 1: then all were looked at.
    CheckConstraint(condition=~_in(BulkState.DONE) | Q(cursor=1), name="bulk_done_has_seen_all"),
    CheckConstraint(
        condition=Q(done__gte=0, asked__gte=0, skipped__gte=0, failed__gte=0, asked__lte=F("done"))
        & (Q(expected__isnull=True) | Q(expected__gte=0)),
        name="bulk_counts_in_range",
    ),
    CheckConstraint(
        condition=~Q(action=BulkAction.RETRY.value, asked__gt=0) & ~Q(action=BulkAction.CANCEL.value, again=True),
        name="bulk_fields_fit_action",
    ),
    CheckConstraint(
        condition=Q(batch_size__gte=1, batch_size__lte=MAX_BATCH, paused_seconds__gte=0)
        & (Q(per_second__isnull=True) | Q(per_second__gt=0, per_second__lte=MAX_PER_SECOND)),
        name="bulk_pace_in_range",
    ),
    # Who: there is nobody else whom the new tasks are from.
    CheckConstraint(condition=~Q(actor=""), name="bulk_has_actor"),
    CheckConstraint(
        condition=Q(idempotency_key="", digest="") | Q(~Q(idempotency_key=""), Exact(Length("digest"), 64)),
        name="bulk_key_has_digest",
    ),
    UniqueConstraint(fields=["actor", "idempotency_key"], condition=~Q(idempotency_key=""), name="bulk_key_once"),
]


class BulkJob(models.Model):
    """One action on all tasks that match a query, those that were there when it began.

    It goes down the ids from ``newest_id``, so that tasks made since, its own among them, are never in its scope. The
    cursor moves in the transaction of what was done: each task is dealt with once, whatever is killed meanwhile.
    """

    id = models.BigAutoField(primary_key=True)
    action = models.CharField(_("action"), max_length=10)
    state = models.CharField(_("state"), max_length=10, default=BulkState.RUNNING.value)
    #: In the search language, in its canonical form; "" for all tasks. Ages in it are as of the start.
    query = models.TextField(_("query"), blank=True)
    #: Retry also those that were retried before.
    again = models.BooleanField(_("also what was retried before"), default=False)
    actor = models.CharField(_("by"), max_length=150)
    #: The same key with the same request makes no second job; ``digest`` tells whether it is the same.
    idempotency_key = models.CharField(max_length=MAX_KEY_CHARS, blank=True)
    digest = models.CharField(max_length=64, blank=True)

    batch_size = models.IntegerField(_("batch"))
    #: None: as fast as it goes.
    per_second = models.FloatField(_("tasks a second"), null=True)

    newest_id = models.BigIntegerField()
    #: Tasks with this id and above have been dealt with.
    cursor = models.BigIntegerField()
    #: Tasks to deal with, as counted at the start; None if there were too many to count.
    expected = models.BigIntegerField(null=True)
    done = models.BigIntegerField(_("done"), default=0)
    #: Of these, running tasks whose node was asked to stop them.
    asked = models.BigIntegerField(_("asked to stop"), default=0)
    skipped = models.BigIntegerField(_("skipped"), default=0)
    failed = models.BigIntegerField(_("failed"), default=0)

    created_at = models.DateTimeField(_("started"))
    #: The next batch not before then.
    next_at = models.DateTimeField()
    last_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(_("paused since"), null=True)
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True)
    #: Of earlier pauses.
    paused_seconds = models.FloatField(default=0.0)
    finished_at = models.DateTimeField(_("ended"), null=True)
    #: Why the last batch did not fit and will be tried again; "" if it did.
    held_by = models.CharField(_("waits because"), max_length=300, blank=True)
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("bulk action")
        verbose_name_plural = _("bulk actions")
        constraints = BULK_RULES
        indexes = [
            models.Index(fields=["next_at"], name="bulk_due", condition=Q(state=BulkState.RUNNING.value)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"

    @property
    def handled(self) -> int:
        """Tasks dealt with so far."""
        return self.done + self.skipped + self.failed


class BulkTally(models.Model):
    """How many tasks a job left as they were, for one reason."""

    job = models.ForeignKey(BulkJob, models.CASCADE, related_name="tallies")
    reason = models.CharField(max_length=20)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["job", "reason"], name="bulk_tally_once"),
            CheckConstraint(condition=Q(reason__in=[one.value for one in BulkReason]), name="bulk_tally_reason_known"),
            CheckConstraint(condition=Q(count__gte=1), name="bulk_tally_counts_something"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.count}"


class BulkSkip(models.Model):
    """A task that a job left as it was. The first ones of each reason are kept, see ``dispatcher.bulk``."""

    job = models.ForeignKey(BulkJob, models.CASCADE, related_name="skips", db_index=False)
    task_id = models.BigIntegerField()
    reason = models.CharField(max_length=20)
    #: What the database said; "" for all reasons but refusals.
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            UniqueConstraint(fields=["job", "task_id"], name="bulk_skip_once"),
            CheckConstraint(condition=Q(reason__in=[one.value for one in BulkReason]), name="bulk_skip_reason_known"),
        ]

    def __str__(self) -> str:
        return f"#{self.task_id}: {self.reason}"

"""What accompanies a task: ended attempts, progress, log lines, tags, keys. Written by ``dispatcher.lifecycle``."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dispatcher.models.task import Task
from dispatcher.states import AttemptOutcome

#: A longer message of progress is cut.
MAX_PROGRESS_CHARS = 500

_refused = Q(outcome=AttemptOutcome.SUPERSEDED.value)

OUTCOME_CHOICES = [(outcome.value, outcome.value.replace("_", " ")) for outcome in AttemptOutcome]


class Attempt(models.Model):
    """An attempt that ended without success, and refused late reports (``superseded``).

    The attempt that ended a task well is on the task row itself.
    """

    task = models.ForeignKey(
        Task, models.DO_NOTHING, db_constraint=False, verbose_name=_("task"), related_name="attempts"
    )
    number = models.IntegerField(_("attempt"))
    node = models.ForeignKey("dispatcher.Node", models.DO_NOTHING, null=True, db_constraint=False, db_index=False)
    outcome = models.CharField(_("outcome"), max_length=20, choices=OUTCOME_CHOICES)
    queued_at = models.DateTimeField(_("queued"), null=True)
    dispatched_at = models.DateTimeField(_("dispatched"), null=True)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"))
    #: JSON object {type, message, traceback}, or null.
    error = models.TextField(_("error"), null=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=[outcome.value for outcome in AttemptOutcome]), name="attempt_outcome_known"
            ),
            models.CheckConstraint(condition=Q(number__gte=1, node__isnull=False), name="attempt_has_node"),
            # Of a refused report we know only that it came.
            models.CheckConstraint(
                condition=_refused | Q(queued_at__isnull=False, dispatched_at__isnull=False),
                name="attempt_was_dispatched",
            ),
            models.UniqueConstraint(fields=["task", "number"], condition=~_refused, name="attempt_ended_once"),
            models.UniqueConstraint(fields=["task", "number", "node"], condition=_refused, name="attempt_refused_once"),
        ]

    def __str__(self) -> str:
        return f"#{self.task_id}/{self.number} {self.outcome}"

    @property
    def error_map(self) -> dict[str, Any] | None:
        """{type, message, traceback}, if the attempt failed with an error."""
        error: dict[str, Any] | None = json.loads(self.error) if self.error else None
        return error


class TaskProgress(models.Model):
    """How far a task is; a row of its own, so that the task row is not rewritten for it."""

    task = models.OneToOneField(Task, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="progress")
    attempt = models.IntegerField()
    fraction = models.FloatField(null=True)
    message = models.CharField(max_length=MAX_PROGRESS_CHARS, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(attempt__gte=1) & (Q(fraction__isnull=True) | Q(fraction__range=(0.0, 1.0))),
                name="progress_in_range",
            )
        ]


class LogChunk(models.Model):
    """Log lines of one attempt that arrived together: JSON array of [n, unix_ms, level, text]."""

    task = models.ForeignKey(Task, models.DO_NOTHING, db_constraint=False, db_index=False)
    attempt = models.IntegerField()
    first_n = models.IntegerField()
    last_n = models.IntegerField()
    lines = models.TextField()

    class Meta:
        # Also makes a repeated report of the same lines harmless.
        constraints = [models.UniqueConstraint(fields=["task", "attempt", "first_n"], name="log_chunk_once")]


class TaskTag(models.Model):
    """One tag of one task, for finding tasks by tag, newest first."""

    task = models.ForeignKey(Task, models.DO_NOTHING, db_constraint=False)
    tag = models.CharField(max_length=100)

    class Meta:
        indexes = [models.Index(fields=["tag", "-task"], name="task_tag_newest")]


class TaskOrigin(models.Model):
    """Which task somebody changed and submitted again as this one; a row of its own, as few tasks have an origin."""

    task = models.OneToOneField(Task, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+")
    clone_of = models.BigIntegerField(db_index=True)


class IdempotencyKey(models.Model):
    """A submitter's key and the task it made. ``key`` is prefixed with the submitter, so that keys never collide."""

    key = models.CharField(primary_key=True, max_length=300)
    #: SHA-256 of the submitted task: the same key with another body is a conflict.
    digest = models.CharField(max_length=64)
    task_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_index=True)

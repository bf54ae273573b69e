"""The task row. Only ``dispatcher.lifecycle`` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from dispatcher.models.queue import Lane
from dispatcher.models.task_rules import TASK_RULES
from dispatcher.states import ACTIVE, WAITING, TaskState

_MAX_ID = 2**63 - 1
_MAX_ID_DIGITS = 19
STATE_CHOICES = [(state.value, state.word) for state in TaskState]


def _literal(states: Iterable[TaskState]) -> list[Any]:
    """States as SQLite has to see them to find that a partial index covers them: it does not look into parameters."""
    return [RawSQL(str(state.value), ()) for state in sorted(states)]  # noqa: S611 - numbers of our own


class TaskQuerySet(models.QuerySet["Task"]):
    """Named sets of tasks."""

    def ready(self) -> TaskQuerySet:
        """Queued, in order of service within a lane."""
        return self.filter(state=TaskState.QUEUED).order_by("-priority", "id")

    def active(self) -> TaskQuerySet:
        """On a node, as far as we know."""
        return self.filter(state__in=_literal(ACTIVE))

    def waiting(self) -> TaskQuerySet:
        """Not on a node and not ended."""
        return self.filter(state__in=_literal(WAITING))

    def light(self) -> TaskQuerySet:
        """Without the columns that may be large; for lists."""
        return self.defer("payload", "result", "error").select_related("lane")


class Task(models.Model):
    """One piece of work and its current attempt; ended attempts that did not end it are ``Attempt`` rows.

    A task that works the first time costs one insert and two updates, so every column and index here has to earn its
    write. Payload, result and error are raw JSON text and pass through undecoded.
    """

    id = models.BigAutoField(primary_key=True)
    # No foreign-key constraints: they cost a look-up per row, and lanes and nodes are never deleted while referred to.
    lane = models.ForeignKey(Lane, models.DO_NOTHING, db_constraint=False, db_index=False, verbose_name=_("lane"))
    state = models.SmallIntegerField(_("state"), choices=STATE_CHOICES)
    priority = models.SmallIntegerField(_("priority"), default=0)
    #: The fence: rises at every claim; a report counts only if it names this number.
    attempt = models.IntegerField(_("attempt"), default=0)
    #: Attempts that do not count against max_attempts (rejected, handed back).
    released = models.SmallIntegerField(_("released attempts"), default=0)
    #: Attempts that ended with a crashed process or a lost node.
    crashes = models.SmallIntegerField(_("crashes"), default=0)
    max_attempts = models.SmallIntegerField(_("max attempts"), default=3)
    #: Node and incarnation of the current attempt; stays set after it, so that a late first result is recognised.
    node = models.ForeignKey(
        "dispatcher.Node", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, verbose_name=_("node")
    )
    incarnation = models.IntegerField(_("incarnation of the node"), null=True)

    created_at = models.DateTimeField(_("created"))
    #: When it is due: set while scheduled.
    run_at = models.DateTimeField(_("due"), null=True)
    #: When it became ready for the current attempt.
    queued_at = models.DateTimeField(_("queued"), null=True)
    dispatched_at = models.DateTimeField(_("dispatched"), null=True)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    #: Not started by then: expired.
    expires_at = models.DateTimeField(_("deadline for the start"), null=True)
    #: No report of the current attempt by then: lost.
    attempt_deadline = models.DateTimeField(_("deadline of the attempt"), null=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True)

    timeout_seconds = models.FloatField(_("timeout in seconds"), null=True)
    backoff_seconds = models.FloatField(_("first retry delay in seconds"), default=2.0)
    backoff_cap_seconds = models.FloatField(_("longest retry delay in seconds"), default=600.0)
    affinity_key = models.CharField(_("affinity key"), max_length=200, blank=True)
    #: JSON array of strings; searched through TaskTag.
    tags = models.TextField(_("tags"), default="[]")
    submitted_by = models.CharField(_("submitted by"), max_length=150, blank=True)
    retry_of = models.BigIntegerField(_("retry of"), null=True)

    payload = models.TextField(_("payload"), default="null")
    result = models.TextField(_("result"), null=True)
    #: JSON object {type, message, traceback} of the last failure.
    error = models.TextField(_("error"), null=True)
    truncated = models.BooleanField(_("result or error cut to size"), default=False)

    #: Of any attempt. Set by a statement of its own, so that it costs nothing where it is not.
    sanitized = models.BooleanField(
        _("reported with characters or numbers that cannot be kept"), default=False, db_default=False
    )

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        constraints = TASK_RULES
        indexes = [
            # Ready tasks in order of service: heads, depth, and which lanes have any.
            models.Index(
                F("lane"), F("priority").desc(), F("id"), name="task_ready", condition=Q(state=TaskState.QUEUED.value)
            ),
            models.Index(fields=["run_at"], name="task_due", condition=Q(state=TaskState.SCHEDULED.value)),
            # What nodes hold: accounting, leases, deadlines, lists of running tasks.
            models.Index(fields=["node"], name="task_active", condition=Q(state__in=[s.value for s in sorted(ACTIVE)])),
            models.Index(
                fields=["expires_at"],
                name="task_expiring",
                condition=Q(expires_at__isnull=False, state__in=[TaskState.SCHEDULED.value, TaskState.QUEUED.value]),
            ),
            # Failures are rare and looked for most.
            models.Index(fields=["id"], name="task_failed", condition=Q(state=TaskState.FAILED.value)),
            models.Index(fields=["retry_of"], name="task_retry_of", condition=Q(retry_of__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def state_word(self) -> str:
        """The state's name."""
        return TaskState(self.state).word

    @property
    def counted_attempts(self) -> int:
        """Attempts that count against ``max_attempts``."""
        return self.attempt - self.released

    @property
    def tag_list(self) -> list[str]:
        """The tags, in the order given."""
        tags: list[str] = json.loads(self.tags)
        return tags

    @property
    def error_map(self) -> dict[str, Any] | None:
        """{type, message, traceback} of the last failure, if there was one."""
        error: dict[str, Any] | None = json.loads(self.error) if self.error else None
        return error


def parse_task_id(text: str) -> int | None:
    """The task id written as ``text``; None if it cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS):
        return None
    number = int(text)
    return number if 0 < number <= _MAX_ID else None

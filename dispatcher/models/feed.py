"""The change feed and what is folded from it."""

from __future__ import annotations

from datetime import datetime

from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dispatcher import events
from dispatcher.states import TaskState
from dispatcher.wake import notify


def node_of(event: events.Event) -> int | None:
    """The node that the event happened to, if it is one of a node."""
    return event.node_id if isinstance(event, events.NodeEvent) else None


class ChangeManager(models.Manager["Change"]):
    """Appending to the feed."""

    def append(self, event: events.Event, *, now: datetime, actor: str = "") -> None:
        """Add the event to the feed, in the caller's transaction; wakes who waits once that has committed."""
        self.create(at=now, kind=event.kind, actor=actor, body=events.encode(event), node_id=node_of(event))
        transaction.on_commit(notify, robust=True)


class Change(models.Model):
    """One committed batch of changes: one event of ``dispatcher.events``. Append-only.

    Ids are given out before commit, so on PostgreSQL a smaller id may appear after a larger one. Readers use
    ``dispatcher.models.feed_reader``, which waits for such late rows.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("event"), max_length=40)
    #: Who asked for it, if a person or program did; such rows are the audit trail.
    actor = models.CharField(_("by"), max_length=150, blank=True)
    body = models.TextField(_("facts"))
    #: Of events of one node; null on all others, which are nearly all.
    node_id = models.IntegerField(null=True, blank=True)

    objects = ChangeManager()

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        indexes = [
            models.Index(fields=["-id"], name="change_audit", condition=~models.Q(actor="")),
            models.Index(fields=["node_id", "-id"], name="change_of_node", condition=Q(node_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} @{self.pk}"


class FeedCursor(models.Model):
    """How far a reader that must see everything exactly once has come; saved in the transaction of what it did."""

    name = models.CharField(primary_key=True, max_length=50)
    position = models.BigIntegerField(default=0)
    #: Ids below the position that had not appeared yet: {id: transaction horizon after which they never will}.
    holes = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(position__gte=0), name="feed_cursor_not_negative")]


class StateCount(models.Model):
    """How many tasks of a lane are in a state, folded from the feed. Active tasks count under RUNNING."""

    lane_id = models.IntegerField()
    state = models.SmallIntegerField()
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lane_id", "state"], name="state_count_unique"),
            # No count is refused for being negative: on PostgreSQL changes may be folded in another order than they
            # were made in.
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in TaskState if s is not TaskState.DISPATCHED]),
                name="state_count_state_known",
            ),
        ]


class MinuteRollup(models.Model):
    """Ended attempts of one minute, queue, type and outcome, folded from the feed.

    The histograms are JSON arrays of counts; bucket b holds durations of [2^(b-1), 2^b) milliseconds, b from 0 to 23.
    """

    minute = models.DateTimeField()
    queue = models.CharField(max_length=100)
    type = models.CharField(max_length=200)
    #: "created" for submitted tasks, "succeeded", or an AttemptOutcome; final failures are "dead", expiries "expired",
    #: attempts that are followed by another "retried". Two have no type: "depth", ready tasks at the minute's end, and
    #: "oldest", for how long the first of them has been waiting then, in milliseconds.
    outcome = models.CharField(max_length=20)
    count = models.BigIntegerField(default=0)
    wait_ms_sum = models.FloatField(default=0)
    run_ms_sum = models.FloatField(default=0)
    wait_histogram = models.TextField(default="[]")
    run_histogram = models.TextField(default="[]")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["minute", "queue", "type", "outcome"], name="minute_rollup_unique")
        ]


class SpanRollup(models.Model):
    """Minutes summed up over longer spans, so that a chart of a week reads hundreds of rows and not millions.

    Per span there are sums of everything (no queue, no type), of each queue (no type) and of each type (no queue).
    "depth" and "oldest" of a queue are the highest of their minutes. The rest is as in ``MinuteRollup``.
    """

    #: How long the span is: one of ``dispatcher.rollups.spans.LEVELS``.
    minutes = models.SmallIntegerField()
    start = models.DateTimeField(db_index=True)
    queue = models.CharField(max_length=100, blank=True)
    type = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=20)
    count = models.BigIntegerField(default=0)
    wait_ms_sum = models.FloatField(default=0)
    run_ms_sum = models.FloatField(default=0)
    wait_histogram = models.TextField(default="[]")
    run_histogram = models.TextField(default="[]")

    class Meta:
        constraints = [
            # In this order: whoever asks names the level and the type (or none), and wants one stretch of time.
            models.UniqueConstraint(fields=["minutes", "type", "start", "queue", "outcome"], name="span_rollup_unique")
        ]

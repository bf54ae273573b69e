"""Worker nodes and the dispatcher's own processes. Only ``dispatcher.node_registry`` writes nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dispatcher.conf import conf
from dispatcher.states import BreakerState, NodeIntent, NodeState


def _choices(words: type[NodeState | NodeIntent | BreakerState]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ")) for word in words]


def _words(words: type[NodeState | NodeIntent | BreakerState]) -> list[str]:
    return [word.value for word in words]


def digest_of(types: Mapping[str, object] | None) -> str | None:
    """Equal for nodes that advertise the same types; None if they advertise none."""
    return hashlib.sha256(_encode(types)).hexdigest()[:32] if types else None


_encode = msgspec.json.Encoder(order="deterministic").encode

#: The longest that a node may be left alone after a request to it.
LONGEST_PAUSE = timedelta(seconds=60)


class Node(models.Model):
    """A place where tasks run. ``name`` is stable; every start of its program is a new incarnation."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    url = models.CharField(_("address"), max_length=500)
    #: Random per start of the node's program; empty until it registers.
    boot_id = models.CharField(_("boot id"), max_length=64, blank=True)
    #: Counts boots; tasks carry the number of the incarnation that got them.
    incarnation = models.IntegerField(_("incarnation"), default=0)

    state = models.CharField(_("state"), max_length=10, choices=_choices(NodeState), default=NodeState.OFFLINE)
    intent = models.CharField(_("intent"), max_length=10, choices=_choices(NodeIntent), default=NodeIntent.RUN)
    intent_reason = models.CharField(_("reason"), max_length=200, blank=True)
    #: Of a drain: what is still on the node then does not wait any longer; None if it may take as long as it takes.
    drain_until = models.DateTimeField(_("drained by"), null=True, blank=True)
    #: Whether what outlasts that is handed back and runs elsewhere. Null without such a time.
    hands_back = models.BooleanField(_("hands back then"), null=True, blank=True)
    #: The node itself takes no more work.
    draining = models.BooleanField(_("drains itself"), default=False)

    slots = models.IntegerField(_("slots"), default=1)
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    #: Queue names it serves; empty means all.
    queues = models.JSONField(_("queues"), default=list, blank=True)
    #: {type: {version, description, timeout_seconds, schema, schema_error}}; null means any type. The schema is text.
    types = models.JSONField(_("task types"), null=True, blank=True)
    #: Of ``types``, see ``digest_of``: nodes that say the same have it in common, and it is read once.
    #: Null where there are none. SQLite would copy the table, without its triggers, for a column that may not be null.
    types_digest = models.CharField(max_length=32, null=True, editable=False)
    version = models.CharField(_("version"), max_length=50, blank=True)
    protocol = models.SmallIntegerField(_("protocol"), default=1)
    #: Written to the two-file tutorial: takes single tasks at POST /task and answers no status.
    is_tutorial = models.BooleanField(_("tutorial protocol"), default=False)

    created_at = models.DateTimeField(_("created"))
    registered_at = models.DateTimeField(_("last start"), null=True)
    last_seen_at = models.DateTimeField(_("last heartbeat"), null=True)
    lease_expires_at = models.DateTimeField(_("lease until"), null=True)

    #: No pushes before then (failed pushes, or the node asked for a pause).
    held_until = models.DateTimeField(_("held until"), null=True)
    #: What was wrong with the last request to it; empty once one got through.
    trouble = models.CharField(_("trouble"), max_length=200, blank=True, default="")
    push_failures = models.IntegerField(_("failed pushes in a row"), default=0)
    breaker = models.CharField(_("breaker"), max_length=10, choices=_choices(BreakerState), default=BreakerState.CLOSED)

    #: Which of its push keys requests to it are signed with: the one that it is known to have.
    push_key_version = models.IntegerField(_("push key"), default=1)

    class Meta:
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        ordering = ("name",)
        permissions = [("operate_node", _("Can drain, resume and disable nodes"))]
        constraints = [
            models.CheckConstraint(condition=Q(slots__gte=1), name="node_has_slots"),
            models.CheckConstraint(
                condition=Q(state=NodeState.OFFLINE) | Q(lease_expires_at__isnull=False), name="node_alive_has_lease"
            ),
            models.CheckConstraint(condition=Q(state__in=_words(NodeState)), name="node_state_known"),
            models.CheckConstraint(condition=Q(intent__in=_words(NodeIntent)), name="node_intent_known"),
            models.CheckConstraint(condition=Q(breaker__in=_words(BreakerState)), name="node_breaker_known"),
            models.CheckConstraint(
                condition=Q(boot_id="", incarnation=0) | Q(~Q(boot_id=""), incarnation__gte=1),
                name="node_incarnation_iff_booted",
            ),
            models.CheckConstraint(
                condition=Q(state=NodeState.OFFLINE)
                | Q(incarnation__gte=1, registered_at__isnull=False, last_seen_at__isnull=False),
                name="node_alive_has_registered",
            ),
            models.CheckConstraint(
                condition=Q(push_failures__gte=0, push_key_version__gte=1, protocol__gte=1),
                name="node_numbers_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def held_seconds(self, now: datetime) -> float:
        """How much longer the node is left alone; 0.0 if it is not.

        No pause is longer than ``LONGEST_PAUSE``: one that seems to be was set before the clock was set back.
        """
        if self.held_until is None or not timedelta() < self.held_until - now <= LONGEST_PAUSE:
            return 0.0
        return (self.held_until - now).total_seconds()

    def declared_timeout(self, task_type: str) -> float | None:
        """The run time in seconds that the node declares for tasks of the type which name none; None if it does not.

        At most what a task may ask for: a node's word must not keep a lost attempt for ever.
        """
        declared = (self.types or {}).get(task_type, {}).get("timeout_seconds")
        if not isinstance(declared, (int, float)) or declared <= 0:
            return None
        return float(min(declared, conf().max_timeout_seconds))


#: A loop of an engine is late after so many of its intervals, and not before so many seconds.
LATE_INTERVALS = 10.0
LATE_SECONDS = 15.0


class EngineProcess(models.Model):
    """A running engine, for ``doctor``, health checks and dividing nodes among engines. It renews its own row."""

    id = models.CharField(primary_key=True, max_length=32)
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    #: {loop name: {"passes": n, "interval_seconds": s, "last_pass_seconds_ago": s, "last_good_seconds_ago": s,
    #: "errors": n, "last_error": text}}
    loops = models.JSONField(default=dict)

    def late_loops(self, now: datetime) -> list[str]:
        """Names of the loops that have not finished a pass for ten times their interval, and ``LATE_SECONDS``."""
        since = (now - self.last_seen_at).total_seconds()
        return sorted(
            name
            for name, told in self.loops.items()
            if told.get("last_good_seconds_ago", 0.0) + since
            > max(LATE_SECONDS, LATE_INTERVALS * told.get("interval_seconds", 0.0))
        )


class SchedulerMemory(models.Model):
    """What the engine has learned (speeds, breakers), kept over restarts: one JSON document per name."""

    name = models.CharField(primary_key=True, max_length=50)
    body = models.JSONField(default=dict)
    updated_at = models.DateTimeField()

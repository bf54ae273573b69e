"""Queues and lanes."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dispatcher.scheduling.snapshot import DEFAULT_POLICY

DEFAULT_QUEUE = "default"


class Queue(models.Model):
    """A named line of tasks that can be paused and has a placement policy. Made by hand or by its first task."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    policy = models.CharField(_("placement policy"), max_length=30, default=DEFAULT_POLICY)
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True)
    pause_reason = models.CharField(_("reason of the pause"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=Q(paused_at__isnull=False) | Q(paused_by="", pause_reason=""), name="queue_pause_has_time"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        """Whether it hands out no tasks."""
        return self.paused_at is not None


class Lane(models.Model):
    """Tasks that are alike for placement: same queue, type and required labels.

    Rows never change and are never deleted, so every process may cache them for good.
    """

    queue = models.CharField(_("queue"), max_length=100)
    type = models.CharField(_("task type"), max_length=200)
    #: Canonical JSON object of required labels (see ``canonical_labels``).
    labels = models.TextField(_("required labels"), default="{}")

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        constraints = [models.UniqueConstraint(fields=["queue", "type", "labels"], name="lane_unique")]

    def __str__(self) -> str:
        return f"{self.queue}/{self.type}" + (f" {self.labels}" if self.labels != "{}" else "")

    @property
    def label_map(self) -> dict[str, str]:
        """The labels that a node must have."""
        labels: dict[str, str] = json.loads(self.labels)
        return labels


def canonical_labels(labels: dict[str, Any]) -> str:
    """Labels as JSON text that is equal for equal labels."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if labels else "{}"

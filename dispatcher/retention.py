"""Retention of what is not a task: the feed, roll-ups, idempotency keys, engines that are gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q

from dispatcher.conf import conf
from dispatcher.models import Change, EngineProcess, FeedCursor, IdempotencyKey, MinuteRollup
from dispatcher.rollups.folding import CURSOR

#: Rows deleted per kind and pass.
BATCH = 5000
#: An engine that has not been seen for this long is gone.
ENGINE_GONE = timedelta(hours=1)


def prune_companions(*, now: datetime) -> bool:
    """Delete one batch of each kind; True if a batch was full.

    Feed rows that the roll-ups have not passed stay, however old: they may not lose one. Rows with an actor are the
    audit trail and stay longer.
    """
    settings = conf()
    passed = FeedCursor.objects.filter(name=CURSOR).values_list("position", flat=True).first() or 0
    old_feed = Q(actor="", at__lt=now - timedelta(days=settings.keep_feed_days))
    old_audit = Q(at__lt=now - timedelta(days=settings.keep_audit_days))
    return any(
        [
            _delete(Change.objects.filter(old_feed | old_audit, id__lt=passed).order_by("id")),
            _delete(MinuteRollup.objects.filter(minute__lt=now - timedelta(days=settings.keep_rollup_days))),
            _delete(IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=settings.keep_idempotency_days))),
            _delete(EngineProcess.objects.filter(last_seen_at__lt=now - ENGINE_GONE)),
        ]
    )


def _delete(rows: models.QuerySet[Any]) -> bool:
    ids = list(rows.values_list("pk", flat=True)[:BATCH])
    rows.model.objects.filter(pk__in=ids).delete()
    return len(ids) == BATCH

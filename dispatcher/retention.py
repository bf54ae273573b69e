"""Retention of what is not a task: the feed, roll-ups, idempotency keys, engines that are gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models

from dispatcher import throttle
from dispatcher.conf import conf
from dispatcher.models import BulkJob, Change, EngineProcess, FeedCursor, IdempotencyKey, MinuteRollup, SpanRollup
from dispatcher.models.by_time import first_id_since
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
    return any(
        [
            _delete(_feed_before(now - timedelta(days=settings.keep_feed_days)).filter(actor="")),
            _delete(_feed_before(now - timedelta(days=settings.keep_audit_days))),
            _delete(MinuteRollup.objects.filter(minute__lt=now - timedelta(days=settings.keep_rollup_days))),
            _delete(SpanRollup.objects.filter(start__lt=now - timedelta(days=settings.keep_rollup_days))),
            _delete(IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=settings.keep_idempotency_days))),
            _delete(BulkJob.objects.filter(finished_at__lt=now - timedelta(days=settings.keep_audit_days))),
            throttle.prune(now=now, limit=BATCH) == BATCH,
            _delete(EngineProcess.objects.filter(last_seen_at__lt=now - ENGINE_GONE)),
        ]
    )


def _feed_before(moment: datetime) -> models.QuerySet[Change]:
    """Changes before then that the roll-ups have passed. Bounded by id: looking at times would read the whole feed."""
    passed = FeedCursor.objects.filter(name=CURSOR).values_list("position", flat=True).first() or 0
    first_kept = first_id_since(Change.objects.all(), "at", moment, newest=passed)
    return Change.objects.filter(id__lt=min(passed, first_kept), at__lt=moment).order_by("id")


def _delete(rows: models.QuerySet[Any]) -> bool:
    ids = list(rows.values_list("pk", flat=True)[:BATCH])
    rows.model.objects.filter(pk__in=ids).delete()
    return len(ids) == BATCH

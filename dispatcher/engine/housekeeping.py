"""Small loops: due tasks, roll-ups, retention."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher import lifecycle, retention
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop
from dispatcher.models import Task
from dispatcher.rollups import fold
from dispatcher.states import TaskState

STAGE_BATCH = 1000
FOLD_BATCH = 500


class Stager(Loop):
    """Queues tasks whose time has come: scheduled ones and retries. Sleeps no longer than until the next is due."""

    name = "stager"

    def __init__(self) -> None:
        super().__init__(interval=conf().stage_seconds)

    def run_once(self, now: datetime) -> bool:
        """Queue what is due; True if the batch was full."""
        due = Task.objects.filter(state=TaskState.SCHEDULED).order_by("run_at").values_list("run_at", flat=True).first()
        # A look before the write: a transaction for nothing would cost the others their turn.
        if due is not None and due <= now:
            return lifecycle.stage(now=now, limit=STAGE_BATCH) >= STAGE_BATCH
        wait = conf().stage_seconds if due is None else (due - now).total_seconds()
        self.interval = min(conf().stage_seconds, max(0.001, wait))
        return False


class Rollup(Loop):
    """Folds the feed into counters and minute roll-ups."""

    name = "rollup"

    def __init__(self) -> None:
        super().__init__(interval=conf().rollup_seconds)

    def run_once(self, now: datetime) -> bool:
        """Fold one batch of feed rows."""
        return fold(now=now, limit=FOLD_BATCH).more


class Pruner(Loop):
    """Deletes what is older than its retention, in small batches."""

    name = "pruner"

    def __init__(self) -> None:
        super().__init__(interval=conf().prune_seconds)
        self._after_id = 0

    def run_once(self, now: datetime) -> bool:
        """One batch of each kind."""
        before = now - timedelta(days=conf().keep_tasks_days)
        pruned = lifecycle.prune(finished_before=before, now=now, after_id=self._after_id)
        self._after_id = pruned.next_after_id or 0
        return retention.prune_companions(now=now) or pruned.next_after_id is not None

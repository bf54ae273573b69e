"""Works through actions on all tasks that match a query, a batch at a time, at the pace of each."""

from __future__ import annotations

from datetime import datetime

from dispatcher.bulk import work
from dispatcher.bulk.batches import next_due
from dispatcher.conf import conf
from dispatcher.engine.loop import Loop


class BulkWorker(Loop):
    """Safe to run in several engines: they take turns. Sleeps no longer than until the next batch is due."""

    name = "bulk"

    def __init__(self) -> None:
        super().__init__(interval=conf().bulk_seconds)

    def run_once(self, now: datetime) -> bool:
        """One batch of the job that has waited longest; True if it was done, and another may be due."""
        due = next_due()
        wait = conf().bulk_seconds if due is None else (due[1] - now).total_seconds()
        self.interval = min(conf().bulk_seconds, max(0.01, wait))
        return due is not None and wait <= 0 and work(due[0], now=now)

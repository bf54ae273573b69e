"""How many tasks may wait: beyond that new ones are refused, before anything of them is stored.

The counts are those of the roll-ups and of the feed beyond them, read at most once a second, plus what this process has
let in since. So several processes may together pass a limit by what they take in within a second.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping

from dispatcher import queries
from dispatcher.conf import conf

REFRESH_SECONDS = 1.0
#: Bounds of the pause that is asked for, in seconds: queues do not empty in a moment.
_SOONEST, _LATEST = 2, 10


class BacklogFull(Exception):
    """Too many tasks are waiting. ``queue``: in which queue; "": in all of them together."""

    def __init__(self, queue: str, waiting: int, most: int) -> None:
        place = f"The queue {queue!r} has" if queue else "There are"
        super().__init__(f"{place} {waiting} tasks waiting, of at most {most}; nothing was stored. Try again later.")
        self.queue = queue

    def retry_after(self) -> str:
        """The value of ``Retry-After``, spread so that those turned away do not return together."""
        return str(random.randint(_SOONEST, _LATEST))


class _Meter:
    """What is known of the waiting tasks. Guarded by its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.read_at: float | None = None
        self.waiting: Counter[str] = Counter()


_meter = _Meter()


def is_limited() -> bool:
    """Whether there is any limit."""
    return bool(conf().max_backlog or conf().max_queue_backlog)


def refresh() -> None:
    """Read the counts, unless that was done within the last second. Call outside of transactions."""
    moment = time.monotonic()
    with _meter.lock:
        if _meter.read_at is not None and moment - _meter.read_at < REFRESH_SECONDS:
            return
        # Others go on with what is known.
        _meter.read_at = moment
    waiting = queries.waiting_per_queue()
    with _meter.lock:
        _meter.waiting = waiting


def check(wanted: Mapping[str, int]) -> None:
    """Raise ``BacklogFull`` unless so many more tasks per queue may wait."""
    most, most_per_queue = conf().max_backlog, conf().max_queue_backlog
    with _meter.lock:
        total = _meter.waiting.total()
        if most and total + sum(wanted.values()) > most:
            raise BacklogFull("", total, most)
        for queue, count in wanted.items():
            if most_per_queue and _meter.waiting[queue] + count > most_per_queue:
                raise BacklogFull(queue, _meter.waiting[queue], most_per_queue)


def note(taken: Mapping[str, int]) -> None:
    """So many tasks per queue were let in."""
    with _meter.lock:
        _meter.waiting.update(taken)


def forget() -> None:
    """Empty the cache (tests roll changes back)."""
    with _meter.lock:
        _meter.read_at = None
        _meter.waiting = Counter()

"""Shapes of actions on all tasks that match a query."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class BulkPreview(TypedDict):
    """What an action would be about, counted now."""

    action: str
    #: The query in its canonical form; "" for all tasks.
    query: str
    again: bool
    #: Matching tasks that were counted: all of them if `is_exact`, else there are more.
    count: int
    is_exact: bool
    #: How many there are in all by the kept counters, where these can tell; None where they cannot.
    estimate: int | None
    #: Of those counted, the tasks that it would be done to.
    will: int
    #: The others by why they would be left: not_ended, retried, ended.
    left: dict[str, int]
    #: Those counted by their state.
    states: dict[str, int]
    #: Ids of the newest ones.
    sample: list[str]
    #: Down to which task was looked, if not through all of them.
    searched_to: str | None


class BulkRow(TypedDict):
    """One action on all tasks that match, and how far it is."""

    id: str
    #: retry, cancel
    action: str
    #: running, paused, done, cancelled, failed
    state: str
    #: In the search language; "" for all tasks.
    query: str
    #: Also tasks that were retried before.
    again: bool
    actor: str
    batch_size: int
    #: None: as fast as it goes.
    per_second: float | None
    #: Matching tasks, as counted at the start; None if there were too many to count.
    expected: int | None
    #: Of which so many were dealt with: the sum of the next three.
    handled: int
    done: int
    skipped: int
    failed: int
    #: Of those done, running tasks whose node was asked to stop them.
    asked: int
    #: From 0 to 1; None where it is not known of how many.
    fraction: float | None
    #: Tasks dealt with a second, pauses left out; None at the beginning.
    rate: float | None
    #: How long it will take at this rate, in milliseconds.
    left_ms: float | None
    created_at: datetime
    last_at: datetime | None
    paused_at: datetime | None
    paused_by: str
    finished_at: datetime | None
    #: Why the last batch did not fit; it is tried again.
    held_by: str
    #: Why it failed.
    error: str
    #: The tag of the tasks that it makes; "" if it makes none.
    tag: str


class BulkSkipped(TypedDict):
    """A task that was left as it was."""

    id: str
    #: What the database said, if it refused the task.
    detail: str


class BulkLeft(TypedDict):
    """Tasks that were left as they were, for one reason."""

    #: not_ended, retried, ended, changed, gone, refused
    reason: str
    count: int
    #: The first of them, at most 200.
    tasks: list[BulkSkipped]


class BulkDocument(TypedDict):
    """The document of the live topic ``bulk:<id>``."""

    job: BulkRow
    left: list[BulkLeft]


class BulkPage(TypedDict):
    """Bulk actions, newest first; the document of the live topic ``bulk``."""

    jobs: list[BulkRow]
    #: Where the next page begins; None if there is none.
    next: str | None

"""Progress and log lines of running attempts: what a node says on the way, which moves no task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import transaction

from dispatcher.conf import conf
from dispatcher.events import TasksLogged, TasksProgressed, TaskUnmasked, encode
from dispatcher.models import Attempt, Change, LogChunk, Task, TaskProgress
from dispatcher.models.attempt import MAX_PROGRESS_CHARS
from dispatcher.models.task import parse_task_id
from dispatcher.states import AttemptOutcome
from workers import protocol

#: The oldest that a line may claim to be, in milliseconds; some thirty years.
_OLDEST_MS = 1e12
#: What is looked at within this time of the first is one look; among so many of the newest actions it is sought.
_ONE_LOOK = timedelta(minutes=1)
_LATELY = 50

#: task id, attempt
_Key = tuple[int, int]


def record_notes(
    progress: Sequence[protocol.Progress], logs: Sequence[protocol.LogLine], *, node_id: int, now: datetime
) -> None:
    """Keep the latest progress of attempts that are this node's, and all new lines of those that are, or were."""
    if not progress and not logs:
        return
    current = _current([*progress, *logs], node_id)
    # A task has one progress, that of its current attempt: late words of an earlier one must not take its place.
    _record_progress([item for item in progress if _key(item) in current], now)
    own = current | _ended({_key(line) for line in logs} - current, node_id)
    _record_logs([line for line in logs if _key(line) in own and 1 <= line.n <= conf().max_log_lines], now)


def note_unmasked(task_id: int, *, actor: str, now: datetime) -> None:
    """Put on record that someone looks at the secrets of a task: once a minute, however many pages of it they read.

    Two requests at the same moment may both be on record; where very much is done by hand, so may others.
    """
    event = TaskUnmasked(task_id=task_id)
    audited = Change.objects.exclude(actor="").order_by("-id").values_list("kind", "actor", "body", "at")
    told = (event.kind, actor, encode(event))
    if any(row[:3] == told and row[3] > now - _ONE_LOOK for row in audited[:_LATELY]):
        return
    with transaction.atomic():
        Change.objects.append(event, now=now, actor=actor)


def _key(item: protocol.Progress | protocol.LogLine) -> _Key:
    return (parse_task_id(item.task_id) or -1, item.attempt)


def _current(items: Iterable[protocol.Progress | protocol.LogLine], node_id: int) -> set[_Key]:
    """Which of the named attempts are the latest of their task, and the node's."""
    named = {_key(item) for item in items}
    ids = {task_id for task_id, _ in named}
    return named & set(Task.objects.filter(pk__in=ids, node_id=node_id).values_list("pk", "attempt"))


def _ended(named: set[_Key], node_id: int) -> set[_Key]:
    """Which of these attempts are on record as ended ones of the node."""
    if not named:
        return set()
    ids = {task_id for task_id, _ in named}
    # Refused results are on record as well: a node that made one up must not thereby get to speak.
    ended = Attempt.objects.filter(task_id__in=ids, node_id=node_id).exclude(outcome=AttemptOutcome.SUPERSEDED)
    return named & set(ended.values_list("task_id", "number"))


def _record_progress(items: Sequence[protocol.Progress], now: datetime) -> None:
    latest = {_key(item)[0]: item for item in items}
    if not latest:
        return
    rows = [
        TaskProgress(
            task_id=task_id,
            attempt=item.attempt,
            fraction=None if item.fraction is None else min(max(item.fraction, 0.0), 1.0),
            message=_printable(item.message[:MAX_PROGRESS_CHARS]),
            at=now,
        )
        for task_id, item in latest.items()
    ]
    with transaction.atomic():
        TaskProgress.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["task"],
            update_fields=["attempt", "fraction", "message", "at"],
        )
        facts = [(row.task_id, row.attempt, row.fraction, row.message) for row in rows]
        Change.objects.append(TasksProgressed(rows=facts), now=now)


def _record_logs(lines: Sequence[protocol.LogLine], now: datetime) -> None:
    chunks: dict[_Key, list[protocol.LogLine]] = {}
    for line in lines:
        chunks.setdefault(_key(line), []).append(line)
    chunks = _without_stored(chunks)
    if not chunks:
        return
    now_ms = now.timestamp() * 1000
    rows = [
        LogChunk(
            task_id=task_id,
            attempt=attempt,
            first_n=group[0].n,
            last_n=group[-1].n,
            lines=msgspec.json.encode(
                [
                    [
                        line.n,
                        round(now_ms - max(0.0, min(line.age_ms, _OLDEST_MS))),
                        line.level,
                        line.text[: protocol.MAX_LOG_LINE_CHARS],
                    ]
                    for line in group
                ]
            ).decode(),
        )
        for (task_id, attempt), group in chunks.items()
    ]
    with transaction.atomic():
        LogChunk.objects.bulk_create(rows, ignore_conflicts=True)
        facts = [(row.task_id, row.attempt, row.first_n, row.last_n) for row in rows]
        Change.objects.append(TasksLogged(rows=facts), now=now)


def _without_stored(chunks: dict[_Key, list[protocol.LogLine]]) -> dict[_Key, list[protocol.LogLine]]:
    """The chunks without lines that came before in a chunk of the same beginning.

    A node that got no answer sends its lines again, and those written since in the same chunk: only the new ones are
    to be added, under a number of their own.
    """
    pending = dict(chunks)
    fresh: dict[_Key, list[protocol.LogLine]] = {}
    while pending:
        stored = {
            (task_id, attempt, first_n): last_n
            for task_id, attempt, first_n, last_n in LogChunk.objects.filter(
                task_id__in={task_id for task_id, _ in pending}, first_n__in={group[0].n for group in pending.values()}
            ).values_list("task_id", "attempt", "first_n", "last_n")
        }
        known = {key: group for key, group in pending.items() if (*key, group[0].n) in stored}
        fresh |= {key: group for key, group in pending.items() if key not in known}
        cut = {key: [line for line in group if line.n > stored[*key, group[0].n]] for key, group in known.items()}
        pending = {key: group for key, group in cut.items() if group}
    return fresh


def _printable(text: str) -> str:
    """Text that both databases can hold: PostgreSQL refuses NUL."""
    return text.replace("\x00", "\ufffd")

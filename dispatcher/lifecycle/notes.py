"""Progress and log lines of running attempts: what a node says on the way, which moves no task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from django.db import transaction

from dispatcher.conf import conf
from dispatcher.events import TasksLogged, TasksProgressed
from dispatcher.models import Attempt, Change, LogChunk, Task, TaskProgress
from dispatcher.models.task import parse_task_id
from workers import protocol

#: The oldest that a line may claim to be, in milliseconds; some thirty years.
_OLDEST_MS = 1e12

#: task id, attempt
_Key = tuple[int, int]


def record_notes(
    progress: Sequence[protocol.Progress], logs: Sequence[protocol.LogLine], *, node_id: int, now: datetime
) -> None:
    """Keep the latest progress and all new lines of attempts that are, or were, this node's; drop the rest."""
    if not progress and not logs:
        return
    own = _own([*progress, *logs], node_id)
    _record_progress([item for item in progress if _key(item) in own], now)
    _record_logs([line for line in logs if _key(line) in own and 1 <= line.n <= conf().max_log_lines], now)


def _key(item: protocol.Progress | protocol.LogLine) -> _Key:
    return (parse_task_id(item.task_id) or -1, item.attempt)


def _own(items: Iterable[protocol.Progress | protocol.LogLine], node_id: int) -> set[_Key]:
    """Which of the named attempts are the node's: current ones, or ended ones that are on record."""
    named = {_key(item) for item in items}
    ids = {task_id for task_id, _ in named}
    own = set(Task.objects.filter(pk__in=ids, node_id=node_id).values_list("pk", "attempt"))
    if named - own:
        own |= set(Attempt.objects.filter(task_id__in=ids, node_id=node_id).values_list("task_id", "number"))
    return named & own


def _record_progress(items: Sequence[protocol.Progress], now: datetime) -> None:
    latest = {_key(item)[0]: item for item in items}
    if not latest:
        return
    rows = [
        TaskProgress(
            task_id=task_id,
            attempt=item.attempt,
            fraction=None if item.fraction is None else min(max(item.fraction, 0.0), 1.0),
            message=_printable(item.message[:500]),
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


def _printable(text: str) -> str:
    """Text that both databases can hold: PostgreSQL refuses NUL."""
    return text.replace("\x00", "\ufffd")

"""∅ → queued | scheduled: new tasks, and operators' retries, which are new tasks."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
from django.db import IntegrityError, transaction

from dispatcher import backlog, queues
from dispatcher.conf import conf
from dispatcher.events import TaskChange, TasksChanged
from dispatcher.models import Change, IdempotencyKey, Lane, Task, TaskOrigin, TaskTag
from dispatcher.models.bulk import is_bulk_tag, tag_of
from dispatcher.models.lanes import LaneKey, is_known, lane_ids
from dispatcher.models.queue import DEFAULT_QUEUE, canonical_labels
from dispatcher.models.statements import NewTask, statements
from dispatcher.states import TERMINAL, TaskState

#: How often a batch looks for its idempotency keys. Each further look follows upon a commit by someone else with one of
#: its keys, so only as many others who send the same keys at this moment can use them up.
_MOST_LOOKS = 5
_NO_CLONE = b',"clone_of":null}'


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a submitter wants done. Already validated; None means the configured default."""

    type: str
    #: JSON text.
    payload: str = "null"
    queue: str = DEFAULT_QUEUE
    #: -100 to 100; higher runs first.
    priority: int = 0
    run_at: datetime | None = None
    timeout_seconds: float | None = None
    #: Not started by then: expired.
    expires_at: datetime | None = None
    max_attempts: int | None = None
    backoff_seconds: float | None = None
    backoff_cap_seconds: float | None = None
    #: Labels that a node must have.
    labels: dict[str, str] = {}
    affinity_key: str = ""
    tags: list[str] = []
    idempotency_key: str | None = None
    retry_of: int | None = None
    #: The task that somebody changed and submitted again as this one. The last field: see ``_digest``.
    clone_of: int | None = None


class Submitted(msgspec.Struct, frozen=True):
    """``existing``: the idempotency key was known, nothing was made."""

    task_id: int
    existing: bool = False


class IdempotencyConflict(Exception):
    """A key was used before with another task. Nothing was stored. ``indexes`` are positions in the batch."""

    def __init__(self, indexes: list[int]) -> None:
        super().__init__(f"idempotency key used before with another task, at {indexes}")
        self.indexes = indexes


def submit(specs: Sequence[TaskSpec], *, submitted_by: str, now: datetime, bulk: int | None = None) -> list[Submitted]:
    """Make a task of every spec, in one transaction, all or nothing; answers in the order of ``specs``.

    A spec whose idempotency key is known (same submitter, same content) yields the task made then. Raises
    ``IdempotencyConflict`` where the content differs, ``BacklogFull`` where too many tasks wait already.
    """
    if not specs:
        return []
    if backlog.is_limited():
        backlog.refresh()
    for _ in range(_MOST_LOOKS - 1):
        with contextlib.suppress(IntegrityError):
            return _submit(specs, submitted_by, now, bulk)
        # Someone committed one of our idempotency keys between our look and our insert: now it is there to be seen.
    return _submit(specs, submitted_by, now, bulk)


def _submit(specs: Sequence[TaskSpec], submitted_by: str, now: datetime, bulk: int | None) -> list[Submitted]:
    with transaction.atomic():
        known = _known_keys(specs, submitted_by)
        fresh = [index for index in range(len(specs)) if index not in known]
        # Only of these: who repeats what was taken is told so however full it is.
        wanted = Counter(specs[index].queue for index in fresh)
        backlog.check(wanted)
        ids = _insert([specs[index] for index in fresh], submitted_by, now, bulk)
        made = dict(zip(fresh, ids, strict=True))
        _remember_keys(specs, made, submitted_by, now)
    backlog.note(wanted)
    answers: list[Submitted] = []
    for index in range(len(specs)):
        if index in made:
            answers.append(Submitted(made[index]))
        else:
            first = known[index]
            answers.append(Submitted(made[-first - 1] if first < 0 else first, existing=True))
    return answers


class RetryResult(msgspec.Struct, frozen=True):
    """What became of the tasks that were to be retried."""

    #: Old task id → new task id.
    created: dict[int, int]
    not_finished: list[int]
    unknown: list[int]


def retry(task_ids: Sequence[int], *, actor: str, now: datetime, bulk: int | None = None) -> RetryResult:
    """Make a new task like each of these finished ones, with ``retry_of`` set. The old ones stay as they are.

    ``bulk``: the bulk action that does it; the new tasks have its tag.
    """
    with transaction.atomic():
        found = {task.pk: task for task in Task.objects.filter(id__in=task_ids).select_related("lane")}
        again = [found[pk] for pk in dict.fromkeys(task_ids) if pk in found and found[pk].state in TERMINAL]
        made = submit([_spec_of(task, bulk) for task in again], submitted_by=actor, now=now, bulk=bulk)
    return RetryResult(
        created={task.pk: new.task_id for task, new in zip(again, made, strict=True)},
        not_finished=[pk for pk, task in found.items() if task.state not in TERMINAL],
        unknown=[pk for pk in task_ids if pk not in found],
    )


def _spec_of(task: Task, bulk: int | None) -> TaskSpec:
    lane: Lane = task.lane
    # The tag of an earlier bulk action is that of the tasks which it made.
    tags = [tag for tag in task.tag_list if not is_bulk_tag(tag)]
    return TaskSpec(
        type=lane.type,
        payload=task.payload,
        queue=lane.queue,
        priority=task.priority,
        timeout_seconds=task.timeout_seconds,
        max_attempts=task.max_attempts,
        backoff_seconds=task.backoff_seconds,
        backoff_cap_seconds=task.backoff_cap_seconds,
        labels=lane.label_map,
        affinity_key=task.affinity_key,
        tags=tags if bulk is None else [*tags, tag_of(bulk)],
        retry_of=task.pk,
    )


def _insert(specs: Sequence[TaskSpec], submitted_by: str, now: datetime, bulk: int | None) -> list[int]:
    if not specs:
        return []
    keys = [LaneKey(spec.queue, spec.type, canonical_labels(spec.labels)) for spec in specs]
    fresh = {key.queue for key in keys if not is_known(key)}
    lanes = lane_ids(keys)
    queues.ensure(fresh, now=now, actor=submitted_by)
    ids = list(statements().allocate_ids(len(specs)))
    rows = [
        _row(task_id, lanes[key], spec, submitted_by, now) for task_id, key, spec in zip(ids, keys, specs, strict=True)
    ]
    statements().insert_tasks(rows)
    TaskTag.objects.bulk_create(
        TaskTag(task_id=task_id, tag=tag) for task_id, spec in zip(ids, specs, strict=True) for tag in set(spec.tags)
    )
    if clones := [(pk, spec.clone_of) for pk, spec in zip(ids, specs, strict=True) if spec.clone_of is not None]:
        TaskOrigin.objects.bulk_create(TaskOrigin(task_id=pk, clone_of=origin) for pk, origin in clones)
    changes = [TaskChange(row.id, None, row.state, 0, row.lane_id) for row in rows]
    # Of a bulk action it is on record who started it: its batches would bury what else is in the audit trail.
    actor = submitted_by if specs[0].retry_of and bulk is None else ""
    Change.objects.append(TasksChanged(rows=changes, bulk=bulk), now=now, actor=actor)
    return ids


def _row(task_id: int, lane_id: int, spec: TaskSpec, submitted_by: str, now: datetime) -> NewTask:
    later = spec.run_at is not None and spec.run_at > now
    settings = conf()
    return NewTask(
        id=task_id,
        lane_id=lane_id,
        state=TaskState.SCHEDULED.value if later else TaskState.QUEUED.value,
        priority=spec.priority,
        max_attempts=settings.default_max_attempts if spec.max_attempts is None else spec.max_attempts,
        created_at=now,
        run_at=spec.run_at if later else None,
        queued_at=None if later else now,
        expires_at=spec.expires_at,
        timeout_seconds=spec.timeout_seconds,
        backoff_seconds=settings.default_backoff_seconds if spec.backoff_seconds is None else spec.backoff_seconds,
        backoff_cap_seconds=(
            settings.default_backoff_cap_seconds if spec.backoff_cap_seconds is None else spec.backoff_cap_seconds
        ),
        affinity_key=spec.affinity_key,
        tags=msgspec.json.encode(spec.tags).decode() if spec.tags else "[]",
        submitted_by=submitted_by,
        retry_of=spec.retry_of,
        payload=spec.payload,
    )


def _known_keys(specs: Sequence[TaskSpec], submitted_by: str) -> dict[int, int]:
    """Index → id of the task made earlier with its key; or -(index + 1) of the first in this batch with that key."""
    wanted = {index: _full_key(submitted_by, spec) for index, spec in enumerate(specs) if spec.idempotency_key}
    if not wanted:
        return {}
    stored = IdempotencyKey.objects.in_bulk(set(wanted.values()))
    known: dict[int, int] = {}
    first_with: dict[str, int] = {}
    conflicts: list[int] = []
    for index, key in wanted.items():
        before = stored.get(key)
        if before is not None:
            known[index] = before.task_id
            same = before.digest == _digest(specs[index])
        elif key in first_with:
            known[index] = -(first_with[key] + 1)
            same = _digest(specs[first_with[key]]) == _digest(specs[index])
        else:
            first_with[key] = index
            same = True
        if not same:
            conflicts.append(index)
    if conflicts:
        raise IdempotencyConflict(conflicts)
    return known


def _remember_keys(specs: Sequence[TaskSpec], made: Mapping[int, int], submitted_by: str, now: datetime) -> None:
    rows = [
        IdempotencyKey(
            key=_full_key(submitted_by, specs[index]), digest=_digest(specs[index]), task_id=task_id, created_at=now
        )
        for index, task_id in made.items()
        if specs[index].idempotency_key
    ]
    if rows:
        # Sorted: two that insert the same keys in different orders would wait for each other.
        IdempotencyKey.objects.bulk_create(sorted(rows, key=attrgetter("key")))


def _full_key(submitted_by: str, spec: TaskSpec) -> str:
    # With the length in front, no two pairs of submitter and key look the same.
    return f"{len(submitted_by)}:{submitted_by}:{spec.idempotency_key}"


def _digest(spec: TaskSpec) -> str:
    # Without the times: a delay given in seconds becomes another moment each time the same request is sent.
    timeless = msgspec.structs.replace(spec, run_at=None, expires_at=None)
    # What is no clone has the digest that it had before there were clones: keys outlive an upgrade.
    text = msgspec.json.encode(timeless)
    return hashlib.sha256(text.removesuffix(_NO_CLONE) + b"}" * text.endswith(_NO_CLONE)).hexdigest()

"""Fills an empty database with tasks of the last week, as many as asked for, and all that goes with them.

Rows are written past the lifecycle, but past none of the database's own rules. The same number makes the same rows.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.utils import timezone

from dispatcher import events
from dispatcher.models import (
    Attempt,
    Change,
    EngineProcess,
    FeedCursor,
    Lane,
    LogChunk,
    MinuteRollup,
    Node,
    Queue,
    StateCount,
    Task,
    TaskTag,
)
from dispatcher.models.feed_reader import latest_position
from dispatcher.models.node import digest_of
from dispatcher.rollups import histogram, spans
from dispatcher.rollups.folding import CURSOR
from dispatcher.states import ACTIVE, TERMINAL, AttemptOutcome, NodeState, TaskState

BATCH = 2000
WEEK = timedelta(days=7)
QUEUES = ("default", "cpu", "gpu", "mail", "reports", "imports", "nightly", "low")
TYPES = ("render", "fetch", "resize", "send_mail", "sync_account", "build_report")
NUM_NODES = 24
#: Of a thousand tasks.
SHARES = {
    TaskState.SUCCEEDED: 969,
    TaskState.FAILED: 14,
    TaskState.CANCELLED: 8,
    TaskState.EXPIRED: 2,
    TaskState.QUEUED: 5,
    TaskState.SCHEDULED: 2,
}
NUM_RUNNING = 96
ERRORS = [
    json.dumps({"type": kind, "message": f"{words} (case {case})", "traceback": f"Traceback …\n{kind}: {words}\n" * 8})
    for kind, words in (
        ("TimeoutError", "upstream did not answer in 10 s"),
        ("ConnectionError", "api.example.org refused the connection"),
        ("ValueError", "unknown currency 'XQX'"),
    )
    for case in range(10)
]


T = TypeVar("T")


class World(NamedTuple):
    """What tasks refer to."""

    lanes: list[Lane]
    nodes: list[Node]
    now: datetime


def make_history(num_tasks: int) -> None:
    """Make ``num_tasks`` tasks; says on stderr how far it is."""
    dice, now = random.Random(num_tasks), timezone.now()
    world = World(_lanes(now), _nodes(now), now)
    EngineProcess.objects.create(id="engine", host="localhost", pid=1, started_at=now - WEEK, last_seen_at=now)
    states = _states(dice, num_tasks)
    counts: Counter[tuple[int, int]] = Counter()
    rows = (_task(dice, world, number, num_tasks, state) for number, state in enumerate(states, 1))
    for done, batch in enumerate(_batches(rows), 1):
        made = Task.objects.bulk_create(batch)
        counts.update((task.lane_id, _counted_as(task.state)) for task in made)
        _companions(dice, made)
        if done % 50 == 0:
            print(f"{done * BATCH:,} tasks", file=sys.stderr, flush=True)
    StateCount.objects.bulk_create(
        StateCount(lane_id=lane, state=state, count=count) for (lane, state), count in counts.items()
    )
    _rollups(dice, world, num_tasks)
    _actions(world)
    # What the counters say is what the feed said up to here.
    FeedCursor.objects.update_or_create(name=CURSOR, defaults={"position": latest_position()})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _lanes(now: datetime) -> list[Lane]:
    Queue.objects.bulk_create((Queue(name=name, created_at=now) for name in QUEUES), ignore_conflicts=True)
    return Lane.objects.bulk_create(Lane(queue=queue, type=kind) for queue in QUEUES for kind in TYPES)


def _nodes(now: datetime) -> list[Node]:
    types = {kind: {"version": "1.4.0", "description": f"{kind} something"} for kind in TYPES}
    return Node.objects.bulk_create(
        Node(
            name=f"w-{number:02}",
            url=f"http://10.0.0.{number}:9000",
            boot_id=f"boot-{number}",
            incarnation=1,
            state=NodeState.ONLINE,
            slots=8,
            types=types,
            types_digest=digest_of(types),
            labels={"zone": f"z{number % 3}"},
            version="1.4.0",
            created_at=now - WEEK,
            registered_at=now - WEEK,
            last_seen_at=now,
            lease_expires_at=now + timedelta(days=1),
        )
        for number in range(1, NUM_NODES + 1)
    )


def _states(dice: random.Random, num_tasks: int) -> Iterator[TaskState]:
    """The states in order of age: what waits or runs is among the newest tenth."""
    ended = {state: share for state, share in SHARES.items() if state in TERMINAL}
    fresh = [TaskState.RUNNING] * NUM_RUNNING
    for state in sorted(SHARES.keys() - ended.keys()):
        fresh += [state] * (SHARES[state] * num_tasks // 1000)
    fresh += dice.choices([*ended], [*ended.values()], k=num_tasks // 10)
    dice.shuffle(fresh)
    for _ in range(num_tasks - len(fresh)):
        yield from dice.choices([*ended], [*ended.values()])
    yield from fresh


def _task(dice: random.Random, world: World, number: int, total: int, state: TaskState) -> Task:
    """A task that was made the more lately the higher its number is."""
    created = world.now - WEEK * (1 - number / total) ** 2
    task = Task(
        lane=dice.choice(world.lanes),
        state=state,
        priority=dice.choice((0, 0, 0, 5)),
        created_at=created,
        tags=json.dumps([f"customer-{number % 500}"]) if number % 10 == 0 else "[]",
        submitted_by=f"service-{number % 7}",
        payload=json.dumps({"user": {"id": number % 5000}, "path": f"/data/{number}.json", "size": number % 1000}),
    )
    if state == TaskState.SCHEDULED:
        task.run_at = world.now + timedelta(minutes=dice.randint(1, 600))
    else:
        task.queued_at = created
    if state == TaskState.EXPIRED:
        task.expires_at = task.finished_at = created + timedelta(minutes=5)
    elif state == TaskState.CANCELLED:
        task.cancel_requested_at = task.finished_at = created + timedelta(seconds=30)
    elif state not in (TaskState.SCHEDULED, TaskState.QUEUED):
        _run(dice, world, task, number)
    return task


def _run(dice: random.Random, world: World, task: Task, number: int) -> None:
    node, created = dice.choice(world.nodes), task.created_at
    task.attempt = 3 if task.state == TaskState.FAILED else 1
    task.node, task.incarnation = node, node.incarnation
    task.dispatched_at = created + timedelta(milliseconds=dice.randint(2, 4000))
    task.started_at = task.dispatched_at + timedelta(milliseconds=3)
    task.attempt_deadline = world.now + timedelta(hours=1)
    if task.state in TERMINAL:
        task.finished_at = task.started_at + timedelta(milliseconds=dice.lognormvariate(5, 1.5))
    if task.state == TaskState.SUCCEEDED:
        task.result = json.dumps({"rows": number % 1000})
    elif task.state == TaskState.FAILED:
        task.error = dice.choice(ERRORS)


def _counted_as(state: int) -> int:
    return TaskState.RUNNING.value if state in {one.value for one in ACTIVE} else state


def _companions(dice: random.Random, tasks: list[Task]) -> None:
    """Tags, the attempts before the last of what failed, and the log of some."""
    TaskTag.objects.bulk_create(TaskTag(task=task, tag=tag) for task in tasks for tag in task.tag_list)
    failed = [task for task in tasks if task.state == TaskState.FAILED]
    Attempt.objects.bulk_create(
        Attempt(
            task=task,
            number=number,
            node=task.node,
            outcome=AttemptOutcome.FAILED,
            queued_at=task.queued_at,
            dispatched_at=task.dispatched_at,
            started_at=task.started_at,
            ended_at=task.finished_at,
            error=task.error,
        )
        for task in failed
        for number in (1, 2, 3)
    )
    LogChunk.objects.bulk_create(
        LogChunk(task=task, attempt=task.attempt, first_n=1, last_n=50, lines=_lines(dice, task.started_at))
        for task in failed
    )


def _lines(dice: random.Random, start: Any) -> str:
    at = int(start.timestamp() * 1000)
    return json.dumps(
        [[n, at + n * 10, dice.choice(("info", "info", "error")), f"step {n} of 50"] for n in range(1, 51)]
    )


def _rollups(dice: random.Random, world: World, num_tasks: int) -> None:
    """A day of minutes for every queue and type, and the depths of the last hour."""
    start = world.now.replace(second=0, microsecond=0)
    minutes = [start - timedelta(minutes=back) for back in range(24 * 60)]
    per_row = max(1, num_tasks // (len(minutes) * len(world.lanes)))
    rows = (
        MinuteRollup(
            minute=minute,
            queue=lane.queue,
            type=lane.type,
            outcome=word,
            count=count,
            wait_histogram=_spread(dice, count),
            run_histogram=_spread(dice, count),
        )
        for minute in minutes
        for lane in world.lanes
        for word, count in (("created", per_row), ("succeeded", per_row), ("dead", dice.randint(0, 1)))
        if count
    )
    for batch in _batches(rows):
        MinuteRollup.objects.bulk_create(batch)
    MinuteRollup.objects.bulk_create(
        MinuteRollup(minute=minute, queue=queue, type="", outcome="depth", count=dice.randint(0, 900))
        for minute in minutes[:60]
        for queue in QUEUES
    )
    # As the engine does it, a little at a time.
    while spans.follow({}, world.now):
        pass


def _spread(dice: random.Random, count: int) -> str:
    return histogram.encode(histogram.histogram(dice.lognormvariate(5, 1.5) for _ in range(min(count, 20))))


def _actions(world: World) -> None:
    """Ten thousand rows of the audit trail."""
    rows = (
        Change(
            at=world.now - timedelta(minutes=10_000 - number),
            kind=events.QueuePaused.kind,
            actor=f"person-{number % 40}",
            body=events.encode(events.QueuePaused(queue=QUEUES[number % len(QUEUES)], reason="a reason")),
        )
        for number in range(10_000)
    )
    for batch in _batches(rows):
        Change.objects.bulk_create(batch)


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        yield batch

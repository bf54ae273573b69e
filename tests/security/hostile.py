"""What somebody would write into every field that takes text, in the hope that a page takes it for code.

The rows are made past all that refuses such text at the doors: what shows it has to be safe by itself.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType

from dispatcher import credentials, events
from dispatcher.models import BulkSkip, BulkTally, Change, LogChunk, Node, Queue, Task
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState
from tests.factories import (
    make_attempt,
    make_bulk_job,
    make_change,
    make_engine,
    make_logs,
    make_node,
    make_progress,
    make_queue,
    make_task,
    make_user,
    make_view,
    tell,
)

#: Leaves an attribute, then makes an element that runs code. Without a slash: it has to fit into an address as a name.
NAME = "'\"><img src=x onerror=pwned=1>{{12345679*9}}"
#: Leaves a script, too. Fits into the shortest column.
SHORT = "'\"></script><svg onload=pwned=1>{{12345679*9}}"
#: Markup of every kind, addresses that run code, what templates and template strings would work out.
LONG = (
    SHORT + "<script>pwned=1</script><!--</title></textarea></style><a href=javascript:pwned=1>${12345679*9}"
    "{% load x %}&lt;b&gt;javascript:pwned=1"
)
ADDRESS = "javascript:pwned=1//" + NAME
#: Signs that are not seen, that turn the direction of text, that terminals obey, that spreadsheets work out.
UNSEEN = "\u202eright to left\u200b\u2066\ufeff\x1b[31mred\x07\u2028\ufffd"
WORD = "w" * 100_000
TEXT = f"{LONG}{UNSEEN} =cmd|'/C calc'!A0"
#: What a template would make of it.
WORKED_OUT = "111111111"
#: What is left of any of them on a page that shows it.
TRACE = "pwned=1"
PASSWORD = "sesam-9-öffne"

_DATA = {LONG: [LONG, {SHORT: UNSEEN}], "address": ADDRESS, "escaped": "\u0000\u2028"}
_JSON, _WORDY = json.dumps(_DATA), json.dumps(_DATA | {"word": WORD})


def now() -> datetime:
    return datetime.now(UTC)


def failure(mark: str = "", word: str = "") -> str:
    return json.dumps({"type": mark + LONG, "message": f"{mark}{TEXT} {word}", "traceback": mark + TEXT})


def make_world() -> dict[str, str]:
    """Rows of every kind with such text in every field that holds text; what addresses have to name of them."""
    at = now()
    make_engine(now=at)
    user = make_user(f"root{NAME}", password=PASSWORD, is_staff=True, is_superuser=True, first_name=LONG[:150],
                     last_name=LONG[:150], email=f"{SHORT}@example.org")  # fmt: skip
    group = Group.objects.create(name=LONG[:150])
    user.groups.add(group)
    node = _node(NAME, at)
    queue = make_queue(NAME, now=at, description=LONG, paused_at=at, paused_by=LONG[:150], pause_reason=LONG)
    tasks = _tasks(node, at)
    attempt = make_attempt(tasks["failed"], node=node, now=at, error=failure())
    change = _changes(node, user, at)
    token = credentials.issue_api_token(user=user, label=SHORT, actor=LONG[:150], now=at)
    credentials.issue_enrolment_token(label=LONG[:100], actor=LONG[:150], now=at)
    for thing in (user, group, queue):
        kind = ContentType.objects.get_for_model(thing)
        LogEntry.objects.create(user=user, content_type=kind, object_id=str(thing.pk), object_repr=LONG[:200],
                                action_flag=CHANGE, change_message=LONG)  # fmt: skip
    credential = credentials.find(token)
    assert credential is not None
    job = make_bulk_job(state="failed", now=at, actor=LONG[:150], query=LONG, error=LONG[:300])
    BulkTally.objects.create(job=job, reason="refused", count=1)
    BulkSkip.objects.create(job=job, reason="refused", task_id=tasks["failed"].pk, detail=LONG[:300])
    view = make_view(user, name=LONG[:80], shared=True, q="state:failed", now=at)
    objects = {"view": view, "node": node,
               "queue": queue, "attempt": attempt, "change": change, "credential": credential,
               "bulk": job, "user": user, "group": group, **tasks}  # fmt: skip
    return {name: str(made.pk) for name, made in objects.items()} | {"node_name": NAME, "username": user.username}


def _node(name: str, at: datetime) -> Node:
    types = {LONG[:150]: {"version": LONG, "description": TEXT, "payload": {LONG: LONG}}}
    return make_node(
        name, now=at, url=ADDRESS, boot_id=SHORT, version=SHORT, labels={LONG: LONG}, queues=[NAME], types=types,
        intent=NodeIntent.DRAIN, intent_reason=LONG, trouble=LONG, breaker=BreakerState.OPEN, push_failures=3,
    )  # fmt: skip


def _tasks(node: Node, at: datetime) -> dict[str, Task]:
    shared: dict[str, Any] = {
        "queue": NAME, "task_type": LONG, "tags": [SHORT, LONG[:100]], "payload": _JSON, "affinity_key": LONG,
        "submitted_by": LONG[:150], "now": at,
    }  # fmt: skip
    made = {
        "queued": make_task(**shared),
        "failed": make_task(
            state=TaskState.FAILED, node=node, error=failure(word=WORD), **{**shared, "payload": _WORDY}
        ),
        "succeeded": make_task(state=TaskState.SUCCEEDED, node=node, result=_WORDY, **shared),
        "running": make_task(state=TaskState.RUNNING, node=node, **shared),
    }
    for name in ("failed", "running"):
        make_logs(made[name], [TEXT, "", UNSEEN + LONG], now=at)
    make_progress(made["running"], 0.5, LONG, now=at)
    ms = round(at.timestamp() * 1000)
    LogChunk.objects.create(
        task=made["failed"], attempt=2, first_n=1, last_n=1, lines=json.dumps([[1, ms, LONG, LONG]])
    )
    return made


def _changes(node: Node, user: Any, at: datetime) -> Change:
    actor = user.username
    make_change(events.QueuePaused(queue=NAME, reason=LONG), at=at, actor=actor)
    make_change(events.CredentialIssued(credential_kind=SHORT, prefix=SHORT, label=LONG), at=at, actor=LONG[:150])
    Change.objects.create(at=at, kind=f"new.{SHORT}"[:40], actor=actor, body=json.dumps({LONG: TEXT}))
    return make_change(events.NodeDraining(node_id=node.pk, name=NAME, reason=LONG), at=at, actor=actor)


def make_wave(world: dict[str, str], number: int) -> str:
    """Let something happen to everything that a page shows; the mark that the new texts begin with."""
    mark, at = f"wave{number} ", now()
    node = Node.objects.get(pk=world["node"])
    text = mark + LONG[:150]
    Node.objects.filter(pk=node.pk).update(intent_reason=text, version=mark + NAME, labels={mark + LONG: LONG})
    make_change(events.NodeDraining(node_id=node.pk, name=NAME, reason=text), at=at)
    other = _node(mark + NAME, at)
    make_change(events.NodeRegistered(node_id=other.pk, name=other.name), at=at)
    Queue.objects.filter(pk=world["queue"]).update(pause_reason=text, paused_by=mark + NAME, description=text)
    make_change(events.QueuePaused(queue=NAME, reason=text), at=at)
    make_queue(mark + NAME, now=at, description=text)
    make_change(events.QueueCreated(queue=mark + NAME), at=at)
    make_task(state=TaskState.FAILED, node=node, queue=NAME, task_type=text, error=failure(mark), now=at)
    make_task(state=TaskState.RUNNING, node=node, queue=NAME, task_type=text, now=at)
    make_task(queue=mark + NAME, task_type=text, now=at)
    running = Task.objects.get(pk=world["running"])
    make_logs(running, [mark + TEXT], first_n=10 * number, now=at)
    make_progress(running, 0.5, mark + LONG, now=at)
    return mark


def end_running(world: dict[str, str], mark: str) -> None:
    """Fail the task that runs."""
    at = now()
    task = Task.objects.get(pk=world["running"])
    Task.objects.filter(pk=task.pk).update(
        state=TaskState.FAILED.value, finished_at=at + timedelta(seconds=1), error=failure(mark)
    )
    task.refresh_from_db()
    make_attempt(task, node=task.node, now=at, error=failure(mark))
    tell(task, TaskState.RUNNING, at=at, outcome="failed", wait_ms=5.0, run_ms=20.0)


__all__ = ["LONG", "NAME", "PASSWORD", "SHORT", "TEXT", "TRACE", "UNSEEN", "NodeState", "end_running", "make_wave",
           "make_world"]  # fmt: skip

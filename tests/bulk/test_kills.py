"""Whatever is killed, and whenever: each task is dealt with once, and the counts are true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from dispatcher import bulk, faults
from dispatcher.bulk import batches
from dispatcher.models import BulkJob, Task
from dispatcher.models.bulk import BulkAction
from dispatcher.queries import TaskFilters
from dispatcher.states import TaskState
from tests.architecture.sources import ROOT
from tests.factories import make_task

pytestmark = pytest.mark.django_db(transaction=True)

#: An engine's loop that kills itself, as the machine would, in its second batch: right after one
#: of the functions that a batch consists of.
DYING = """
import os, signal, sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from django.db import transaction
from django.utils import timezone
from dispatcher import lifecycle
from dispatcher.bulk import batches
from dispatcher.engine.bulk_worker import BulkWorker
owner, name = {
    "after the tasks": (lifecycle, "retry"), "after the counts": (batches, "_record"),
    "before the commit": (batches, "_move"), "after the commit": (batches, "_do"),
}[sys.argv[2]]
whole, calls = getattr(owner, name), []
def dying(*args, **fields):
    done = whole(*args, **fields)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(owner, name, dying)
loop = BulkWorker()
while loop.run_once(timezone.now()):
    pass
"""
COMMITTED = {"after the tasks": 4, "after the counts": 4, "before the commit": 4, "after the commit": 8}


def begin(count: int) -> tuple[list[int], BulkJob]:
    tasks = [make_task(state=TaskState.FAILED, feed=False).pk for _ in range(count)]
    # One that was retried before, in the first batch: what is left is counted once as well.
    make_task(state=TaskState.QUEUED, retry_of=tasks[-1], feed=False)
    request = bulk.BulkRequest(
        action=BulkAction.RETRY, filters=TaskFilters.parse({"state": "failed"}), batch_size=4, per_second=None
    )
    return tasks, bulk.start(request, actor="olga", now=timezone.now())[0]


def finish(job: BulkJob) -> BulkJob:
    while bulk.work(job.pk, now=timezone.now()):
        pass
    job.refresh_from_db()
    return job


def retried() -> list[int]:
    return sorted(Task.objects.exclude(retry_of=None).values_list("retry_of", flat=True))


@pytest.mark.parametrize("moment", COMMITTED)
def test_an_engine_that_is_killed_in_a_batch_has_retried_each_task_once(moment: str) -> None:
    tasks, job = begin(14)
    name = str(connection.settings_dict["NAME"])
    died = subprocess.run(
        [sys.executable, "-c", DYING, name, moment], cwd=ROOT, env=os.environ, timeout=120, check=False
    )
    assert died.returncode == -signal.SIGKILL
    job.refresh_from_db()
    assert (job.state, job.handled) == ("running", COMMITTED[moment])
    job = finish(job)
    assert retried() == tasks
    assert (job.state, job.done, job.skipped, job.handled) == ("done", 13, 1, 14)


def test_engines_at_once_retry_each_task_once_also_of_two_jobs() -> None:
    tasks, first = begin(40)
    request = bulk.BulkRequest(
        action=BulkAction.RETRY, filters=TaskFilters.parse({"state": "failed"}), batch_size=3, per_second=None
    )
    second, _ = bulk.start(request, actor="otto", now=timezone.now())
    problems: list[BaseException] = []

    def engine() -> None:
        try:
            for _ in range(400):
                for job in (first, second):
                    try:
                        bulk.work(job.pk, now=timezone.now())
                    except DatabaseError as error:
                        # As the loop takes it: the database was busy, and nothing was changed.
                        if not faults.outage(error):
                            raise
                if not BulkJob.objects.filter(finished_at=None).exists():
                    return
        except BaseException as error:  # noqa: BLE001 - told below
            problems.append(error)
        finally:
            connections.close_all()

    engines = [threading.Thread(target=engine) for _ in range(3)]
    for each in engines:
        each.start()
    for each in engines:
        each.join(120)
    assert problems == []
    first, second = finish(first), finish(second)
    assert retried() == tasks
    assert (first.handled, second.handled, first.done + second.done) == (40, 40, 39)


def test_a_stop_waits_for_the_batch_that_is_being_done_and_nothing_is_done_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, job = begin(12)
    in_batch, go_on = threading.Event(), threading.Event()
    move = batches._move

    def slow(*args: Any) -> None:
        in_batch.set()
        assert go_on.wait(60)
        move(*args)

    monkeypatch.setattr(batches, "_move", slow)

    def engine() -> None:
        try:
            while bulk.work(job.pk, now=timezone.now()):
                pass
        finally:
            connections.close_all()

    def stop() -> None:
        try:
            bulk.cancel(job.pk, actor="otto", now=timezone.now())
        finally:
            connections.close_all()

    working, stopping = threading.Thread(target=engine), threading.Thread(target=stop)
    working.start()
    assert in_batch.wait(60)
    stopping.start()
    go_on.set()
    working.join(60)
    stopping.join(60)
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert len(retried()) == job.done + 1
    assert bulk.work(job.pk, now=timezone.now()) is False

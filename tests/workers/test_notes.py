"""What running tasks say while nobody can take it: bounded, the newest first to be kept."""

from __future__ import annotations

import pytest

from tests.workers.signed import a_task
from workers import notes as module
from workers.context import TaskContext
from workers.executor.job import Job
from workers.notes import Notes
from workers.registry import TaskType
from workers.signature import Binding


def a_job(number: int) -> Job:
    kind = TaskType(name="t", handler=print, binding=Binding(lambda *_: None, None))
    return Job(a_task("t", task_id=str(number)), kind, Notes())


def test_starts_and_progress_that_cannot_be_sent_are_bounded_and_the_oldest_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING_NOTES", 10)
    notes = Notes()
    for number in range(25):
        job = a_job(number)
        notes.started(job)
        notes.progress(TaskContext(job.task_id, 1, 1, notes), number / 25, "on")
    started, progress, _ = notes.take(1.0)
    newest = [str(number) for number in range(15, 25)]
    assert [note.task_id for note in started] == newest
    assert [note.task_id for note in progress] == newest
    for number in range(25, 30):
        notes.progress(TaskContext(str(number), 1, 1, notes), 0.5, "on")
    notes.put_back(started, progress, [], now=1.0, due_at=2.0)
    started, progress, _ = notes.take(2.0)
    assert [note.task_id for note in started] == newest
    assert [note.task_id for note in progress] == [str(number) for number in range(20, 30)]


def test_newer_progress_of_an_attempt_stands_when_older_is_put_back() -> None:
    notes = Notes()
    context = TaskContext("1", 1, 1, notes)
    notes.progress(context, 0.1, "old")
    _, progress, _ = notes.take(1.0)
    notes.progress(context, 0.9, "new")
    notes.put_back([], progress, [], now=1.0, due_at=2.0)
    assert [note.message for note in notes.take(2.0)[1]] == ["new"]

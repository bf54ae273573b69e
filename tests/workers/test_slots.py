"""The slots against runners that break their word."""

from __future__ import annotations

import queue
import time

import msgspec
import pytest

from workers.executor.job import Job, Runner
from workers.executor.slots import SlotPool
from workers.notes import Notes
from workers.protocol import PushTask, TaskResult
from workers.registry import Registry, task


class BrokenRunner:
    """Raises, as no runner should."""

    def run(self, job: Job) -> TaskResult:
        raise OSError(24, "Too many open files")

    def kill(self, job: Job) -> bool:
        return False

    def close(self) -> None:
        pass


class PromptRunner(BrokenRunner):
    """Succeeds at once."""

    def run(self, job: Job) -> TaskResult:
        return TaskResult(task_id=job.task_id, attempt=job.attempt, outcome="succeeded")


def a_job(task_id: str = "1") -> Job:
    registry = Registry()
    task(name="t", registry=registry)(lambda: None)
    return Job(PushTask(task_id=task_id, attempt=1, type="t", payload=msgspec.Raw(b"{}")), registry.types["t"], Notes())


def a_pool(runner: Runner, ended: queue.SimpleQueue[TaskResult]) -> SlotPool:
    return SlotPool(slots=1, runner_of=lambda _: runner, on_end=lambda _, r: ended.put(r), on_started=lambda _: None)


def test_no_job_is_started_after_the_time_until_which_jobs_may_start() -> None:
    ended: queue.SimpleQueue[TaskResult] = queue.SimpleQueue()
    pool = a_pool(PromptRunner(), ended)
    pool.start_until(time.monotonic())
    pool.start()
    waiting, given_to_others = a_job("1"), a_job("2")
    pool.submit([given_to_others, waiting])
    pool.ramp()
    with pytest.raises(queue.Empty):
        ended.get(timeout=0.2)
    pool.stop(given_to_others, "superseded", now=time.monotonic())
    assert ended.get(timeout=10).task_id == "2"
    pool.start_until(time.monotonic() + 60)
    assert ended.get(timeout=10).outcome == "succeeded"
    pool.close()
    assert given_to_others.started_at == 0.0


def test_a_runner_that_raises_costs_the_attempt_and_not_the_slot() -> None:
    jobs = [a_job(str(n)) for n in range(2)]
    ended: queue.SimpleQueue[TaskResult] = queue.SimpleQueue()
    pool = a_pool(BrokenRunner(), ended)
    pool.start()
    pool.submit(jobs)
    results = [ended.get(timeout=10) for _ in jobs]
    pool.close()
    assert [(r.task_id, r.outcome) for r in results] == [("0", "failed"), ("1", "failed")]
    assert all("Too many open files" in r.error.message for r in results if r.error is not None)

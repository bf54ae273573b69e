"""The slots against runners that break their word."""

from __future__ import annotations

import queue

import msgspec

from workers.executor.job import Job
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


def test_a_runner_that_raises_costs_the_attempt_and_not_the_slot() -> None:
    registry = Registry()
    task(name="t", registry=registry)(lambda: None)
    jobs = [
        Job(PushTask(task_id=str(n), attempt=1, type="t", payload=msgspec.Raw(b"{}")), registry.types["t"], Notes())
        for n in range(2)
    ]
    ended: queue.SimpleQueue[TaskResult] = queue.SimpleQueue()
    pool = SlotPool(
        slots=1, runner_of=lambda _: BrokenRunner(), on_end=lambda _, r: ended.put(r), on_started=lambda _: None
    )
    pool.start()
    pool.submit(jobs)
    results = [ended.get(timeout=10) for _ in jobs]
    pool.close()
    assert [(r.task_id, r.outcome) for r in results] == [("0", "failed"), ("1", "failed")]
    assert all("Too many open files" in r.error.message for r in results if r.error is not None)

"""The loop base: starting, stopping, waking, and passes that fail."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from dispatcher.engine.loop import Loop
from dispatcher.engine.supervisor import Engine
from tests.launch.programs import eventually

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 30


class Counting(Loop):
    """Counts its passes; ``results`` says what each returns (an exception is raised), False when used up."""

    name = "counting"

    def __init__(self, *results: bool | Exception, interval: float = 60.0) -> None:
        super().__init__(interval=interval)
        self.results = list(results)
        self.passed = threading.Semaphore(0)
        self.closed = threading.Event()

    def run_once(self, now: datetime) -> bool:
        try:
            result = self.results.pop(0) if self.results else False
            if isinstance(result, Exception):
                raise result
            return result
        finally:
            self.passed.release()

    def close(self) -> None:
        self.closed.set()


def test_a_full_batch_leads_to_another_pass_at_once() -> None:
    loop = Counting(True, True, False)
    loop.start()
    for _ in range(3):
        assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert not loop.passed.acquire(timeout=0.05)
    assert loop.stop(timeout=PATIENCE_SECONDS)
    assert loop.closed.is_set()


def test_a_wake_up_starts_a_pass_and_one_during_a_pass_is_not_lost() -> None:
    loop = Counting()
    loop.start()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    loop.wake()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    loop.stop(timeout=PATIENCE_SECONDS)


def test_a_failed_pass_is_told_and_tried_again() -> None:
    loop = Counting(ValueError("no"), False)
    loop.start()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert loop.stop(timeout=PATIENCE_SECONDS)
    assert loop.health.errors == 1
    assert loop.health.last_error == "ValueError: no"
    assert loop.health.failing == 0


def test_stop_before_start_is_not_lost() -> None:
    loop = Counting()
    assert loop.stop(timeout=1)
    loop.start()
    assert not loop.is_alive
    assert not loop.passed.acquire(timeout=0.05)


def test_starting_and_stopping_twice_is_harmless() -> None:
    loop = Counting()
    loop.start()
    loop.start()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert loop.stop(timeout=PATIENCE_SECONDS)
    assert loop.stop(timeout=PATIENCE_SECONDS)


def test_a_stop_interrupts_the_wait() -> None:
    loop = Counting(interval=3600.0)
    loop.start()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert loop.stop(timeout=PATIENCE_SECONDS)


def test_every_loop_of_the_engine_starts_passes_and_stops() -> None:
    engine = Engine()
    for loop in engine._loops:
        loop.start()
    for loop in engine._loops:
        assert eventually(lambda loop=loop: loop.health.passes), loop.name
        assert loop.health.errors == 0, (loop.name, loop.health.last_error)
    assert engine._find_problem() == ""
    engine.stop()
    assert not any(loop.is_alive for loop in engine._loops)


def test_the_watchdog_names_a_loop_that_died_or_is_stuck() -> None:
    engine = Engine()
    assert "has died" in engine._find_problem()
    for loop in engine._loops:
        loop.start()
    stuck = engine._loops[0]
    stuck.stop(timeout=PATIENCE_SECONDS)
    stuck._thread = threading.current_thread()
    stuck.health.last_pass -= 3600
    assert f"the {stuck.name} has not come round" in engine._find_problem()
    stuck._thread = None
    engine.stop()

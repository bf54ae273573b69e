"""The loop base: starting, stopping, waking, and passes that fail."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

import pytest
from django.db import OperationalError

from dispatcher.engine.loop import LONGEST_OUTAGE_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Loop, pause_after
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


def test_an_outage_of_the_database_is_told_in_a_line_and_passes_go_on_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = Counting(OperationalError("gone"), OperationalError("gone"), False, interval=0.01)
    with caplog.at_level(logging.INFO, "dispatcher.engine.loop"):
        loop.start()
        assert eventually(lambda: loop.health.passes > 3, seconds=PATIENCE_SECONDS)
        assert loop.stop(timeout=PATIENCE_SECONDS)
    assert loop.health.failing == 0
    assert "the database is away (unreachable)" in caplog.text
    assert "goes on after 2 failed passes" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_loop_that_cannot_give_back_what_it_holds_ends_all_the_same() -> None:
    class Clinging(Counting):
        def close(self) -> None:
            super().close()
            raise OperationalError("gone")

    loop = Clinging()
    loop.start()
    assert loop.passed.acquire(timeout=PATIENCE_SECONDS)
    assert loop.stop(timeout=PATIENCE_SECONDS)


def test_pauses_grow_are_spread_and_stay_short_while_the_database_is_away() -> None:
    away = [[pause_after(n, is_outage=True) for _ in range(200)] for n in range(1, 40)]
    defect = [[pause_after(n, is_outage=False) for _ in range(200)] for n in range(1, 40)]
    assert max(map(max, away)) <= LONGEST_OUTAGE_PAUSE_SECONDS
    assert max(map(max, defect)) <= LONGEST_PAUSE_SECONDS
    assert 0.25 <= min(away[0]) < max(away[0]) <= 0.5
    assert min(defect[-1]) >= LONGEST_PAUSE_SECONDS / 2
    assert max(away[-1]) - min(away[-1]) > LONGEST_OUTAGE_PAUSE_SECONDS / 4


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

"""The rules for duplicates, late pushes and tombstones, against a plain model of them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from workers import ledger
from workers.ledger import Ledger


@dataclass(eq=False)
class Run:
    task_id: str
    attempt: int


TASKS = st.sampled_from(["a", "b", "c"])
ATTEMPTS = st.integers(1, 5)


class LedgerMachine(RuleBasedStateMachine):
    """The model remembers everything: per task the held attempt, and how each attempt that is over ended."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ledger: Ledger[Run] = Ledger(memory_seconds=60.0, now=0.0)
        self.held: dict[str, Run] = {}
        self.over: dict[str, dict[int, str]] = {}

    def expected(self, task_id: str, attempt: int) -> str:
        over = self.over.get(task_id, {})
        highest = max(over, default=0)
        held = self.held[task_id].attempt if task_id in self.held else 0
        if attempt < max(highest, held):
            return "superseded"
        if attempt in over:
            return "superseded" if over[attempt] == "tombstoned" else "duplicate"
        return "duplicate" if attempt == held else "new"

    def mark(self, task_id: str, attempt: int, how: str) -> None:
        over = self.over.setdefault(task_id, {})
        if over.get(attempt) != "tombstoned":
            over[attempt] = how

    @rule(task_id=TASKS, attempt=ATTEMPTS)
    def push(self, task_id: str, attempt: int) -> None:
        judgement = self.ledger.judge(task_id, attempt)
        assert judgement == self.expected(task_id, attempt)
        if judgement == "new":
            run = Run(task_id, attempt)
            assert self.ledger.hold(run) is self.held.get(task_id)
            self.held[task_id] = run

    @rule(task_id=TASKS)
    def end(self, task_id: str) -> None:
        run = self.held.pop(task_id, None)
        if run is not None:
            assert self.ledger.end(run)
            self.mark(task_id, run.attempt, "ended")
            assert not self.ledger.end(run)

    @rule(task_id=TASKS, attempt=ATTEMPTS)
    def supersede(self, task_id: str, attempt: int) -> None:
        run = self.held.get(task_id)
        is_it = run is not None and run.attempt == attempt
        assert self.ledger.let_go(task_id, attempt) is (run if is_it else None)
        if is_it:
            del self.held[task_id]
        self.mark(task_id, attempt, "tombstoned")
        self.over[task_id][attempt] = "tombstoned"

    @rule(task_id=TASKS, attempt=ATTEMPTS)
    def resolve(self, task_id: str, attempt: int) -> None:
        where = self.ledger.resolve(task_id, attempt)
        if task_id in self.held and self.held[task_id].attempt == attempt:
            assert where == "held"
        elif where == "seen":
            assert self.over[task_id][attempt] == "ended"
        else:
            # Whatever was resolved to "not here" is refused from now on.
            self.over.setdefault(task_id, {})[attempt] = "tombstoned"
            assert self.ledger.judge(task_id, attempt) == "superseded"

    @rule()
    def much_time_passes(self) -> None:
        # Two turns: what was over is forgotten, what is held is not.
        for _ in range(2):
            # Clearly more than the memory: sums of floats may fall short of it by rounding.
            self.now += 61.0
            self.ledger.turn(self.now)
        self.over = {}

    @rule()
    def little_time_passes(self) -> None:
        self.now += 0.001
        self.ledger.turn(self.now)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {run.task_id: run for run in self.ledger.held()} == self.held


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase


def test_a_finished_attempt_is_remembered_for_the_whole_time() -> None:
    book: Ledger[Run] = Ledger(memory_seconds=60.0, now=0.0)
    run = Run("a", 1)
    book.turn(59.0)
    book.hold(run)
    book.end(run)
    book.turn(61.0)
    book.turn(100.0)
    assert book.judge("a", 1) == "duplicate"
    book.turn(122.0)
    assert book.judge("a", 1) == "new"


def test_a_flood_of_attempts_cannot_fill_the_memory(monkeypatch) -> None:
    monkeypatch.setattr(ledger, "MAX_GENERATION", 100)
    book: Ledger[Run] = Ledger(memory_seconds=60.0, now=0.0)
    for number in range(1000):
        run = Run(str(number), 1)
        book.hold(run)
        book.end(run)
        book.turn(1.0)
    assert len(book._recent) + len(book._older) <= 200
    assert book.judge("999", 1) == "duplicate"

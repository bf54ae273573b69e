"""What scenarios share: submitting, waiting, striking, judging, and figures beside what they have to be."""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from tests.chaos import evidence, records
from tests.chaos.checker import Verdict, check
from tests.chaos.evidence import Evidence
from tests.chaos.journal import Journal
from tests.chaos.nemesis import Fault, Nemesis
from tests.chaos.rig import Rig

ROOMY_SECONDS = 120.0
#: Multiples of it, without their whole part, are spread evenly however few follow one another: so no node gets the long
#: tasks alone.
GOLDEN = 0.6180339887


class Figure(NamedTuple):
    """A measured figure and whether it is good enough."""

    what: str
    required: str
    measured: str
    is_good: bool


def at_most(what: str, limit: float, measured: float, unit: str = "") -> Figure:
    """A figure with an upper limit."""
    return Figure(what, f"≤ {limit:g}{unit}", f"{measured:.3g}{unit}", measured <= limit)


def at_least(what: str, limit: float, measured: float, unit: str = "") -> Figure:
    """A figure with a lower limit."""
    return Figure(what, f"≥ {limit:g}{unit}", f"{measured:.3g}{unit}", measured >= limit)


def exactly(what: str, wanted: int, measured: int) -> Figure:
    """A count that has to be one number."""
    return Figure(what, str(wanted), str(measured), measured == wanted)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed; infinite for none."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else math.inf


@dataclass
class Stage:
    """A running rig and the journals of one scenario. ``scale`` multiplies how much is done."""

    rig: Rig
    scale: float = 1.0
    nemesis: Nemesis = field(init=False)
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.nemesis = Nemesis(self.rig, [])
        self.journal = Journal(self.rig.folder / "client.jsonl")

    def times(self, number: int) -> int:
        """So many, scaled."""
        return max(1, round(number * self.scale))

    def submit(
        self, count: int, *, ms: float | tuple[float, float] = 0, fails: int = 0, kind: str = "chaos.work", **task: Any
    ) -> list[int]:
        """Submit tasks, a thousand in a request; their ids. ``ms``: how long they take, or from where to where."""
        low, high = ms if isinstance(ms, tuple) else (ms, ms)
        keys = [uuid.uuid4().hex for _ in range(count)]
        tasks = [
            {
                "type": kind,
                "payload": {"nonce": key, "ms": low + (high - low) * (place * GOLDEN % 1.0)}
                | ({"fails": fails} if fails else {}),
                "idempotency_key": key,
                "max_attempts": 8,
                "backoff_seconds": 0.0,
            }
            | task
            for place, key in enumerate(keys)
        ]
        self.journal.write("invoked", keys=keys)
        ids: list[int] = []
        for begin in range(0, count, 1000):
            answer = self.rig.ask("/api/v1/tasks", {"tasks": tasks[begin : begin + 1000]}, timeout=30.0)
            ids += [int(number) for number in answer["ids"]]
        self.journal.write("acked", keys=keys, ids=ids, status=201)
        return ids

    def strike(self, kind: str, target: str, seconds: float, mode: str = "") -> None:
        """Do one thing; ``pass_time`` ends it when its time is over."""
        self.nemesis.strike(Fault(0.0, kind, target, seconds, mode))

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.until(lambda: False, seconds=seconds)

    def until(self, condition: Any, *, seconds: float = ROOMY_SECONDS) -> bool:
        """Let time pass until the condition holds; whether it did."""

        def look() -> bool:
            self.nemesis.step()
            return bool(condition())

        return self.rig.wait_until(look, seconds=seconds)

    def until_ended(self, *, seconds: float = ROOMY_SECONDS) -> bool:
        """Let time pass until no task is open; whether it came to that."""
        return self.until(lambda: self.nemesis.is_over and self.open_tasks() == 0, seconds=seconds)

    def open_tasks(self) -> int:
        """Tasks that have not ended; many while the database is away."""
        try:
            return records.count_open(self.rig.database)
        except psycopg.Error:
            return 10**9

    def running_on(self, node: str, count: int, *, since: float = 0.0) -> bool:
        """Whether the node's handlers have begun that many runs that have not ended. Those cut off by a kill never do:
        ``since`` leaves out what began before.
        """
        return sum(run.end is None for run in self.gather_runs() if run.node == node and run.start >= since) >= count

    def gather_runs(self) -> list[evidence.Run]:
        """All executions so far."""
        return evidence.read_runs(self.rig.folder)

    def gather(self) -> Evidence:
        """All evidence so far."""
        return evidence.gather(self.rig.folder, self.rig.read(), slots=self.rig.slots)

    def judge(self) -> tuple[Evidence, Verdict]:
        """Let the roll-ups come after, then judge."""
        self.pass_time(2.0)
        found = self.gather()
        evidence.save(found, self.rig.folder)
        return found, check(found)


def verdict_figures(verdict: Verdict, *, ignore: Sequence[str] = ()) -> list[Figure]:
    """The last line of a run as a figure, and every invariant that was broken as another."""
    good = "lost 0 doubled 0 forged 0 stuck 0"
    figures = [Figure("counts", good, verdict.line, verdict.line == good)]
    return figures + [
        Figure(f"{breach.invariant}, task {breach.task}", "holds", breach.text, is_good=False)
        for breach in verdict.breaches[:20]
        if breach.invariant not in ignore
    ]


def next_starts(found: Evidence, *, node: str, at: float) -> list[float]:
    """Seconds from ``at`` to the next run of each task whose run on the node ``at`` cut off."""
    waits = []
    for runs in found.runs_by_task().values():
        for place, run in enumerate(runs[:-1]):
            if run.node == node and run.end is None and run.start <= at <= runs[place + 1].start:
                waits.append(runs[place + 1].start - at)
    return waits


def most_at_once(runs: Sequence[evidence.Run]) -> int:
    """The largest number of runs that a node had at the same time, by the journals of its handlers."""
    running: Counter[str] = Counter()
    most = 0
    moments = [(run.end or math.inf, -1, run.node) for run in runs] + [(run.start, 1, run.node) for run in runs]
    for _, change, node in sorted(moments):
        running[node] += change
        most = max(most, running[node])
    return most


def now() -> float:
    """The time of the journals."""
    return time.monotonic()

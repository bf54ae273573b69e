"""Judges a run from its evidence alone: what was lost, doubled, forged or stuck, and every invariant that it shows.

The numbers, I1 to I22, are those of docs/reliability.md. Pure: the same evidence gives the same verdict.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.evidence import Evidence, Run, Step
from tests.chaos.explaining import explanation
from tests.chaos.records import CANCELLED, DISPATCHED, FAILED, SUCCEEDED, TERMINAL, TaskRow
from tests.chaos.starving import starved

#: How long after a node was suspected a decision made before may still commit its claim, in seconds.
CLAIM_LAG_SECONDS = 2.0
#: A follower of the feed is that far behind at the most: a gap is waited for, as a transaction may still fill it.
FOLLOWED_SECONDS = 15.0
#: Attempts that a node did not take or handed back, after which a task fails.
MAX_RELEASED = 100
_UNCOUNTED = frozenset({"released", "rejected"})


class Breach(NamedTuple):
    """One broken invariant, and the task that shows it (None: not one task's)."""

    invariant: str
    task: int | None
    text: str


@dataclass
class Verdict:
    """The counts of the last line, the breaches, and what else is worth saying."""

    lost: int = 0
    doubled: int = 0
    forged: int = 0
    stuck: int = 0
    breaches: list[Breach] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.forged or self.stuck or self.breaches)

    @property
    def line(self) -> str:
        """The last line of a run."""
        return f"lost {self.lost} doubled {self.doubled} forged {self.forged} stuck {self.stuck}"


#: Which count a breach belongs to; a task counts once in each.
_COUNTED = {
    "I1": "lost",
    "I2": "doubled",
    "I4": "doubled",
    "I6": "doubled",
    "I5": "forged",
    "I13": "forged",
    "I3": "stuck",
}


def check(evidence: Evidence) -> Verdict:
    """Judge a run that has been healed and has had its time to come to rest."""
    case = _Case(evidence)
    breaches = [breach for predicate in PREDICATES for breach in predicate(case)]
    verdict = Verdict(breaches=breaches, figures=_figures(case))
    for word in ("lost", "doubled", "forged", "stuck"):
        of_word = [breach for breach in breaches if _COUNTED.get(breach.invariant) == word]
        named = {breach.task for breach in of_word if breach.task is not None}
        setattr(verdict, word, len(named) + sum(breach.task is None for breach in of_word))
    return verdict


class _Case:
    """The evidence, indexed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.rows = {row.id: row for row in evidence.records.tasks}
        self.steps = evidence.steps()
        self.runs = evidence.runs_by_task()
        #: Acknowledged: key → task id. Every key that was ever sent.
        self.acked: dict[str, int] = {}
        self.answers: dict[str, set[int]] = defaultdict(set)
        self.sent: set[str] = set()
        for line in evidence.client:
            if line["e"] == "invoked":
                self.sent.update(line["keys"])
            elif line["e"] == "acked":
                for key, task in zip(line["keys"], line["ids"], strict=True):
                    self.acked[key] = task
                    self.answers[key].add(task)

    def claims(self, task: int) -> list[Step]:
        return [step for step in self.steps.get(task, ()) if step.to_state == DISPATCHED]


def _lost(case: _Case) -> Iterator[Breach]:
    """I1: every acknowledged submit has its row."""
    for key, task in case.acked.items():
        row = case.rows.get(task)
        if row is None:
            yield Breach("I1", task, f"acknowledged for key {key}, but there is no such task")
        elif row.nonce != key:
            yield Breach("I1", task, f"acknowledged for key {key}, but it holds {row.nonce}")


def _unexpected(case: _Case) -> Iterator[Breach]:
    """I2: every row was asked for, once per key."""
    holders: dict[str, list[int]] = defaultdict(list)
    for row in case.rows.values():
        holders[row.nonce].append(row.id)
    for nonce, tasks in holders.items():
        if nonce not in case.sent:
            yield Breach("I2", tasks[0], f"holds {nonce!r}, which nobody submitted")
        for task in tasks[1:]:
            yield Breach("I2", task, f"made a second time for key {nonce}, like task {tasks[0]}")
    for key, tasks_of in case.answers.items():
        if len(tasks_of) > 1:
            yield Breach("I2", min(tasks_of), f"key {key} was answered with several tasks: {sorted(tasks_of)}")


def _stuck(case: _Case) -> Iterator[Breach]:
    """I3: everything has ended."""
    for row in case.rows.values():
        if row.state not in TERMINAL:
            yield Breach("I3", row.id, f"still in state {row.state} at attempt {row.attempt} on {row.node}")


def _results(case: _Case) -> Iterator[Breach]:
    """I4, I5, I13: one result, and exactly where the task succeeded; made by that very attempt on that very node."""
    for row in case.rows.values():
        if (row.state == SUCCEEDED) != (row.result is not None):
            yield Breach("I4", row.id, f"state {row.state} with result {row.result!r}")
        if row.state != SUCCEEDED or row.result is None:
            continue
        makers = [run for run in case.runs.get(row.id, ()) if run.digest and run.digest == row.result.get("digest")]
        if not makers:
            yield Breach("I5", row.id, f"no handler ever made the result {row.result}")
        elif (makers[0].attempt, makers[0].node) != (row.attempt, row.node):
            yield Breach(
                "I5", row.id,
                f"the result of attempt {makers[0].attempt} on {makers[0].node} is recorded for attempt "
                f"{row.attempt} on {row.node}",
            )  # fmt: skip
        if row.result.get("nonce") != row.nonce:
            yield Breach("I5", row.id, f"holds the result of another task: {row.result}")


def _false_reports(case: _Case) -> Iterator[Breach]:
    """I5, I19: nothing is recorded of an attempt that was taken over from, or by a node that does not have it."""
    for line in case.evidence.courier:
        if line["verdict"] == "recorded":
            said = f"{line['node']} reported attempt {line['attempt']} falsely"
            yield Breach("I5", line["task"], f"{said}, and that was recorded")


def _unchanging(case: _Case) -> Iterator[Breach]:
    """I13, P8: what had ended once stays as it was. A row that is gone is I1's."""
    for task, seen in case.evidence.seen_ended.items():
        row = case.rows.get(task)
        if row is not None and (now := (row.state, row.attempt, (row.result or {}).get("digest"))) != seen:
            yield Breach("I13", task, f"had ended as {seen}, and is now {now}")


def _ends(case: _Case) -> Iterator[Breach]:
    """I6: one end per task, and nothing after it."""
    for task, steps in case.steps.items():
        ends = [place for place, step in enumerate(steps) if step.to_state in TERMINAL]
        if len(ends) > 1:
            yield Breach("I6", task, f"ended {len(ends)} times: {_told(steps)}")
        elif ends and ends[0] != len(steps) - 1:
            yield Breach("I6", task, f"moved after its end: {_told(steps)}")
        row = case.rows.get(task)
        if row is not None and steps and steps[-1].to_state != row.state and row.state in TERMINAL:
            yield Breach("I6", task, f"its row says {row.state}, the feed {_told(steps)}")


def _attempts(case: _Case) -> Iterator[Breach]:
    """I7: attempts are 1…n, each claimed once; the row knows the last."""
    for row in case.rows.values():
        numbers = [step.attempt for step in case.claims(row.id)]
        if numbers != list(range(1, row.attempt + 1)):
            yield Breach("I7", row.id, f"claims {numbers}, but its row is at attempt {row.attempt}")
        starts = Counter(run.attempt for run in case.runs.get(row.id, ()))
        for attempt, times in starts.items():
            if times > 1:
                yield Breach("I7", row.id, f"attempt {attempt} was started {times} times")
            if attempt > row.attempt:
                yield Breach("I7", row.id, f"attempt {attempt} ran, which was never claimed")


def _overlaps(case: _Case) -> Iterator[Breach]:
    """I8: a later attempt starts after the earlier one ended, or after it had been given up."""
    for task, runs in case.runs.items():
        given_up = {step.attempt: step.change for step in case.steps.get(task, ()) if step.outcome}
        claimed = {step.attempt: step.change for step in case.claims(task)}
        for earlier, later in itertools.pairwise(runs):
            if later.attempt < earlier.attempt:
                yield Breach("I8", task, f"attempt {later.attempt} started after attempt {earlier.attempt}")
            elif later.attempt > earlier.attempt and not (
                earlier.attempt in given_up and given_up[earlier.attempt] < claimed.get(later.attempt, 0)
            ):
                yield Breach(
                    "I8", task, f"attempt {later.attempt} was claimed before attempt {earlier.attempt} was over"
                )


def _slots(case: _Case) -> Iterator[Breach]:
    """I9: no node ever runs more than its slots; runs cut off by a death are left out."""
    moments: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)
    for run in case.evidence.runs:
        if run.end is not None:
            key = (run.node, run.boot)
            moments[key] += [(run.start, 1, run.task), (run.end, -1, run.task)]
    for (node, boot), found in moments.items():
        running = 0
        for _, change, task in sorted(found):
            running += change
            if running > case.evidence.slots:
                yield Breach(
                    "I9", task, f"{running} at once on {node} ({boot[:8]}), which has {case.evidence.slots} slots"
                )
                break


def _silent_nodes(case: _Case) -> Iterator[Breach]:
    """I10: nothing is given to a node that is suspect, offline or drains."""
    since: dict[str, float] = {}
    for change in case.evidence.records.changes:
        name = change.body.get("name", "")
        if change.kind in ("node.suspected", "node.went_offline", "node.draining", "node.disabled"):
            since.setdefault(name, change.at)
        elif change.kind in ("node.online", "node.registered", "node.resumed"):
            since.pop(name, None)
        elif change.kind == "tasks.changed" and since:
            for row in change.body["rows"]:
                node = case.evidence.records.nodes.get(row[5]) if len(row) > 5 else None
                if row[2] == DISPATCHED and node in since and change.at > since[node] + CLAIM_LAG_SECONDS:
                    late = change.at - since[node]
                    yield Breach("I10", row[0], f"given to {node} {late:.1f} s after it fell silent")


def _feed(case: _Case) -> Iterator[Breach]:
    """I17: who follows the feed is given every change once, in order, and soon."""
    given, changes = case.evidence.followed, case.evidence.records.changes
    if given is None or not changes:
        return
    for earlier, later in itertools.pairwise(given):
        if later <= earlier:
            yield Breach("I17", None, f"change {later} was given after {earlier}")
    known, last = set(given), max(given, default=0)
    for change in changes:
        if change.id not in known and (change.id < last or change.at < changes[-1].at - FOLLOWED_SECONDS):
            yield Breach("I17", None, f"change {change.id} ({change.kind}) was never given to who follows the feed")


def _starved(case: _Case) -> Iterator[Breach]:
    """I21: no task waits for long while a node has room for it."""
    for task, what in starved(case.evidence, case.steps):
        yield Breach("I21", task, what)


def _undriven(case: _Case) -> Iterator[Breach]:
    """I11: whatever is open waits for something that will happen."""
    for task in sorted(case.evidence.undriven):
        yield Breach("I11", task, "was open with no time, no place in a lane, and no node with a deadline")


def _leaks(case: _Case) -> Iterator[Breach]:
    """I20: the secrets of the run are in no log, no event and no list."""
    for place in case.evidence.leaks:
        yield Breach("I20", None, f"a secret stands in the open: {place}")


def _cancelled(case: _Case) -> Iterator[Breach]:
    """I12: a task whose cancel was confirmed while it waited never starts, and is cancelled."""
    for line in case.evidence.client:
        if line["e"] == "cancel" and line["status"] == 200 and line["outcome"] == "cancelled":
            row = case.rows.get(line["task"])
            if row is not None and row.state != CANCELLED:
                yield Breach("I12", row.id, f"confirmed as cancelled, but in state {row.state}")
            if any(run.start > line["at"] for run in case.runs.get(line["task"], ())):
                yield Breach("I12", line["task"], "started after its cancel had been confirmed")


def _refused(case: _Case) -> Iterator[Breach]:
    """I14: every refused result is on record."""
    kept = {(row.task, row.number) for row in case.evidence.records.attempts if row.outcome == "superseded"}
    for change in case.evidence.records.changes:
        if change.kind == "results.refused":
            for task, attempt, *_ in change.body["rows"]:
                if (task, attempt) not in kept:
                    yield Breach("I14", task, f"the refused result of attempt {attempt} was not kept")


def _executions(case: _Case) -> Iterator[Breach]:
    """I15, I16, I22: no more attempts than allowed, none after poison, and no failure before its time."""
    for row in case.rows.values():
        counted = row.attempt - row.released
        if counted > row.max_attempts:
            yield Breach("I15", row.id, f"{counted} counted attempts of {row.max_attempts}")
        is_poison = row.crashes >= case.evidence.max_crashes
        if is_poison and row.state not in TERMINAL:
            yield Breach("I16", row.id, f"lost its process {row.crashes} times and goes on")
        if row.state == FAILED and not (
            counted >= row.max_attempts or is_poison or row.released >= MAX_RELEASED or _gave_up(row)
        ):
            yield Breach("I22", row.id, f"failed after {counted} of {row.max_attempts} attempts: {row.error}")


def _gave_up(row: TaskRow) -> bool:
    """Whether the handler said that it is of no use to try again."""
    return (row.error or {}).get("type") == "Fail"


def _unexplained(case: _Case) -> Iterator[Breach]:
    """I15: every run beyond a task's first is explained by a fault, or by a handler that failed as asked."""
    for task, runs in case.runs.items():
        for earlier, later in itertools.pairwise(runs):
            if not explanation(case.evidence, earlier, later):
                ended = _outcome(case.steps.get(task, []), earlier)
                yield Breach(
                    "I15", task,
                    f"attempt {later.attempt} ran although nothing was done to attempt {earlier.attempt} on "
                    f"{earlier.node} ({ended})",
                )  # fmt: skip


def _counters(case: _Case) -> Iterator[Breach]:
    """I18: what the dashboard counts is what there is."""
    # Active states are counted together, but nothing is active at rest: that would be I3.
    there = Counter(row.state for row in case.rows.values())
    for state in set(there) | set(case.evidence.records.counted):
        shown = case.evidence.records.counted.get(state, 0)
        if shown != there[state]:
            yield Breach("I18", None, f"{there[state]} tasks are in state {state}, the counters say {shown}")


def _owners(case: _Case) -> Iterator[Breach]:
    """I19: an attempt is started and ended on the node that it was claimed for."""
    for task, steps in case.steps.items():
        owner = {step.attempt: step.node for step in steps if step.to_state == DISPATCHED}
        for step in steps:
            if step.outcome and step.node != owner.get(step.attempt):
                yield Breach(
                    "I19", task, f"attempt {step.attempt} of {owner.get(step.attempt)} was ended by {step.node}"
                )
        for run in case.runs.get(task, ()):
            if run.node != owner.get(run.attempt):
                yield Breach("I19", task, f"attempt {run.attempt} of {owner.get(run.attempt)} ran on {run.node}")


def _told(steps: list[Step]) -> str:
    return " → ".join(f"{step.to_state}@{step.attempt}" for step in steps)


def _outcome(steps: list[Step], run: Run) -> str:
    return next((step.outcome for step in steps if step.attempt == run.attempt and step.outcome), "no end")


PREDICATES = (
    _lost, _unexpected, _stuck, _results, _false_reports, _unchanging, _ends, _attempts, _overlaps, _slots,
    _silent_nodes, _feed, _starved, _undriven, _cancelled, _leaks, _refused, _executions, _unexplained, _counters,
    _owners,
)  # fmt: skip


def _figures(case: _Case) -> dict[str, int]:
    runs = [run for found in case.runs.values() for run in found]
    states = Counter(row.state for row in case.rows.values())
    outcomes = Counter(row.outcome for row in case.evidence.records.attempts)
    given_up = {key for line in case.evidence.client if line["e"] == "given_up" for key in line["keys"]}
    duplicates = sum(
        earlier.how != "failed" for found in case.runs.values() for earlier, _ in itertools.pairwise(found)
    )
    return {
        "submitted": len(case.sent),
        "acknowledged": len(case.acked),
        "recovered": sum(row.nonce in given_up for row in case.rows.values()),
        "succeeded": states[SUCCEEDED],
        "failed": states[FAILED],
        "cancelled": states[CANCELLED],
        "executions": len(runs),
        "duplicates": duplicates,
        **{f"attempts {outcome}": number for outcome, number in sorted(outcomes.items())},
    }

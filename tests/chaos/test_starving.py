"""I21 against made-up waits: starving is told from waiting for a reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import Evidence
from tests.chaos.records import ChangeRow, TaskRow
from tests.chaos.test_checker import truthful


def starving(evidence: Evidence, *, seconds: float = 60.0, bound: str = "") -> None:
    """Let the cancelled task have waited its turn, so long."""
    at = evidence.records.changes[-1].at
    rows = [[3, None, 1, 0, 8], [3, 1, 6, 0, 8]]
    evidence.records.tasks.append(TaskRow(3, 6, 0, 0, 0, 8, None, "key-3", None, None))
    evidence.records.changes += [
        ChangeRow(10 + n, at + n * seconds, "tasks.changed", {"rows": [row]}) for n, row in enumerate(rows)
    ]
    evidence.records.bound.update({8: bound} if bound else {})
    evidence.client.append({"e": "invoked", "at": 5.0, "keys": ["key-3"]})
    evidence.records.counted[6] += 1
    evidence.followed = [change.id for change in evidence.records.changes]


def test_a_task_that_waits_while_a_node_has_room_starves() -> None:
    evidence = truthful()
    starving(evidence)
    (breach,) = check(evidence).breaches
    assert (breach.invariant, breach.task) == ("I21", 3)


def holding(number: int, at: float, node: int, task: int) -> ChangeRow:
    return ChangeRow(number, at, "tasks.changed", {"rows": [[task, 1, 2, 1, 7, node]]})


def test_a_short_wait_is_no_starving() -> None:
    evidence = truthful()
    starving(evidence, seconds=30.0)
    assert check(evidence).breaches == []


def test_who_waits_for_a_node_that_is_full_does_not_starve() -> None:
    evidence = truthful()
    evidence.slots = 1
    starving(evidence, bound="w2")
    assert {breach.invariant for breach in check(evidence).breaches} == {"I21"}
    evidence.records.changes.insert(-2, holding(90, evidence.records.changes[-2].at, 12, 4))
    assert "I21" not in {breach.invariant for breach in check(evidence).breaches}


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("node.suspected", {}),
        ("node.held", {"seconds": 30.0}),
        ("node.breaker_changed", {"reason": "open: it fails"}),
    ],
)
def test_who_waits_for_a_node_in_trouble_does_not_starve(kind: str, facts: dict[str, Any]) -> None:
    evidence = truthful()
    starving(evidence, bound="w2")
    # It began before the time that is looked at, and lasts.
    at = evidence.records.changes[-1].at - 50.0
    evidence.records.changes.insert(-1, ChangeRow(91, at, kind, {"name": "w2", **facts}))
    assert "I21" not in {breach.invariant for breach in check(evidence).breaches}


def test_a_node_that_has_recovered_long_ago_has_room() -> None:
    evidence = truthful()
    starving(evidence, seconds=120.0, bound="w2")
    at = evidence.records.changes[-1].at
    evidence.records.changes[-1:-1] = [
        ChangeRow(91, at - 110.0, "node.suspected", {"name": "w2"}),
        ChangeRow(92, at - 90.0, "node.online", {"name": "w2"}),
        ChangeRow(93, at - 100.0, "node.held", {"name": "w2", "seconds": 30.0}),
        ChangeRow(94, at - 100.0, "node.breaker_changed", {"name": "w2", "reason": "open: it fails"}),
        ChangeRow(95, at - 80.0, "node.breaker_changed", {"name": "w2", "reason": "closed: it works"}),
    ]
    assert "I21" in {breach.invariant for breach in check(evidence).breaches}

"""Cost of ``decide`` and of ``Experience.observe_batch``, run by hand: ``python -m tests.unit.scheduling.measure``.

Prints CPU microseconds per assignment (or row); the best and the median of many passes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.experience import Experience
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead, TypeRecord


def timed(label: str, what: Callable[[], int], passes: int = 60) -> None:
    """Call ``what`` ``passes`` times; it returns how many items it handled."""
    costs = []
    for _ in range(passes):
        start = time.process_time_ns()
        items = what()
        costs.append((time.process_time_ns() - start) / 1000 / items)
    best, median = min(costs), statistics.median(costs)
    sys.stdout.write(f"{label:62s} best {best:6.2f}  median {median:6.2f} µs each ({items} a pass)\n")


def lanes(count: int, heads: int) -> list[LaneView]:
    """``count`` lanes of short types whose tasks came in by turns."""
    return [
        LaneView(i, "q", f"t{i}", {}, tuple(TaskHead(n, affinity_key=f"k{n % 50}") for n in range(i, heads, count)))
        for i in range(count)
    ]


def snapshot(num_lanes: int, num_nodes: int, policy: str, heads: int = 2000) -> Snapshot:
    records = {f"t{i}": TypeRecord(0.0005, {1: 1.0, 2: 1.05}) for i in range(num_lanes)}
    nodes = [NodeView(i + 1, f"n{i}", slots=4 if num_nodes < 10 else 50) for i in range(num_nodes)]
    return Snapshot(0.0, lanes(num_lanes, heads), nodes, {"q": QueueView("q", policy=policy)}, records)


def decided(given: Snapshot) -> Callable[[], int]:
    return lambda: len(decide(given, 2000).assignments)


def main() -> None:
    for policy in ("fastest", "least_loaded", "spread", "binpack", "round_robin", "power_of_two", "affinity"):
        timed(f"1 lane, 2 nodes, {policy}", decided(snapshot(1, 2, policy)))
    for policy in ("fastest", "round_robin"):
        timed(f"10 lanes by turns, 2 nodes, {policy}", decided(snapshot(10, 2, policy)))
        timed(f"10 lanes by turns, 50 nodes, {policy}", decided(snapshot(10, 50, policy)), passes=10)
    full = [NodeView(i, f"n{i}", slots=4, in_flight={0: 4}) for i in range(50)]
    blocked = Snapshot(0.0, [LaneView(i, "q", f"t{i}", {}, (TaskHead(i),)) for i in range(100)], full)
    timed("100 lanes, 50 full nodes, per lane", lambda: len(decide(blocked, 2000).blocked))

    rows = [(n % 2, f"t{n % 10}", "succeeded", 0.001 + n % 7 / 1000, float(n)) for n in range(2000)]
    bad = [(2, f"t{n % 10}", "failed", 0.001, float(n)) if n % 5 == 0 else row for n, row in enumerate(rows)]
    experience, troubled = Experience(), Experience()
    timed("observe_batch, all succeeded", lambda: experience.observe_batch(rows) or 2000)
    timed("observe_batch, one in five failed", lambda: troubled.observe_batch(bad) or 2000)


if __name__ == "__main__":
    main()

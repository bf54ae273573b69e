"""I21: whether a task waited for long while a node that might have run it had room all the time."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.chaos.evidence import Evidence, Step
from tests.chaos.records import DISPATCHED, QUEUED, RUNNING

#: Longer than a node is ever left alone after a failure, than a breaker stays open, and than work takes to ramp up.
WAIT_SECONDS = 45.0
_ACTIVE = (DISPATCHED, RUNNING)
#: What is told of a node that may get no work for a while.
_TROUBLE = ("node.suspected", "node.went_offline", "node.draining", "node.disabled")
_WELL = ("node.online", "node.registered", "node.resumed")


def starved(evidence: Evidence, steps: Mapping[int, list[Step]]) -> Iterator[tuple[int, str]]:
    """(task, what happened). Times are the feed's, in seconds.

    Tasks that have lost a node or crashed are left out: as suspects they wait for a node that has none.
    """
    if not evidence.records.changes:
        return
    over = evidence.records.changes[-1].at
    load, trouble = _load(evidence, steps), _trouble(evidence, over)
    for task, told in steps.items():
        for step, later in itertools.zip_longest(told, told[1:]):
            end = over if later is None else later.at
            if step.to_state != QUEUED or end - step.at < WAIT_SECONDS:
                continue
            if any(before.outcome in ("lost", "crashed") for before in told if before.change < step.change):
                continue
            bound = evidence.records.bound.get(step.lane)
            for node in [bound] if bound else evidence.records.nodes.values():
                window = (end - WAIT_SECONDS, end)
                if _has_room(load.get(node, []), evidence.slots, window) and not _is_hit(trouble[node], window):
                    yield (
                        task,
                        f"waited {end - step.at:.0f} s, of which {node} had room for the last {WAIT_SECONDS:.0f}",
                    )
                    break


def _load(evidence: Evidence, steps: Mapping[int, list[Step]]) -> dict[str, list[tuple[float, int]]]:
    """node → (time, attempts it has from then on)."""
    moves: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for told in steps.values():
        holder = None
        for step in told:
            if step.to_state == DISPATCHED and step.node:
                holder = step.node
                moves[holder].append((step.at, 1))
            elif holder and step.from_state in _ACTIVE and step.to_state not in _ACTIVE:
                moves[holder].append((step.at, -1))
                holder = None
    return {
        node: list(zip((at for at, _ in sorted(found)), itertools.accumulate(n for _, n in sorted(found)), strict=True))
        for node, found in moves.items()
    }


def _trouble(evidence: Evidence, over: float) -> dict[str, list[tuple[float, float]]]:
    """node → times in which it may have got no work for a reason."""
    since: dict[str, float] = {}
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for change in evidence.records.changes:
        name = change.body.get("name", "")
        is_open = change.kind == "node.breaker_changed" and not change.body["reason"].startswith("closed")
        if change.kind == "node.held":
            found[name].append((change.at, change.at + change.body["seconds"]))
        elif is_open or change.kind in _TROUBLE:
            since.setdefault(name, change.at)
        elif change.kind in (*_WELL, "node.breaker_changed"):
            found[name].append((since.pop(name, change.at), change.at))
    for name, at in since.items():
        found[name].append((at, over))
    return found


def _has_room(load: list[tuple[float, int]], slots: int, window: tuple[float, float]) -> bool:
    """Whether fewer than its slots were taken from the beginning of the window to its end."""
    begin, end = window
    before = [count for at, count in load if at <= begin][-1:]
    return all(count < slots for count in [*before, *(count for at, count in load if begin < at < end)])


def _is_hit(times: list[tuple[float, float]], window: tuple[float, float]) -> bool:
    return any(begin <= window[1] and end >= window[0] for begin, end in times)

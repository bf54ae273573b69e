"""What finished attempts teach: how long each type runs, how fast each node is at it, and which node is not well.

A reducer: feed it every finished attempt once, in order; read ``records`` and ``breaker_state`` for the next snapshot.

- **Mean** of a type: exponentially weighted over runs that succeeded. A failed run never makes a type look short; one
  that ran for longer than the mean does raise it, for it held a slot that long.
- **Speed** of a node at a type: successful runs only, each compared with the level of its *type* at that time, so that
  the mix of types a node gets says nothing about it. Averaged as logarithms, since a few very long tasks would drown
  everything else, and drawn towards 1.0 while runs are few.
- **Blame**: a failure counts against the node unless the type is broken, that is, unless every other node that
  finished the type lately failed it too (and there is one). So a bad release of one task type trips no more breakers
  than it has to before it shows elsewhere. Lost, released, cancelled and superseded attempts say nothing of the node.

Memory is bounded by ``MAX_PAIRS`` pairs of type and node and ``MAX_BREAKERS`` nodes in trouble; the longest untouched
go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, log
from typing import Final, NamedTuple

from dispatcher.scheduling.breaker import HEALTHY, Breaker, after_failure, after_success, state_at
from dispatcher.scheduling.snapshot import TypeRecord
from dispatcher.states import AttemptOutcome, BreakerState

SUCCEEDED: Final = "succeeded"
#: Outcomes a node may have to answer for. Feed rejections for want of room or because of a drain as ``released``.
FAILURES: Final = frozenset(
    {AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.CRASHED, AttemptOutcome.REJECTED}
)
#: Weight of the newest run in a type's mean and level, once there are ``MEAN_RUNS``; before, all weigh the same.
MEAN_RUNS: Final = 10
MEAN_WEIGHT: Final = 1.0 / MEAN_RUNS
#: The same for a node's speed.
SPEED_RUNS: Final = 20
SPEED_WEIGHT: Final = 1.0 / SPEED_RUNS
#: A speed starts as if this many runs had been average.
PRIOR_RUNS: Final = 5.0
#: Below this, run times measure the machinery rather than the node.
MIN_RUN_SECONDS: Final = 0.001
#: Run times beyond this are taken for mistakes.
MAX_RUN_SECONDS: Final = 1e8
#: Other nodes' outcomes older than this say nothing of a type any more.
RECENT_SECONDS: Final = 600.0
MAX_PAIRS: Final = 20_000
MAX_BREAKERS: Final = 1_000


class Finished(NamedTuple):
    """One attempt that ended. A plain tuple of the same items does as well."""

    node_id: int
    type: str
    #: ``succeeded`` or an ``AttemptOutcome``.
    outcome: str
    #: 0 if not known: nodes need not report it. Anything that is no sensible time counts as not known.
    run_seconds: float
    #: POSIX seconds, on the clock of ``Snapshot.now``.
    at: float


class _Pair:
    """A node's experience with a type."""

    __slots__ = ("is_ok", "offset", "runs", "seen_at")

    def __init__(self, offset: float = 0.0, runs: int = 0, is_ok: bool = True, seen_at: float = 0.0) -> None:
        #: Mean of log(run time) against the type's level; negative is faster.
        self.offset = offset
        #: Successful runs.
        self.runs = runs
        #: Whether the latest outcome was a success.
        self.is_ok = is_ok
        self.seen_at = seen_at


class _Type:
    """Experience with a type on all nodes."""

    __slots__ = ("level", "mean", "nodes", "record", "runs")

    def __init__(self, mean: float = 0.0, level: float = 0.0, runs: int = 0) -> None:
        self.mean = mean
        #: Mean of log(run time).
        self.level = level
        #: Successful runs; 0 means that mean and level say nothing.
        self.runs = runs
        self.nodes: dict[int, _Pair] = {}
        #: Made when asked for; None after any change.
        self.record: TypeRecord | None = None


class Experience:
    """All that finished attempts have taught so far. Not thread-safe: one owner feeds and reads it."""

    def __init__(self) -> None:
        self._types: dict[str, _Type] = {}
        #: Only of nodes that are not plainly healthy.
        self._breakers: dict[int, Breaker] = {}
        self._num_pairs = 0

    def observe(self, node_id: int, type_: str, outcome: str, run_seconds: float, at: float) -> None:
        """Learn from one finished attempt."""
        self.observe_batch(((node_id, type_, outcome, run_seconds, at),))

    def observe_batch(self, rows: Iterable[tuple[int, str, str, float, float]]) -> None:
        """Learn from finished attempts in the order they ended: (node id, type, outcome, run seconds, at)."""
        breakers = self._breakers
        for node_id, type_, outcome, reported_seconds, at in rows:
            run_seconds = reported_seconds if 0.0 < reported_seconds <= MAX_RUN_SECONDS else 0.0
            if outcome != SUCCEEDED:
                if outcome in FAILURES:
                    self._fail(node_id, type_, run_seconds, at)
                continue
            known = self._types.get(type_) or self._add_type(type_)
            pair = known.nodes.get(node_id) or self._add_pair(known, node_id, at)
            pair.is_ok = True
            pair.seen_at = at
            if breakers and node_id in breakers:
                self._set_breaker(node_id, after_success(breakers[node_id], at=at, run_seconds=run_seconds))
            if not run_seconds:
                continue
            runs = known.runs
            log_run = log(max(MIN_RUN_SECONDS, run_seconds))
            if runs == 0:
                known.level = log_run
            weight = MEAN_WEIGHT if runs >= MEAN_RUNS else 1.0 / (runs + 1)
            offset = log_run - known.level
            known.runs = runs + 1
            known.mean += weight * (run_seconds - known.mean)
            known.level += weight * offset
            runs = pair.runs
            pair.offset += (SPEED_WEIGHT if runs >= SPEED_RUNS else 1.0 / (runs + 1)) * (offset - pair.offset)
            pair.runs = runs + 1
            known.record = None

    def records(self) -> Mapping[str, TypeRecord]:
        """What is known of each type that ever succeeded, for ``Snapshot.records``."""
        return {
            name: known.record if known.record is not None else self._make_record(known)
            for name, known in self._types.items()
            if known.runs
        }

    def breaker_state(self, node_id: int, now: float) -> BreakerState:
        """State of a node's breaker at ``now``, for ``NodeView.breaker``."""
        return state_at(self._breakers.get(node_id, HEALTHY), now)

    def breaker(self, node_id: int) -> Breaker:
        """A node's breaker; its ``open_until`` is for ``NodeView.breaker_until``."""
        return self._breakers.get(node_id, HEALTHY)

    def close_breaker(self, node_id: int) -> None:
        """Take the node for healthy until it fails again: an operator's order."""
        self._breakers.pop(node_id, None)

    def forget_node(self, node_id: int) -> None:
        """Drop everything known of a node that was deleted."""
        self._breakers.pop(node_id, None)
        for known in self._types.values():
            if known.nodes.pop(node_id, None) is not None:
                self._num_pairs -= 1
                known.record = None

    def export(self) -> dict[str, object]:
        """Everything as plain JSON values, for ``restore``."""
        types = {
            name: {
                "mean": known.mean,
                "level": known.level,
                "runs": known.runs,
                "nodes": [[i, p.offset, p.runs, p.is_ok, p.seen_at] for i, p in known.nodes.items()],
            }
            for name, known in self._types.items()
        }
        breakers = [[i, b.failures, b.trips, b.opened_at, b.open_until] for i, b in self._breakers.items()]
        return {"version": 1, "types": types, "breakers": breakers}

    @classmethod
    def restore(cls, exported: object) -> Experience:
        """The experience that was exported; ``ValueError`` for anything that is no export of this version."""
        experience = cls()
        try:
            experience._load(exported)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"not an export of experience: {error!r}") from error
        return experience

    def _load(self, exported: object) -> None:
        if not isinstance(exported, Mapping) or exported["version"] != 1:
            raise ValueError("unknown version")
        for name, saved in exported["types"].items():
            known = self._types[str(name)] = _Type(float(saved["mean"]), float(saved["level"]), int(saved["runs"]))
            for node_id, offset, runs, is_ok, seen_at in saved["nodes"]:
                known.nodes[int(node_id)] = _Pair(float(offset), int(runs), bool(is_ok), float(seen_at))
        for node_id, failures, trips, opened_at, open_until in exported["breakers"]:
            self._breakers[int(node_id)] = Breaker(int(failures), int(trips), float(opened_at), float(open_until))
        self._num_pairs = sum(len(known.nodes) for known in self._types.values())

    def _fail(self, node_id: int, type_: str, run_seconds: float, at: float) -> None:
        known = self._types.get(type_) or self._add_type(type_)
        pair = known.nodes.get(node_id) or self._add_pair(known, node_id, at)
        pair.is_ok = False
        pair.seen_at = at
        if known.runs and known.mean < run_seconds:
            known.mean += MEAN_WEIGHT * (run_seconds - known.mean)
            known.record = None
        if not _fails_elsewhere(known, node_id, at):
            breaker = self._breakers.get(node_id, HEALTHY)
            self._set_breaker(node_id, after_failure(breaker, at=at, run_seconds=run_seconds))

    def _set_breaker(self, node_id: int, breaker: Breaker) -> None:
        self._breakers.pop(node_id, None)
        if breaker != HEALTHY:
            # Reinserted at the end: the first is the longest untouched.
            self._breakers[node_id] = breaker
            if len(self._breakers) > MAX_BREAKERS:
                del self._breakers[next(iter(self._breakers))]

    def _add_type(self, type_: str) -> _Type:
        known = self._types[type_] = _Type()
        return known

    def _add_pair(self, known: _Type, node_id: int, at: float) -> _Pair:
        pair = known.nodes[node_id] = _Pair(seen_at=at)
        self._num_pairs += 1
        if self._num_pairs > MAX_PAIRS:
            self._shrink(keep=pair)
        return pair

    def _shrink(self, keep: _Pair) -> None:
        """Drop the tenth of the pairs that was longest untouched, and types left without any."""
        ages = sorted(pair.seen_at for known in self._types.values() for pair in known.nodes.values())
        horizon = ages[len(ages) // 10]
        for name, known in list(self._types.items()):
            kept = {i: pair for i, pair in known.nodes.items() if pair.seen_at > horizon or pair is keep}
            self._num_pairs -= len(known.nodes) - len(kept)
            if not kept:
                del self._types[name]
            elif len(kept) < len(known.nodes):
                known.nodes = kept
                known.record = None

    def _make_record(self, known: _Type) -> TypeRecord:
        speeds = {
            node_id: exp(-pair.offset * (weight := min(pair.runs, SPEED_RUNS)) / (weight + PRIOR_RUNS))
            for node_id, pair in known.nodes.items()
            if pair.runs
        }
        known.record = TypeRecord(known.mean, speeds)
        return known.record


def _fails_elsewhere(known: _Type, node_id: int, at: float) -> bool:
    """Whether the latest outcome of the type on every other node that had a recent one is a failure."""
    recent = [p.is_ok for i, p in known.nodes.items() if i != node_id and p.seen_at >= at - RECENT_SECONDS]
    return bool(recent) and not any(recent)

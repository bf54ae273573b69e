"""Why a task waits: typed reasons, how serious each is, and its words for an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple


class ReasonClass(StrEnum):
    """What it takes for a reason to go away."""

    #: Passes by itself.
    TRANSIENT = "transient"
    #: Waits for somebody to do something.
    OPERATOR = "operator"
    #: Never, as nodes and task are declared now.
    IMPOSSIBLE = "impossible"


_SEVERITY = {ReasonClass.TRANSIENT: 0, ReasonClass.OPERATOR: 1, ReasonClass.IMPOSSIBLE: 2}


class ReasonCode(StrEnum):
    """One code per gate outcome; stable, programs may match on it."""

    QUEUE_PAUSED = "queue_paused"
    NO_NODES = "no_nodes"
    QUEUE_NOT_SERVED = "queue_not_served"
    TYPE_NOT_RUN = "type_not_run"
    LABEL_MISSING = "label_missing"
    LABEL_DIFFERS = "label_differs"
    NODE_WITHOUT_SLOTS = "node_without_slots"
    NODE_DISABLED = "node_disabled"
    NODE_DRAINED = "node_drained"
    NODE_OFFLINE = "node_offline"
    NODE_SUSPECT = "node_suspect"
    NODE_STOPPING = "node_stopping"
    NODE_RESTING = "node_resting"
    BREAKER_OPEN = "breaker_open"
    BREAKER_TRIAL = "breaker_trial"
    NODE_FULL = "node_full"


class _Meaning(NamedTuple):
    """Class of a code, its full text, and a short form that follows a number of nodes; ``{n}`` are the facts."""

    reason_class: ReasonClass
    text: str
    short: str


_T, _O, _I = ReasonClass.TRANSIENT, ReasonClass.OPERATOR, ReasonClass.IMPOSSIBLE
_C = ReasonCode
_MEANINGS: dict[ReasonCode, _Meaning] = {
    _C.QUEUE_PAUSED: _Meaning(_O, "queue {0} is paused{1}", "queue {0} is paused"),
    _C.NO_NODES: _Meaning(_O, "no node has registered yet", "no node has registered yet"),
    _C.QUEUE_NOT_SERVED: _Meaning(_I, "node {0} does not serve queue {1}", "not serving queue {1}"),
    _C.TYPE_NOT_RUN: _Meaning(_I, "node {0} cannot run tasks of type {1}", "unable to run type {1}"),
    _C.LABEL_MISSING: _Meaning(_I, "node {0} has no label {1}={2}", "without label {1}={2}"),
    _C.LABEL_DIFFERS: _Meaning(_I, "node {0} has label {1}={3}, not {1}={2}", "without label {1}={2}"),
    _C.NODE_WITHOUT_SLOTS: _Meaning(_O, "node {0} offers no slots", "without slots"),
    _C.NODE_DISABLED: _Meaning(_O, "node {0} is disabled", "disabled"),
    _C.NODE_DRAINED: _Meaning(_O, "node {0} is being drained by an operator", "drained by an operator"),
    _C.NODE_OFFLINE: _Meaning(_O, "node {0} is offline", "offline"),
    _C.NODE_SUSPECT: _Meaning(_T, "node {0} has not been heard from for a while", "silent for a while"),
    _C.NODE_STOPPING: _Meaning(_T, "node {0} is shutting down and takes no more work", "shutting down"),
    _C.NODE_RESTING: _Meaning(
        _T, "node {0} is left alone {1}: it was unreachable or asked for a pause", "left alone for now"
    ),
    _C.BREAKER_OPEN: _Meaning(
        _T, "node {0} failed too many tasks in a row and gets none for {1}", "set aside after failures"
    ),
    _C.BREAKER_TRIAL: _Meaning(
        _T, "node {0} failed too many tasks in a row and is being tried with one", "tried with one task after failures"
    ),
    _C.NODE_FULL: _Meaning(_T, "node {0} is full: tasks in flight {1}, slots {2}", "full"),
}


class Reason(NamedTuple):
    """One closed gate. ``node_id`` is None if it holds for every node. Words are made only when asked for."""

    code: ReasonCode
    node_id: int | None
    #: What the text speaks of, in the order its template wants; the node's name comes first if there is one.
    facts: tuple[str | int, ...] = ()

    @property
    def reason_class(self) -> ReasonClass:
        """What it takes for the reason to go away."""
        return _MEANINGS[self.code].reason_class

    @property
    def text(self) -> str:
        """For people: ``node gpu-1 has no label gpu=yes``."""
        return _MEANINGS[self.code].text.format(*self.facts)

    @property
    def short(self) -> str:
        """For counting nodes: ``without label gpu=yes``."""
        return _MEANINGS[self.code].short.format(*self.facts)


def classify(reasons: Iterable[Reason]) -> ReasonClass:
    """Class of a verdict from its decisive reasons: a single one for all nodes, or one per node.

    One node is enough to run a task, so the easiest decides.
    """
    return min((r.reason_class for r in reasons), key=_SEVERITY.__getitem__)


def hardest(reasons: Iterable[Reason]) -> ReasonClass:
    """Class of a node's row: all of its reasons have to go away."""
    return max((r.reason_class for r in reasons), key=_SEVERITY.__getitem__)


def summarise(reasons: Sequence[Reason]) -> str:
    """One clause for a lane from its decisive reasons: a single one for all nodes, or one per node. No full stop."""
    if len(reasons) == 1:
        return reasons[0].text
    counts = Counter(r.short for r in reasons)
    return f"no node of {len(reasons)} can take it: " + ", ".join(f"{n} {short}" for short, n in counts.most_common())

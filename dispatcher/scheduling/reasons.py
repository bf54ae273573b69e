"""Why a task waits: typed reasons, how serious each is, and its words for an operator."""

from __future__ import annotations

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
    """What a code means: its class, its facts, its words, and a short form that follows a number of nodes."""

    reason_class: ReasonClass
    facts: tuple[str, ...]
    text: str
    short: str
    #: The text where the last fact is nothing: no reason was given, no time is known.
    bare: str = ""


_T, _O, _I = ReasonClass.TRANSIENT, ReasonClass.OPERATOR, ReasonClass.IMPOSSIBLE
_C = ReasonCode
_NODE = ("node",)
_MEANINGS: dict[ReasonCode, _Meaning] = {
    _C.QUEUE_PAUSED: _Meaning(
        _O, ("queue", "why"), "queue {queue} is paused ({why})", "queue {queue} is paused", "queue {queue} is paused"
    ),
    _C.NO_NODES: _Meaning(_O, (), "no node has registered yet", "no node has registered yet"),
    _C.QUEUE_NOT_SERVED: _Meaning(
        _I, ("node", "queue"), "node {node} does not serve queue {queue}", "not serving queue {queue}"
    ),
    _C.TYPE_NOT_RUN: _Meaning(
        _I, ("node", "type"), "node {node} cannot run tasks of type {type}", "unable to run type {type}"
    ),
    _C.LABEL_MISSING: _Meaning(
        _I, ("node", "label", "wanted"), "node {node} has no label {label}={wanted}", "without label {label}={wanted}"
    ),
    _C.LABEL_DIFFERS: _Meaning(
        _I,
        ("node", "label", "wanted", "found"),
        "node {node} has label {label}={found}, not {label}={wanted}",
        "without label {label}={wanted}",
    ),
    _C.NODE_WITHOUT_SLOTS: _Meaning(_O, _NODE, "node {node} offers no slots", "without slots"),
    _C.NODE_DISABLED: _Meaning(_O, _NODE, "node {node} is disabled", "disabled"),
    _C.NODE_DRAINED: _Meaning(_O, _NODE, "node {node} is being drained by an operator", "drained by an operator"),
    _C.NODE_OFFLINE: _Meaning(_O, _NODE, "node {node} is offline", "offline"),
    _C.NODE_SUSPECT: _Meaning(_T, _NODE, "node {node} has not been heard from for a while", "silent for a while"),
    _C.NODE_STOPPING: _Meaning(_T, _NODE, "node {node} is shutting down and takes no more work", "shutting down"),
    _C.NODE_RESTING: _Meaning(
        _T,
        ("node", "seconds"),
        "node {node} is left alone for another {seconds} s: it was unreachable or asked for a pause",
        "left alone for now",
        "node {node} is left alone until a request to it gets through: it was unreachable or asked for a pause",
    ),
    _C.BREAKER_OPEN: _Meaning(
        _T,
        ("node", "seconds"),
        "node {node} failed too many tasks in a row and gets none for another {seconds} s",
        "set aside after failures",
        "node {node} failed too many tasks in a row and gets none for a while",
    ),
    _C.BREAKER_TRIAL: _Meaning(
        _T,
        _NODE,
        "node {node} failed too many tasks in a row and is being tried with one",
        "tried with one task after failures",
    ),
    _C.NODE_FULL: _Meaning(
        _T, ("node", "held", "slots"), "node {node} is full: tasks in flight {held}, slots {slots}", "full"
    ),
}


class Reason(NamedTuple):
    """One closed gate. ``node_id`` is None if it holds for every node. Words are made only when asked for."""

    code: ReasonCode
    node_id: int | None
    #: What the words speak of, in the order in which the meaning of the code names them.
    facts: tuple[str | int, ...] = ()

    @property
    def reason_class(self) -> ReasonClass:
        """What it takes for the reason to go away."""
        return _MEANINGS[self.code].reason_class

    @property
    def named_facts(self) -> dict[str, str | int]:
        """For whoever has words of their own: ``{"node": "gpu-1", "label": "gpu", "wanted": "yes"}``."""
        return dict(zip(_MEANINGS[self.code].facts, self.facts, strict=True))

    @property
    def text(self) -> str:
        """For people: ``node gpu-1 has no label gpu=yes``."""
        meaning = _MEANINGS[self.code]
        is_bare = bool(meaning.bare) and not self.facts[-1]
        return (meaning.bare if is_bare else meaning.text).format(**self.named_facts)

    @property
    def short(self) -> str:
        """For counting nodes: ``without label gpu=yes``."""
        return _MEANINGS[self.code].short.format(**self.named_facts)


def classify(reasons: Iterable[Reason]) -> ReasonClass:
    """Class of a verdict from its decisive reasons: a single one for all nodes, or one per node.

    One node is enough to run a task, so the easiest decides.
    """
    return min((r.reason_class for r in reasons), key=_SEVERITY.__getitem__)


def hardest(reasons: Iterable[Reason]) -> ReasonClass:
    """Class of a node's row: all of its reasons have to go away."""
    return max((r.reason_class for r in reasons), key=_SEVERITY.__getitem__)


def counted(reasons: Iterable[Reason]) -> list[tuple[Reason, int]]:
    """Reasons that are the same in few words, each with how many nodes have it, the most frequent first."""
    alike: dict[str, list[Reason]] = {}
    for reason in reasons:
        alike.setdefault(reason.short, []).append(reason)
    return [(some[0], len(some)) for some in sorted(alike.values(), key=len, reverse=True)]


def summarise(reasons: Sequence[Reason]) -> str:
    """One clause for a lane from its decisive reasons: a single one for all nodes, or one per node. No full stop."""
    if len(reasons) == 1:
        return reasons[0].text
    counts = ", ".join(f"{count} {reason.short}" for reason, count in counted(reasons))
    return f"no node of {len(reasons)} can take it: {counts}"

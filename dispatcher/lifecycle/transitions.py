"""The table of transitions: every way in which a task's state may change. ``docs/task_lifecycle.md`` draws it."""

from __future__ import annotations

from typing import NamedTuple

from dispatcher.states import TaskState

S = TaskState


class Transition(NamedTuple):
    """From any of ``sources`` to one of ``targets``. No source: the task comes into being; no target: it is deleted."""

    sources: frozenset[TaskState]
    targets: frozenset[TaskState]


def _t(sources: tuple[TaskState, ...], targets: tuple[TaskState, ...]) -> Transition:
    return Transition(frozenset(sources), frozenset(targets))


#: By the name of the function, or of what ``end`` was told. A late first success is welcome: ``succeed`` also starts
#: from scheduled and queued, where the task waits for its next attempt because this one was given up.
TRANSITIONS: dict[str, Transition] = {
    "submit": _t((), (S.QUEUED, S.SCHEDULED)),
    "stage": _t((S.SCHEDULED,), (S.QUEUED,)),
    "claim": _t((S.QUEUED,), (S.DISPATCHED,)),
    "start": _t((S.DISPATCHED,), (S.RUNNING,)),
    "succeed": _t((S.DISPATCHED, S.RUNNING, S.SCHEDULED, S.QUEUED), (S.SUCCEEDED,)),
    # failed, timed_out, crashed: another attempt later, or the end.
    "fail": _t((S.DISPATCHED, S.RUNNING), (S.SCHEDULED, S.FAILED, S.CANCELLED)),
    # The node fell silent, restarted, or did not report by the attempt's deadline.
    "lose": _t((S.DISPATCHED, S.RUNNING), (S.SCHEDULED, S.FAILED, S.CANCELLED)),
    # The node did not take it, or handed it back: does not count as an attempt.
    "release": _t((S.DISPATCHED, S.RUNNING), (S.SCHEDULED, S.FAILED, S.CANCELLED)),
    "cancel": _t((S.SCHEDULED, S.QUEUED), (S.CANCELLED,)),
    "confirm_cancel": _t((S.DISPATCHED, S.RUNNING), (S.CANCELLED,)),
    "expire": _t((S.SCHEDULED, S.QUEUED), (S.EXPIRED,)),
    "prune": _t((S.SUCCEEDED, S.FAILED, S.CANCELLED, S.EXPIRED), ()),
}

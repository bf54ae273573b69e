"""The only writer of task state.

One function per transition, verb-named, keyword-only, taking ``now``, working on a batch. Each is a conditional update
on the expected state, the attempt number and the node; rows that do not match were moved by someone else, which is a
normal outcome and never raised. The same transaction writes one change-feed row for the whole batch.
"""

from dispatcher.lifecycle.claiming import claim, start
from dispatcher.lifecycle.endings import FailedAttempt, end, succeed
from dispatcher.lifecycle.losing import (
    draw_back,
    extend_deadlines,
    hand_back,
    is_any_amiss,
    lose_held_by,
    lose_overdue,
    lose_stale,
)
from dispatcher.lifecycle.notes import note_unmasked
from dispatcher.lifecycle.reporting import compare, record_report, record_results
from dispatcher.lifecycle.resolving import missing, settle
from dispatcher.lifecycle.steering import CancelResult, Pruned, cancel, expire, prune, stage
from dispatcher.lifecycle.submission import IdempotencyConflict, RetryResult, Submitted, TaskSpec, retry, submit
from dispatcher.lifecycle.transitions import TRANSITIONS, Transition

__all__ = [
    "TRANSITIONS",
    "CancelResult",
    "FailedAttempt",
    "IdempotencyConflict",
    "Pruned",
    "RetryResult",
    "Submitted",
    "TaskSpec",
    "Transition",
    "cancel",
    "claim",
    "compare",
    "draw_back",
    "end",
    "expire",
    "extend_deadlines",
    "hand_back",
    "is_any_amiss",
    "lose_held_by",
    "lose_overdue",
    "lose_stale",
    "missing",
    "note_unmasked",
    "prune",
    "record_report",
    "record_results",
    "retry",
    "settle",
    "stage",
    "start",
    "submit",
    "succeed",
]

"""What a task row must be like in every state, for the database to hold. ``docs/task_lifecycle.md`` lists it in words.

No rule compares two times: clocks are set back, and a row that is true must not be refused for that. Which state may
follow which, and that an ended task stays as it is, are triggers (``dispatcher/migrations/0007_rules.py``): they need
the row as it was.
"""

from __future__ import annotations

from django.db.models import BaseConstraint, CheckConstraint, F, Q

from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


def _in(*states: TaskState) -> Q:
    return Q(state__in=[state.value for state in states]) if len(states) > 1 else Q(state=states[0].value)


_active, _waiting = _in(*sorted(ACTIVE)), _in(*sorted(WAITING))
_ENDED = [state.value for state in sorted(TERMINAL)]
_counted = F("attempt") - F("released")


TASK_RULES: list[BaseConstraint] = [
    CheckConstraint(condition=Q(state__range=(0, 7)), name="task_state_known"),
    CheckConstraint(
        condition=~_active
        | Q(node__isnull=False, incarnation__isnull=False, attempt_deadline__isnull=False, attempt__gt=0),
        name="task_active_has_node_and_deadline",
    ),
    CheckConstraint(
        condition=Q(state__in=_ENDED, finished_at__isnull=False) | Q(~Q(state__in=_ENDED), finished_at__isnull=True),
        name="task_finished_iff_terminal",
    ),
    CheckConstraint(condition=~_in(TaskState.SCHEDULED) | Q(run_at__isnull=False), name="task_scheduled_has_time"),
    CheckConstraint(condition=~_in(TaskState.QUEUED) | Q(queued_at__isnull=False), name="task_queued_has_time"),
    # One that was cancelled or expired keeps the time that it waited for.
    CheckConstraint(
        condition=_in(TaskState.SCHEDULED, TaskState.CANCELLED, TaskState.EXPIRED) | Q(run_at__isnull=True),
        name="task_due_no_longer",
    ),
    # Node, incarnation, dispatch and deadline come with the first claim and are never taken away again.
    CheckConstraint(
        condition=Q(
            attempt=0,
            node__isnull=True,
            incarnation__isnull=True,
            dispatched_at__isnull=True,
            attempt_deadline__isnull=True,
            started_at__isnull=True,
        )
        | Q(
            attempt__gt=0,
            node__isnull=False,
            incarnation__isnull=False,
            queued_at__isnull=False,
            dispatched_at__isnull=False,
            attempt_deadline__isnull=False,
        ),
        name="task_attempt_has_node",
    ),
    CheckConstraint(
        condition=Q(~_in(TaskState.RUNNING) | Q(started_at__isnull=False))
        & Q(~_in(TaskState.DISPATCHED) | Q(started_at__isnull=True)),
        name="task_running_iff_started",
    ),
    # A result of nothing is the JSON text "null".
    CheckConstraint(
        condition=(_in(TaskState.SUCCEEDED) & Q(result__isnull=False))
        | Q(~_in(TaskState.SUCCEEDED), result__isnull=True),
        name="task_result_iff_succeeded",
    ),
    CheckConstraint(
        condition=~_in(TaskState.SUCCEEDED) | Q(attempt__gt=0, started_at__isnull=False, error__isnull=True),
        name="task_succeeded_by_attempt",
    ),
    CheckConstraint(
        condition=~_in(TaskState.FAILED) | Q(attempt__gt=0, error__isnull=False), name="task_failed_by_attempt"
    ),
    CheckConstraint(
        condition=~_in(TaskState.EXPIRED) | Q(expires_at__isnull=False, attempt__lte=F("released")),
        name="task_expired_untried",
    ),
    CheckConstraint(condition=Q(released__gte=0, crashes__gte=0, crashes__lte=_counted), name="task_attempts_add_up"),
    # One that waits has an attempt left.
    CheckConstraint(
        condition=Q(max_attempts__gt=_counted) | Q(~_waiting, max_attempts__gte=_counted),
        name="task_attempts_in_bound",
    ),
    CheckConstraint(condition=Q(max_attempts__gte=1), name="task_max_attempts_positive"),
    CheckConstraint(condition=Q(priority__range=(LOWEST_PRIORITY, HIGHEST_PRIORITY)), name="task_priority_in_range"),
    CheckConstraint(
        condition=(Q(timeout_seconds__isnull=True) | Q(timeout_seconds__gt=0))
        & Q(backoff_seconds__gte=0, backoff_cap_seconds__gte=0),
        name="task_durations_in_range",
    ),
]

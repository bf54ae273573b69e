"""Mistakes put into the real code on purpose: each has to be found by a rule, or by a constraint of the database."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any, NamedTuple
from unittest import mock

import msgspec
from django.db import IntegrityError, connection

from dispatcher import snapshots
from dispatcher.lifecycle import endings, reporting
from dispatcher.models import Task
from dispatcher.models.statements import postgres, sqlite, statements
from dispatcher.scheduling import health
from dispatcher.states import TERMINAL, AttemptOutcome, NodeState
from tests.simulation.invariants import Broken
from tests.simulation.world import simulate
from workers.ledger import Ledger

Patch = Callable[[], AbstractContextManager[Any]]


class Defect(NamedTuple):
    """A mistake, and the first seed that is known to show it."""

    patch: Patch
    first_seed: int


@contextlib.contextmanager
def _rewritten(old: str, new: str, *, old_postgres: str = "", new_postgres: str = "") -> Iterator[None]:
    """Every statement on tasks with this part of its text replaced."""
    is_postgres = connection.vendor == "postgresql"
    module, runner = (postgres, "_run") if is_postgres else (sqlite, "_run_each")
    before, after = (old_postgres or old, new_postgres or new) if is_postgres else (old, new)
    run = getattr(module, runner)

    def changed(sql: str, params: Any) -> Any:
        return run(sql.replace(before, after), params)

    with mock.patch.object(module, runner, changed):
        yield


def attempt_not_compared() -> AbstractContextManager[Any]:
    """A success counts whichever attempt of its task it comes from."""
    return _rewritten(
        "WHERE id = ? AND attempt = ? AND node_id = ? AND state IN",
        "WHERE id = ? AND ? IS NOT NULL AND node_id = ? AND state IN",
        old_postgres="WHERE t.id = s.id AND t.attempt = s.attempt AND t.node_id = %s AND (t.state + 0) = ANY",
        new_postgres="WHERE t.id = s.id AND t.node_id = %s AND (t.state + 0) = ANY",
    )


def node_not_compared() -> AbstractContextManager[Any]:
    """A success counts whichever node it comes from."""
    return _rewritten(
        "AND attempt = ? AND node_id = ? AND state IN",
        "AND attempt = ? AND ? IS NOT NULL AND state IN",
        old_postgres="AND t.attempt = s.attempt AND t.node_id = %s AND (t.state + 0) = ANY",
        new_postgres="AND t.attempt = s.attempt AND %s IS NOT NULL AND (t.state + 0) = ANY",
    )


def lease_null() -> AbstractContextManager[Any]:
    """A claim sets no deadline."""
    return _rewritten(
        "attempt_deadline = strftime('%Y-%m-%d %H:%M:%f', :now,",
        "attempt_deadline = strftime('%Y-%m-%d %H:%M:%f', NULL,",
        old_postgres="make_interval(secs =>",
        new_postgres="make_interval(secs => NULL::float8 +",
    )


def requeue_without_condition() -> AbstractContextManager[Any]:
    """The failure of any attempt ends the one that is out now."""
    real = endings.end

    def end(failed: Any, *, node_id: int | None, **rest: Any) -> Any:
        current = dict(Task.objects.filter(id__in=[row.task_id for row in failed]).values_list("id", "attempt"))
        failed = [msgspec.structs.replace(row, attempt=current.get(row.task_id, row.attempt)) for row in failed]
        return real(failed, node_id=None, **rest)

    return mock.patch.object(reporting, "end", end)


def end_overwritten() -> AbstractContextManager[Any]:
    """A success counts after the task's end as well."""
    module = statements()
    real = module.succeed

    def succeed(rows: Any, *, states: Any, **rest: Any) -> Any:
        return real(rows, states=[*states, *(state.value for state in TERMINAL)], **rest)

    return mock.patch.object(module, "succeed", succeed)


def tombstone_ignored() -> AbstractContextManager[Any]:
    """A node forgets that it said it would refuse an attempt."""
    real = Ledger._remember

    def remember(self: Ledger[Any], task_id: str, mark: int) -> None:
        if not mark & 1:
            real(self, task_id, mark)

    return mock.patch.object(Ledger, "_remember", remember)


def ended_attempts_forgotten() -> AbstractContextManager[Any]:
    """A node forgets what it has run: the same delivery again runs again."""
    return mock.patch.object(Ledger, "_remember", return_value=None)


def late_success_refused() -> AbstractContextManager[Any]:
    """The success of an attempt that was given up no longer counts, although no other attempt has begun."""
    return mock.patch.object(endings, "_given_up_before", return_value=[])


def refused_results_not_kept() -> AbstractContextManager[Any]:
    """A superseded result leaves no trace."""
    return mock.patch.object(reporting, "_keep_refused", return_value=None)


def outage_taken_for_silence() -> AbstractContextManager[Any]:
    """After an outage of the engine, nodes it did not listen to count as silent."""
    real = health._judge

    def judge(pulse: Any, _since: float, now: float, rules: Any) -> Any:
        return real(pulse, 0.0, now, rules)

    return _stack(
        mock.patch.object(health, "_judge", judge),
        mock.patch("dispatcher.node_registry.extend_leases", return_value=0),
    )


def mass_silence_not_held() -> AbstractContextManager[Any]:
    """When all nodes fall silent together they are given up as one alone would be."""
    real = health.sweep

    def sweep(pulses: Any, *, rules: Any, **rest: Any) -> Any:
        return real(pulses, rules=replace(rules, mass_count=len(pulses) + 1), **rest)

    return mock.patch.object(health, "sweep", sweep)


def restart_not_noticed() -> AbstractContextManager[Any]:
    """What an earlier start of a node's program held stays with it."""
    return _stack(
        mock.patch("dispatcher.lifecycle.lose_stale", return_value=0),
        mock.patch("dispatcher.node_registry.lose_stale", return_value=0),
    )


def crashes_not_counted() -> AbstractContextManager[Any]:
    """A task that kills its workers is tried as often as one that fails."""
    return mock.patch.object(endings, "_CRASHES", frozenset())


def releases_counted() -> AbstractContextManager[Any]:
    """An attempt that no node took counts like one that failed."""
    real = endings._ending

    def ending(task: Any, row: Any, *rest: Any) -> Any:
        if row.outcome in (AttemptOutcome.RELEASED, AttemptOutcome.REJECTED):
            return real(task, msgspec.structs.replace(row, outcome=AttemptOutcome.FAILED), *rest)
        return real(task, row, *rest)

    return mock.patch.object(endings, "_ending", ending)


def draining_node_gets_work() -> AbstractContextManager[Any]:
    """A node that is stopping, or silent, is given work as any other."""
    real = snapshots._node_view

    def node_view(*args: Any) -> Any:
        return replace(real(*args), draining=False, state=NodeState.ONLINE)

    return mock.patch.object(snapshots, "_node_view", node_view)


def first_caught(defect: Defect, *, most: int) -> tuple[int, str] | None:
    """The first of ``most`` seeds in which a rule or a constraint of the database is broken, and which."""
    for seed in range(defect.first_seed, defect.first_seed + most):
        with defect.patch():
            try:
                simulate(seed)
            except (Broken, IntegrityError) as found:
                return seed, str(found)
    return None


@contextlib.contextmanager
def _stack(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


DEFECTS: dict[str, Defect] = {
    each.__name__: Defect(each, first_seed)
    for each, first_seed in (
        (attempt_not_compared, 144),
        (node_not_compared, 198),
        (lease_null, 0),
        (requeue_without_condition, 20),
        (end_overwritten, 0),
        (tombstone_ignored, 170),
        (ended_attempts_forgotten, 15),
        (late_success_refused, 444),
        (refused_results_not_kept, 92),
        (outage_taken_for_silence, 26),
        (mass_silence_not_held, 157),
        (restart_not_noticed, 21),
        (crashes_not_counted, 14),
        (releases_counted, 0),
        (draining_node_gets_work, 9),
    )
}

"""The circuit breaker of a node, as a pure reducer.

A node that fails fast is always free, so every policy that looks for a free node sends it more: it swallows the
queue. Five failures in a row open its breaker; it gets nothing for 30 s, doubling up to 5 min each time the trial
after that fails; then one task at a time is tried, and the first success closes it.

Times are on one clock, the one of ``Snapshot.now``. What counts as the node's failure is ``experience``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dispatcher.states import BreakerState

FAILURES_TO_OPEN: Final = 5
OPEN_SECONDS: Final = 30.0
MAX_OPEN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one breaker. ``HEALTHY`` is where all start."""

    #: Failures in a row while closed.
    failures: int = 0
    #: Times it opened since it was last closed; 0 means closed.
    trips: int = 0
    opened_at: float = 0.0
    open_until: float = 0.0


HEALTHY: Final = Breaker()


def state_at(breaker: Breaker, now: float) -> BreakerState:
    """What the breaker says at ``now``; opening ends by itself."""
    if breaker.trips == 0:
        return BreakerState.CLOSED
    # Longer than it ever is only where the clock was set back since.
    return BreakerState.OPEN if 0 < breaker.open_until - now <= MAX_OPEN_SECONDS else BreakerState.HALF_OPEN


def after_success(breaker: Breaker, *, at: float, run_seconds: float) -> Breaker:
    """The breaker after a task that succeeded at ``at`` having run for ``run_seconds``.

    While half open any success closes it. While open only one that began after it opened does (in a panic nodes get
    work all the same): a long task from before says nothing about now.
    """
    if state_at(breaker, at) is BreakerState.OPEN and at - run_seconds < breaker.opened_at:
        return breaker
    return HEALTHY


def after_failure(breaker: Breaker, *, at: float, run_seconds: float) -> Breaker:
    """The breaker after a failure of the node at ``at``; stragglers from before it opened change nothing."""
    state = state_at(breaker, at)
    if state is BreakerState.CLOSED:
        failures = breaker.failures + 1
        return _opened(breaker, at) if failures >= FAILURES_TO_OPEN else replace(breaker, failures=failures)
    if state is BreakerState.HALF_OPEN and at - run_seconds >= breaker.opened_at:
        return _opened(breaker, at)
    return breaker


def _opened(breaker: Breaker, at: float) -> Breaker:
    seconds = min(MAX_OPEN_SECONDS, OPEN_SECONDS * 2 ** min(breaker.trips, 16))
    return Breaker(trips=breaker.trips + 1, opened_at=at, open_until=at + seconds)

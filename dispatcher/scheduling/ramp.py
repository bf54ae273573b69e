"""Slowly at first after a standstill: nodes that have just come back, and a database that has, get work by degrees.

A ramp begins only where a standstill ends: nothing was given out for a while, what waits has waited at least as long,
is more than all slots, and the nodes hold next to nothing. So neither a first burst of tasks, nor a backlog that is
being worked off, nor slots that are freed one by one ever meet one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Final

#: Nothing given out, and tasks waiting, for so long: a standstill, in seconds.
STANDSTILL_SECONDS: Final = 10.0
#: The part of all slots that may be filled at first; it doubles every so many seconds.
FIRST_SHARE: Final = 0.1
DOUBLING_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """Carried from one decision to the next. Times are POSIX seconds."""

    #: When tasks were last given out.
    last_claim: float | None = None
    #: When the present ramp began; None: there is none.
    began: float | None = None
    #: Stretches the present ramp, so that several engines do not climb in step; at least 1.
    stretch: float = 1.0

    def may_begin(self, now: float) -> bool:
        """Whether to look at what waits: only then can a ramp begin."""
        return self.began is None and (self.last_claim is None or not 0.0 <= now - self.last_claim < STANDSTILL_SECONDS)

    def look(self, *, now: float, slots: int, in_flight: int, waited: list[float], rand: float) -> Ramp:
        """Begin a ramp if a standstill ends. ``waited``: seconds that each of the first ``slots`` + 1 tasks has waited.

        ``rand`` in [0, 1) is drawn by the caller.
        """
        is_recovery = (
            self.may_begin(now)
            and len(waited) > slots > 0
            and in_flight <= slots * FIRST_SHARE
            and max(waited) >= STANDSTILL_SECONDS
        )
        return replace(self, began=now, stretch=1.0 + rand / 2) if is_recovery else self

    def room(self, *, now: float, slots: int, in_flight: int) -> int | None:
        """How many more tasks may be given out now; None: as many as there is room for."""
        if self.began is None or not 0.0 <= now - self.began < self.seconds:
            return None
        share: float = FIRST_SHARE * 2.0 ** ((now - self.began) / (DOUBLING_SECONDS * self.stretch))
        return max(0, ceil(slots * share) - in_flight)

    def after(self, *, now: float, claimed: int) -> Ramp:
        """The same after a decision."""
        is_over = self.began is not None and not 0.0 <= now - self.began < self.seconds
        return replace(self, last_claim=now if claimed else self.last_claim, began=None if is_over else self.began)

    @property
    def seconds(self) -> float:
        """How long the present ramp takes."""
        return DOUBLING_SECONDS * self.stretch * log2(1.0 / FIRST_SHARE)

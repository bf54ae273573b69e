"""Stretches of time that charts show: which ones there are, in what steps, and how a query string says them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.dateparse import parse_datetime

MINUTE = timedelta(minutes=1)
#: The last so long, by the name that a query string has for it.
RANGES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT = "1h"
#: Points of a chart at most: more would be narrower than its lines.
MAX_POINTS = 120
STEPS = tuple(timedelta(minutes=n) for n in (1, 5, 15, 60, 120, 360, 1440, 4320))
LONGEST = timedelta(days=366)
#: What is shorter shows nothing: there is one figure per minute.
SHORTEST = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1971, 2199


class RangeError(ValueError):
    """A range that cannot be understood. ``name`` is the parameter's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From ``start`` to before ``end``, both on the grid of steps, which begins in 1970 by UTC."""

    start: datetime
    end: datetime
    step: timedelta
    #: Of ``RANGES``; "" for a range that does not move with the clock.
    name: str = ""

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def before(self) -> TimeRange:
        """The range of the same length that ends where this one begins."""
        return TimeRange(self.start - self.length, self.start, self.step)

    @property
    def starts(self) -> list[datetime]:
        """Where each step begins."""
        return [self.start + n * self.step for n in range(self.length // self.step)]

    @property
    def query(self) -> str:
        """The query string that means it."""
        if self.name:
            return urlencode({"range": self.name})
        return urlencode({"from": _text(self.start), "to": _text(self.end)})

    def step_of(self, at: datetime) -> datetime:
        """Where the step begins that ``at`` lies in."""
        return floor(at, self.step)


def floor(at: datetime, step: timedelta) -> datetime:
    """The last point of the grid that is not after ``at``."""
    return at - (at - _EPOCH) % step


def last(name: str, now: datetime) -> TimeRange:
    """The last ``RANGES[name]``; its last step is not over."""
    length = RANGES[name]
    step = step_for(length)
    end = floor(now, step) + step
    return TimeRange((end - length).astimezone(UTC), end.astimezone(UTC), step, name)


def between(start: datetime, end: datetime, now: datetime) -> TimeRange:
    """From ``start`` to ``end``, widened to whole steps, and no further than now. Raises ``RangeError``."""
    if start >= now:
        raise RangeError("from", "must not lie in the future")
    if start >= end:
        raise RangeError("to", "must be later than from")
    end = min(end, now)
    if end - start > LONGEST:
        raise RangeError("from", f"must be at most {LONGEST.days} days before to")
    if end - start < SHORTEST:
        end = min(start + SHORTEST, now)
        start = end - SHORTEST
    step = step_for(end - start)
    first, stop = floor(start, step), floor(end, step)
    return TimeRange(first.astimezone(UTC), (stop if stop == end else stop + step).astimezone(UTC), step)


def parse_range(params: Mapping[str, str], now: datetime, default: str = DEFAULT) -> TimeRange:
    """What ``range=6h``, or ``from=…&to=…`` ask for; the default without any. Raises ``RangeError``.

    Times without a zone are in the one that is active, as a form's fields are.
    """
    name, start, end = (params.get(key, "").strip() for key in ("range", "from", "to"))
    if start or end:
        if name:
            raise RangeError("range", "cannot be given together with from or to")
        if not start:
            raise RangeError("from", "is missing")
        return between(_time("from", start), _time("to", end) if end else now, now)
    if name and name not in RANGES:
        close = get_close_matches(name, RANGES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(RANGES)}"
        raise RangeError("range", f"unknown; {hint}")
    return last(name or (default if default in RANGES else DEFAULT), now)


def step_for(length: timedelta) -> timedelta:
    """The shortest step that gives no more than ``MAX_POINTS`` points."""
    return next((step for step in STEPS if length <= MAX_POINTS * step), STEPS[-1])


def _time(name: str, text: str) -> datetime:
    try:
        # In a query string an unquoted "+" of the zone arrives as a space.
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        moment = None
    if moment is None or not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise RangeError(name, "must be a time such as 2026-11-23T16:57:00Z")
    return timezone.make_aware(moment) if moment.tzinfo is None else moment


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

"""Values: numbers, durations, moments and ages, each with one canonical way to write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2200
_MAX_NUMBER: Final = 10**9
_MAX_SECONDS: Final = 10**9
_MAX_ID: Final = 2**63 - 1

_UNITS: Final = {
    "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400),
    "w": Decimal(604800),
}  # fmt: skip
# Every repetition has an end: none of these takes more than a few steps per character.
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)", re.ASCII)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?", re.ASCII)
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on the calendar, as exact as it was written: ``start`` is in it, ``end`` no longer."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Age:
    """So long before the time of the search."""

    length: timedelta


def number_of(text: str) -> int | None:
    """A whole number."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MAX_NUMBER))):
        return None
    number = int(text)
    return number if abs(number) <= _MAX_NUMBER else None


def id_of(text: str) -> int | None:
    """A task id."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_ID))):
        return None
    number = int(text)
    return number if 0 < number <= _MAX_ID else None


def decimal_of(text: str) -> float | None:
    """A number with or without a fraction."""
    return float(text) if _DECIMAL.fullmatch(text) else None


def seconds_of(text: str) -> float | None:
    """A duration in seconds."""
    found = _DURATION.fullmatch(text.lower())
    if found is None:
        return None
    seconds = Decimal(found[1]) * _UNITS[found[2]]
    return float(seconds) if seconds <= _MAX_SECONDS else None


def time_of(text: str) -> Moment | Age | None:
    """A moment or an age. Without a zone it is UTC."""
    seconds = seconds_of(text)
    if seconds is not None:
        return Age(timedelta(seconds=seconds))
    found = _TIME.fullmatch(text)
    if found is None or not FIRST_YEAR <= int(found[1][:4]) <= LAST_YEAR:
        return None
    day, minute, second, zone = found.groups()
    try:
        start = datetime.fromisoformat(f"{day}T{minute or '00:00'}{second or ''}{(zone or 'Z').upper()}")
    except ValueError:
        return None
    if second and "." in second:
        length = timedelta(microseconds=1)
    else:
        length = timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(days=1)
    start = start.astimezone(UTC)
    return Moment(start, start + length)


def canonical_time(text: str) -> str:
    """A moment or an age that ``time_of`` understands, in its one form."""
    value = time_of(text)
    if not isinstance(value, Moment):
        return canonical_duration(text)
    length = value.end - value.start
    if length == timedelta(days=1):
        return value.start.date().isoformat()
    spec = (
        "minutes" if length == timedelta(minutes=1) else "seconds" if length == timedelta(seconds=1) else "microseconds"
    )
    return value.start.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def canonical_duration(text: str) -> str:
    """A duration that ``seconds_of`` understands, without needless zeros."""
    found = _DURATION.fullmatch(text.lower())
    if found is None:
        raise ValueError(text)
    whole, _, fraction = found[1].partition(".")
    fraction = fraction.rstrip("0")
    return f"{int(whole)}{'.' + fraction if fraction else ''}{found[2]}"

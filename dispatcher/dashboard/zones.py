"""Time zones: which names are known, and how a zone is written beside a time. The browser's half is ``zone.js``."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_MINUTE = 60


@cache
def known_zones() -> frozenset[str]:
    """The IANA names that this machine knows; UTC in any case. Read from its files once."""
    return frozenset({name for name in available_timezones() if not name.startswith(("posix/", "right/"))} | {"UTC"})


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of this name; None for what is none here, such as a path or a name that only the browser knows."""
    return ZoneInfo(name) if name in known_zones() else None


def offset_label(at: datetime) -> str:
    """The zone of an aware time as people write it: UTC, UTC+8, UTC-3:30."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / _MINUTE)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"

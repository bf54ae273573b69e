"""The stretch of time that the charts of a page show: which one is asked for, and what its menu is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from dispatcher import queries
from dispatcher.api.problem_words import said
from dispatcher.dashboard.overview_formats import range_name
from dispatcher.dashboard.preferences import preferences_of
from dispatcher.dashboard.zones import offset_label
from dispatcher.queries.ranges import DEFAULT, RANGES
from dispatcher.queries.shapes import SeriesPoint


def charts_context(
    request: HttpRequest,
    now: datetime,
    read: Callable[[queries.TimeRange], list[SeriesPoint]],
    names: Sequence[str] = tuple(RANGES),
) -> dict[str, Any]:
    """What a page with charts of one thing is rendered from: the first points, and the menu of the range."""
    asked, error = asked_range(request, now)
    if asked.name and asked.name not in names and "range" not in request.GET:
        # What was chosen last, on a page that has more.
        asked = queries.parse_range({}, now)
    points = read(asked)
    return {
        "first": {"points": points},
        "table_points": list(reversed(points)),
        "range_error": error,
        **range_context(request, asked, now, names),
    }


def asked_range(request: HttpRequest, now: datetime) -> tuple[queries.TimeRange, str]:
    """The range that the address asks for, or the one that was chosen last; and what is wrong with the address."""
    remembered = preferences_of(request).range
    try:
        return queries.parse_range(request.GET.dict(), now, remembered), ""
    except queries.RangeError as problem:
        return queries.parse_range({}, now, remembered), f"{problem.name}: {said(problem.message)}"


def range_context(
    request: HttpRequest, asked: queries.TimeRange, now: datetime, names: Sequence[str] = tuple(RANGES)
) -> dict[str, Any]:
    """What the menu in the top bar is made of, which offers ``names``."""
    row = {"range": asked.name, "start": asked.start, "end": asked.end}
    start, end = timezone.localtime(asked.start), timezone.localtime(asked.end)
    return {
        "time_range": asked,
        "remembered_range": preferences_of(request).range or DEFAULT,
        "range_row": row,
        "range_title": range_name(row, now),
        "ranges": [{"range": name} for name in names],
        "range_from": f"{start:%Y-%m-%dT%H:%M}",
        "range_to": "" if asked.name else f"{end:%Y-%m-%dT%H:%M}",
        "range_zone": f"{timezone.get_current_timezone_name()} ({offset_label(timezone.localtime(now))})",
    }

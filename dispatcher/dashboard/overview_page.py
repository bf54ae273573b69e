"""What the overview is rendered from: the document of the live topic, and the figures of the time range."""

from __future__ import annotations

from collections.abc import Mapping
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
from dispatcher.states import TERMINAL

#: Members of the figures of a range that take the place of those of the last hour.
_OF_RANGE = ("range", "start", "end", "failed", "failed_before", "failures")


def overview_context(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """``health`` is the document with the figures of the range in it; ``first`` are the first points of the charts."""
    asked, error = asked_range(request, now)
    document = queries.overview(now)
    figures: Mapping[str, Any]
    if asked.name == DEFAULT:
        # The live document has them.
        points = document["series"]
        figures = {"range": asked.name, "start": asked.start, "end": asked.end}
    else:
        series = queries.time_series(asked, now)
        points, figures = series["points"], {name: series[name] for name in _OF_RANGE}  # type: ignore[literal-required]
    ended = any(document["counts"][state.word] for state in TERMINAL)  # type: ignore[literal-required]
    return {
        "document": document,
        "health": {**document, **figures},
        "first": {"figures": figures, "points": points},
        "table_points": reversed(points),
        "is_first_run": not (document["nodes_total"] and ended),
        "range_error": error,
        **range_context(request, asked, now),
    }


def asked_range(request: HttpRequest, now: datetime) -> tuple[queries.TimeRange, str]:
    """The range that the address asks for, or the one that was chosen last; and what is wrong with the address."""
    remembered = preferences_of(request).range
    try:
        return queries.parse_range(request.GET.dict(), now, remembered), ""
    except queries.RangeError as problem:
        return queries.parse_range({}, now, remembered), f"{problem.name}: {said(problem.message)}"


def range_context(request: HttpRequest, asked: queries.TimeRange, now: datetime) -> dict[str, Any]:
    """What the menu in the top bar is made of."""
    row = {"range": asked.name, "start": asked.start, "end": asked.end}
    start, end = timezone.localtime(asked.start), timezone.localtime(asked.end)
    return {
        "time_range": asked,
        "remembered_range": preferences_of(request).range or DEFAULT,
        "range_row": row,
        "range_title": range_name(row, now),
        "ranges": [{"range": name} for name in RANGES],
        "range_from": f"{start:%Y-%m-%dT%H:%M}",
        "range_to": "" if asked.name else f"{end:%Y-%m-%dT%H:%M}",
        "range_zone": f"{timezone.get_current_timezone_name()} ({offset_label(timezone.localtime(now))})",
    }

"""What the overview is rendered from: the document of the live topic, and the figures of the time range."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from dispatcher import queries
from dispatcher.dashboard.time_range import asked_range, range_context
from dispatcher.queries.ranges import DEFAULT
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

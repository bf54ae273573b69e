"""What the page of tasks shows around its rows: tabs with counts, links from page to page, the filters in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from dispatcher.queries import TaskFilters
from dispatcher.queries.shapes import Counts, TaskPage
from dispatcher.queries.tasks_document import lane_counts
from dispatcher.states import ACTIVE, TaskState

PAGE_SIZE: Final = 50


def context(filters: TaskFilters, after: int | None, page: TaskPage) -> dict[str, Any]:
    """Everything but the rows. ``after``: where this page begins, None for the first."""
    params = filters.params()
    without_state = replace(filters, states=frozenset())
    return {
        "params": params,
        "has_filters": bool(without_state.params()),
        "clear_url": _url({"state": params.get("state", "")}),
        "tabs": _tabs(filters, lane_counts(without_state)),
        "after": after,
        "limit": PAGE_SIZE,
        "first_url": _url(params) if after else None,
        "next_url": _url(params | {"after": page["next"]}) if page["next"] else None,
        "searched_to": page["searched_to"],
    }


def _tabs(filters: TaskFilters, counts: Counts | None) -> list[dict[str, Any]]:
    """One tab per state, the two active ones together, and one for all."""
    groups: list[tuple[str, frozenset[TaskState]]] = [
        (_("All"), frozenset()),
        (_("Scheduled"), frozenset({TaskState.SCHEDULED})),
        (_("Queued"), frozenset({TaskState.QUEUED})),
        (_("Running"), ACTIVE),
        (_("Succeeded"), frozenset({TaskState.SUCCEEDED})),
        (_("Failed"), frozenset({TaskState.FAILED})),
        (_("Cancelled"), frozenset({TaskState.CANCELLED})),
        (_("Expired"), frozenset({TaskState.EXPIRED})),
    ]
    return [
        {
            "label": label,
            "url": _url(replace(filters, states=states).params()),
            "is_current": filters.states == states,
            "states": ",".join(state.word for state in sorted(states or TaskState)),
            "count": None if counts is None else sum(_count(counts, state) for state in states or TaskState),
        }
        for label, states in groups
    ]


def _count(counts: Counts, state: TaskState) -> int:
    numbers: dict[str, Any] = dict(counts)
    return int(numbers.get(state.word, 0))


def _url(params: dict[str, str]) -> str:
    given = {name: value for name, value in params.items() if value}
    return reverse("dashboard:tasks") + ("?" + urlencode(given) if given else "")

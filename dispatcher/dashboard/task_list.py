"""What the page of tasks shows around its rows: query, chips, tabs with counts, how far was searched, links."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from dispatcher import queries
from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskFilters
from dispatcher.queries.shapes import Counts
from dispatcher.queries.task_search import Matches, matches
from dispatcher.queries.tasks_document import lane_counts
from dispatcher.search import KEYS, MAX_CHARS, Query
from dispatcher.search.keys import MEMBER
from dispatcher.states import ACTIVE, TaskState

PAGE_SIZE: Final = 50
_NONE_FOUND: Final = Matches(
    page={"rows": [], "next": None, "searched_to": None}, count=0, is_capped=False, searched=None
)


def context(params: QueryDict) -> dict[str, Any]:
    """Everything that the page shows, by its address."""
    after = parse_task_id(params.get("after", ""))
    is_wider = params.get("wider") == "true"
    try:
        filters = TaskFilters.parse(params, ignore=("after", "wider"))
    except FilterError as error:
        # What was meant is not known: nothing is shown in its place.
        return _shown(TaskFilters(), None, _NONE_FOUND) | _error(error, params.get("q", "")[:MAX_CHARS])
    if filters == TaskFilters():
        page = queries.task_page(filters, after=after, limit=PAGE_SIZE)
        found = replace(_NONE_FOUND, page=page)
    else:
        found = matches(filters, after=after, limit=PAGE_SIZE, wider=is_wider)
    return _shown(filters, after, found, is_wider=is_wider)


def _shown(filters: TaskFilters, after: int | None, found: Matches, *, is_wider: bool = False) -> dict[str, Any]:
    text, page, counts = filters.text, found.page, queries.live_counts()
    wide = {"wider": "true"} if is_wider else {}
    is_first = after is None
    return {
        "document": page,
        "q": text,
        "params": filters.params(),
        "chips": _chips(filters),
        "tabs": _tabs(filters, lane_counts(replace(filters, states=frozenset()), counts)),
        "keys": [*KEYS.values(), MEMBER],
        "after": after,
        "limit": PAGE_SIZE,
        "first_url": None if is_first else url_of(text, **wide),
        "next_url": url_of(text, **wide, after=page["next"]) if page["next"] else None,
        "searched_to": page["searched_to"],
        "found": found if text and is_first else None,
        "total": sum(_count(counts.totals(), state) for state in TaskState) if found.searched else None,
        "wider_url": url_of(text, wider="true") if found.searched and not is_wider and not found.is_capped else None,
        "csv_url": reverse("dashboard:tasks_csv") + ("?" + urlencode({"q": text} | wide) if text else ""),
    }


def _error(error: FilterError, text: str) -> dict[str, Any]:
    """The query as it was typed, what is wrong with it, and what may have been meant."""
    search = error.search
    if search is None:
        return {"error": str(error), "q": text, "has_error": True}
    return {
        "has_error": True,
        "error": search.said(_),
        "q": text,
        "error_parts": (text[: search.start], text[search.start : search.end] or " ", text[search.end :]),
        "suggestion": search.suggestion,
        "suggestion_url": url_of(search.suggestion),
    }


def _chips(filters: TaskFilters) -> list[dict[str, str]]:
    """One for each term, with the address of the list without it."""
    terms = filters.query.terms
    return [
        {"text": str(term), "url": url_of(str(Query(terms[:place] + terms[place + 1 :])))}
        for place, term in enumerate(terms)
    ]


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
            "url": url_of(replace(filters, states=states).text),
            "is_current": filters.states == states,
            "states": ",".join(state.word for state in sorted(states or TaskState)),
            "count": None if counts is None else sum(_count(counts, state) for state in states or TaskState),
        }
        for label, states in groups
    ]


def _count(counts: Counts, state: TaskState) -> int:
    numbers: dict[str, Any] = dict(counts)
    return int(numbers.get(state.word, 0))


def url_of(text: str, **params: str | None) -> str:
    """The address of the list of what matches the query."""
    given = {name: value for name, value in ({"q": text} | params).items() if value}
    return reverse("dashboard:tasks") + ("?" + urlencode(given) if given else "")

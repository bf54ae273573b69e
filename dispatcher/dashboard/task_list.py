"""What the page of tasks shows around its rows: query, chips, tabs with counts, how far was searched, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from dispatcher import queries
from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskFilters
from dispatcher.queries.shapes import Counts
from dispatcher.queries.task_look import TaskLook, cols_of, sort_of
from dispatcher.queries.task_search import Matches, matches
from dispatcher.queries.tasks_document import lane_counts
from dispatcher.search import KEYS, MAX_CHARS, Query
from dispatcher.search.keys import MEMBER
from dispatcher.states import ACTIVE, TaskState

PAGE_SIZE: Final = 50
_NONE_FOUND: Final = Matches(
    page={"rows": [], "next": None, "searched_to": None}, count=0, is_capped=False, searched=None
)


#: Parameters of the page beside what is searched for.
OWN_PARAMS: Final = ("after", "wider", "view", "sort", "cols")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a list is: what its address says, but for how far down it is read."""

    look: TaskLook = field(default_factory=TaskLook)
    is_wider: bool = False
    #: The id of the saved view that it began as; "" without one.
    view: str = ""

    def url(self, *, after: str | None = None) -> str:
        """The address."""
        return reverse("dashboard:tasks") + _query(
            q=self.look.q,
            sort=self.look.sort,
            cols=self.look.cols,
            wider="true" if self.is_wider else "",
            view=self.view,
            after=after,
        )

    def about(self, q: str) -> str:
        """The address of another query, with all else as it is but how far it is searched."""
        return replace(self, look=replace(self.look, q=q), is_wider=False).url()


def context(params: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the page shows, by its address."""
    after = parse_task_id(params.get("after", ""))
    address = Address(is_wider=params.get("wider") == "true", view=_view_id(params))
    try:
        filters = TaskFilters.parse(params, ignore=OWN_PARAMS)
        look = TaskLook(q=filters.text, sort=sort_of(params.get("sort", "")), cols=cols_of(params.get("cols", "")))
    except FilterError as error:
        # What was meant is not known: nothing is shown in its place.
        typed = params.get("q", "")[:MAX_CHARS]
        return _shown(TaskFilters(), replace(address, is_wider=False), None, _NONE_FOUND) | _error(
            error, typed, address
        )
    if filters == TaskFilters():
        page = queries.task_page(filters, after=after, limit=PAGE_SIZE)
        found = replace(_NONE_FOUND, page=page)
    else:
        found = matches(filters, after=after, limit=PAGE_SIZE, wider=address.is_wider)
    return _shown(filters, replace(address, look=look), after, found)


def _shown(filters: TaskFilters, address: Address, after: int | None, found: Matches) -> dict[str, Any]:
    text, page, counts = filters.text, found.page, queries.live_counts()
    is_first = after is None
    may_widen = found.searched and not address.is_wider and not found.is_capped
    return {
        "address": address,
        "document": page,
        "q": text,
        "params": filters.params(),
        "chips": _chips(filters, address),
        "all_url": address.about(""),
        # Of this page of the list, wherever it was rendered.
        "list_url": address.url(after=None if is_first else str(after)),
        "tabs": _tabs(filters, address, lane_counts(replace(filters, states=frozenset()), counts)),
        "keys": [*KEYS.values(), MEMBER],
        "after": after,
        "limit": PAGE_SIZE,
        "first_url": None if is_first else address.url(),
        "next_url": address.url(after=page["next"]) if page["next"] else None,
        "searched_to": page["searched_to"],
        "found": found if text and is_first else None,
        "total": sum(_count(counts.totals(), state) for state in TaskState) if found.searched else None,
        "wider_url": replace(address, is_wider=True).url() if may_widen else None,
        "csv_url": reverse("dashboard:tasks_csv") + _query(q=text, wider="true" if address.is_wider and text else ""),
    }


def _error(error: FilterError, text: str, address: Address) -> dict[str, Any]:
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
        "suggestion_url": address.about(search.suggestion),
    }


def _chips(filters: TaskFilters, address: Address) -> list[dict[str, str]]:
    """One for each term, with the address of the list without it."""
    terms = filters.query.terms
    return [
        {"text": str(term), "url": address.about(str(Query(terms[:place] + terms[place + 1 :])))}
        for place, term in enumerate(terms)
    ]


def _tabs(filters: TaskFilters, address: Address, counts: Counts | None) -> list[dict[str, Any]]:
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
            "url": address.about(replace(filters, states=states).text),
            "is_current": filters.states == states,
            "states": ",".join(state.word for state in sorted(states or TaskState)),
            "count": None if counts is None else sum(_count(counts, state) for state in states or TaskState),
        }
        for label, states in groups
    ]


def _count(counts: Counts, state: TaskState) -> int:
    numbers: dict[str, Any] = dict(counts)
    return int(numbers.get(state.word, 0))


def _view_id(params: Mapping[str, str]) -> str:
    number = parse_task_id(params.get("view", ""))
    return str(number) if number else ""


def _query(**params: str | None) -> str:
    given = {name: value for name, value in params.items() if value}
    return "?" + urlencode(given) if given else ""

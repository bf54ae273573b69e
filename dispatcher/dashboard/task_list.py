"""What the page of tasks shows around its rows: query, chips, tabs with counts, how far was searched, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dispatcher import queries
from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskFilters
from dispatcher.queries.shapes import Counts
from dispatcher.queries.task_bounds import ends
from dispatcher.queries.task_look import COLUMNS, OLDEST, SORTED_WITHIN, USUAL_COLUMNS, TaskLook, cols_of, sort_of
from dispatcher.queries.task_search import Matches
from dispatcher.queries.task_sort import Reading, ordered, parse_cursor, read
from dispatcher.queries.tasks_document import lane_counts
from dispatcher.search import KEYS, MAX_CHARS, Query
from dispatcher.search.keys import MEMBER
from dispatcher.states import ACTIVE, TaskState

PAGE_SIZE: Final = 50
_NONE_FOUND: Final = Matches(
    page={"rows": [], "next": None, "searched_to": None}, count=0, is_capped=False, searched=None
)


#: Parameters of the page beside what is searched for.
OWN_PARAMS: Final = ("after", "wider", "view", "sort", "cols", "keep")

_LABELS: Final = {
    "queue": gettext_lazy("Queue"),
    "node": gettext_lazy("Node"),
    "try": gettext_lazy("Try"),
    "waited": gettext_lazy("Waited"),
    "ran": gettext_lazy("Ran"),
    "created": gettext_lazy("Created"),
    "started": gettext_lazy("Started"),
    "ended": gettext_lazy("Ended"),
    "priority": gettext_lazy("Priority"),
    "tags": gettext_lazy("Tags"),
    "submitter": gettext_lazy("Submitted by"),
    "error": gettext_lazy("Error"),
}
_ORDERS: Final = {
    "": gettext_lazy("Newest first"),
    "created": gettext_lazy("Oldest first"),
    "-waited": gettext_lazy("Waited longest first"),
    "waited": gettext_lazy("Waited shortest first"),
    "-ran": gettext_lazy("Ran longest first"),
    "ran": gettext_lazy("Ran shortest first"),
    "-try": gettext_lazy("Most attempts first"),
    "try": gettext_lazy("Fewest attempts first"),
    "-priority": gettext_lazy("Highest priority first"),
    "priority": gettext_lazy("Lowest priority first"),
    "-ended": gettext_lazy("Last ended first"),
    "ended": gettext_lazy("First ended first"),
}
_TEXTS: Final = frozenset({"queue", "node", "tags", "submitter", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a list is: what its address says, but for how far down it is read."""

    look: TaskLook = field(default_factory=TaskLook)
    is_wider: bool = False
    #: The id of the saved view that it began as; "" without one.
    view: str = ""

    @property
    def params(self) -> dict[str, str]:
        """What it says."""
        found = {
            "q": self.look.q,
            "sort": self.look.sort,
            "cols": self.look.cols,
            "wider": "true" if self.is_wider else "",
            "view": self.view,
        }
        return {name: value for name, value in found.items() if value}

    def url(self, **more: str | None) -> str:
        """The address, and ``after`` and the like."""
        return reverse("dashboard:tasks") + _query(**self.params, **more)

    def about(self, q: str) -> str:
        """The address of another query, with all else as it is but how far it is searched."""
        return replace(self, look=replace(self.look, q=q), is_wider=False).url()


@dataclass(frozen=True, slots=True)
class Column:
    """One that the list can show beside state, type and id."""

    name: str
    label: str
    is_shown: bool
    is_number: bool
    #: "ascending", "descending", or "" if the list is not sorted by it; and where it is, or is the other way round.
    aria_sort: str = ""
    sort_url: str = ""


def rows_of(params: Mapping[str, str]) -> dict[str, Any]:
    """A page of the list for scripts: its rows, where the next one begins, what was searched. ``FilterError``."""
    filters, address, after = _asked(params)
    found = _found(filters, address, after)
    scope = ""
    if filters.text or address.look.sort:
        scope = render_to_string("dashboard/parts/task_scope.html", _scope(address, found, queries.live_counts()))
    return {"rows": found.page["rows"], "next": found.page["next"], "scope": " ".join(scope.split())}


def context(params: Mapping[str, str], preferred: str = "") -> dict[str, Any]:
    """Everything that the page shows, by its address. ``preferred``: the columns that the reader likes."""
    shown = _context(params)
    cols = shown["address"].look.cols or preferred
    return shown | {
        "cols": cols.split(",") if cols else USUAL_COLUMNS,
        "columns": _columns(cols.split(",") if cols else USUAL_COLUMNS, shown["address"]),
    }


def _context(params: Mapping[str, str]) -> dict[str, Any]:
    try:
        filters, address, after = _asked(params)
    except FilterError as error:
        # What was meant is not known: nothing is shown in its place.
        address = Address(view=_view_id(params))
        return _shown(TaskFilters(), address, "", _NONE_FOUND) | _error(error, params.get("q", "")[:MAX_CHARS], address)
    return _shown(filters, address, after, _found(filters, address, after))


def _asked(params: Mapping[str, str]) -> tuple[TaskFilters, Address, str]:
    """What an address asks for, and from where on ("" from the beginning)."""
    filters = TaskFilters.parse(params, ignore=OWN_PARAMS)
    look = TaskLook(q=filters.text, sort=sort_of(params.get("sort", "")), cols=cols_asked(params))
    address = Address(look=look, is_wider=params.get("wider") == "true", view=_view_id(params))
    after = params.get("after", "")
    return filters, address, after if parse_cursor(after) else ""


def _found(filters: TaskFilters, address: Address, after: str) -> Matches:
    sort = address.look.sort
    how = Reading.of(parse_cursor(after), sort=sort, limit=PAGE_SIZE, wider=address.is_wider)
    if filters == TaskFilters() and not sort:
        return replace(_NONE_FOUND, page=read(filters, how))
    return ordered(filters, how)


def _scope(address: Address, found: Matches, counts: queries.LiveCounts) -> dict[str, Any]:
    """How far was searched."""
    sort = address.look.sort
    return {
        "found": found,
        "total": sum(_count(counts.totals(), state) for state in TaskState) if found.searched else None,
        "is_oldest_first": sort == OLDEST,
        "is_sorted_within": sort not in ("", OLDEST),
    }


def _shown(filters: TaskFilters, address: Address, after: str, found: Matches) -> dict[str, Any]:
    text, page, counts = filters.text, found.page, queries.live_counts()
    is_first, sort = not after, address.look.sort
    may_widen = found.searched and not address.is_wider and not found.is_capped
    return _scope(address, found, counts) | {
        "address": address,
        "document": page,
        "q": text,
        "params": filters.params(),
        "chips": _chips(filters, address),
        "all_url": address.about(""),
        "hidden_params": [(name, value) for name, value in address.params.items() if name not in ("cols", "sort")],
        "orders": _ORDERS.items(),
        "usual_url": replace(address, look=replace(address.look, cols="")).url(keep="true"),
        # Of this page of the list, wherever it was rendered.
        "list_url": address.url(after=after),
        # A short page is where a search ended: to go on from there is for the reader to say.
        "grows_from": (len(page["rows"]) >= PAGE_SIZE and page["next"]) or "",
        "rows_url": reverse("dashboard:task_rows") + _query(**address.params),
        "tabs": _tabs(filters, address, lane_counts(replace(filters, states=frozenset()), counts)),
        "keys": [*KEYS.values(), MEMBER],
        "after": after,
        "limit": PAGE_SIZE,
        "first_url": None if is_first else address.url(),
        "next_url": address.url(after=page["next"]) if page["next"] else None,
        "searched_to": page["searched_to"],
        "found": found if (text or sort) and is_first else None,
        # No new task comes first then: they are those above the newest that there is.
        "newest": ends()[1] if sort else None,
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


def _columns(shown: Sequence[str], address: Address) -> list[Column]:
    return [
        Column(name, str(_LABELS[name]), name in shown, name not in _TEXTS, *_sorting(name, address))
        for name in COLUMNS
    ]


def _sorting(name: str, address: Address) -> tuple[str, str]:
    """How the list is sorted by the column, and the address of what a press on its head gives."""
    now = address.look.sort
    if name == OLDEST:
        told, other = {"": ("descending", OLDEST), OLDEST: ("ascending", "")}.get(now, ("", ""))
    elif name in SORTED_WITHIN:
        told, other = {f"-{name}": ("descending", name), name: ("ascending", "")}.get(now, ("", f"-{name}"))
    else:
        return "", ""
    return told, replace(address, look=replace(address.look, sort=other)).url()


def cols_asked(params: Mapping[str, str]) -> str:
    """The columns that an address names, with commas or, as boxes of a form do, one by one. Raises ``FilterError``."""
    names = params.getlist("cols") if isinstance(params, QueryDict) else [params.get("cols", "")]
    return cols_of(",".join(names))


def _view_id(params: Mapping[str, str]) -> str:
    number = parse_task_id(params.get("view", ""))
    return str(number) if number else ""


def _query(**params: str | None) -> str:
    given = {name: value for name, value in params.items() if value}
    return "?" + urlencode(given) if given else ""

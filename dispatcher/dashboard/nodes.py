"""The pages of nodes: the pool as a map or a list, and one node."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dispatcher import queries
from dispatcher.dashboard.formats import word
from dispatcher.dashboard.node_formats import reason_texts
from dispatcher.dashboard.time_range import charts_context
from dispatcher.dashboard.views import missing, page_of
from dispatcher.queries import NodeFilter, NodeFilterError
from dispatcher.queries.node_filter import STATUSES
from dispatcher.queries.node_pool import SHOWN
from dispatcher.queries.shapes import SeriesPoint

#: Up to so many nodes the map shows each as a card, and as a line; beyond that as a square.
CARDS: Final = 24
LINES: Final = 100
#: What the menu of a node's page offers: its minutes are kept for three hours.
NODE_RANGES: Final = ("15m", "1h")
SHAPES: Final = ("cards", "lines", "squares")


@login_required
@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    """All nodes, or those that are asked for, and how to join one."""
    error = ""
    try:
        wanted = NodeFilter.parse(request.GET.get("q", ""))
    except NodeFilterError as problem:
        wanted, error = NodeFilter(), str(problem)
    shows_all = request.GET.get("all") == "1"
    now = timezone.now()
    document = queries.nodes_document(now, wanted=wanted, shown=None if shows_all else SHOWN)
    view = "list" if request.GET.get("view") == "list" else "map"
    shape = _shape(request.GET.get("shape", ""), document["matching"]) if view == "map" else ""
    asked = {name: value for name, value in (("q", wanted.text), ("all", "1" if shows_all else "")) if value}
    return page_of(
        request,
        "nodes",
        "nodes",
        document=document,
        topic="nodes" + (f":{urlencode(asked)}" if asked else ""),
        wanted=wanted,
        typed=request.GET.get("q", "")[:200],
        filter_error=error,
        view=view,
        shape=shape,
        row_template=f"dashboard/rows/node_{'card' if shape == 'cards' else 'strip'}.html",
        views=[_link(request, label, view=name) for name, label in (("map", _("Map")), ("list", _("List")))],
        shapes=[_link(request, label, shape=name) for name, label in zip(SHAPES, _shape_names(), strict=True)],
        statuses=[_status_link(request, status, wanted, now) for status in ("problem", *STATUSES)],
        kept=_kept(request),
        unfiltered_url="?" + urlencode(_kept(request)),
        all_url="?" + urlencode(request.GET.dict() | {"all": "1"}),
        origin=request.build_absolute_uri("/").rstrip("/"),
        own_address="http://ADDRESS:9000",
    )


def _shape_names() -> tuple[str, str, str]:
    return _("Cards"), _("Lines"), _("Squares")


def _shape(asked: str, count: int) -> str:
    if asked in SHAPES:
        return asked
    return "cards" if count <= CARDS else "lines" if count <= LINES else "squares"


def _link(request: HttpRequest, label: str, **change: str) -> dict[str, str]:
    """A choice that is kept in the address, beside the others that are."""
    [(_name, value)] = change.items()
    return {"label": label, "value": value, "url": "?" + urlencode(request.GET.dict() | change)}


def _kept(request: HttpRequest) -> list[tuple[str, str]]:
    """How the nodes are drawn, which another filter does not change."""
    return [(name, request.GET[name]) for name in ("view", "shape") if request.GET.get(name)]


def _status_link(request: HttpRequest, status: str, wanted: NodeFilter, now: datetime) -> dict[str, object]:
    label = _("With problems") if status == "problem" else word(status, now)
    text = f"status:{status}"
    url = "?" + urlencode([*_kept(request), ("q", text)])
    return {"status": status, "label": label, "url": url, "is_chosen": wanted.text == text}


@login_required
@require_safe
def node(request: HttpRequest, name: str) -> HttpResponse:
    """One node: its load, what it runs, what happened to it."""
    now = timezone.now()
    document = queries.node_detail(name, now)
    if document is None:
        title, text = _("There is no node of this name"), _("Nodes appear when their program comes up.")
        return missing(request, "nodes", title, text, (reverse("dashboard:nodes"), _("All nodes")))

    def points(span: queries.TimeRange) -> list[SeriesPoint]:
        series = queries.node_series(name, span)
        return series["points"] if series else []

    charts = charts_context(request, now, points, NODE_RANGES)
    return page_of(request, "node", "nodes", document=document, page_words=reason_texts(), **charts)

"""The page of tasks, and its views: choosing one, keeping what is shown under a name, changing and deleting that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import msgspec
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dispatcher import queries, roles, saved_views
from dispatcher.dashboard import preferences, task_list
from dispatcher.dashboard.task_list import Address, cols_asked
from dispatcher.dashboard.views import page_of
from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskLook
from dispatcher.queries.shapes import SavedViewRow
from dispatcher.queries.task_look import OLDEST, USUAL_COLUMNS
from dispatcher.saved_views import UnknownView, ViewRefused

_BUILT_IN: Final = (
    (gettext_lazy("All tasks"), "", ""),
    (gettext_lazy("Failed within a day"), "state:failed ended:<1d", ""),
    (gettext_lazy("Running"), "state:dispatched,running", ""),
    (gettext_lazy("Waiting longest"), "state:queued", OLDEST),
    (gettext_lazy("Stuck"), "is:stuck", ""),
)
#: Of what a form of this page sends, the parameters of the page itself.
_PARAMS: Final = ("q", "sort", "cols", "view", "wider")


@dataclass(frozen=True, slots=True)
class Entry:
    """A view in the menu. ``owner`` is "" for one's own and for those that are always there."""

    name: str
    url: str
    is_current: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody wants to keep, as they filled it in, and what is wrong with it."""

    name: str = ""
    shared: bool = False
    error: str = ""


@login_required
@require_safe
def tasks(request: HttpRequest) -> HttpResponse:
    """Tasks that match a query, newest first. ``?view=`` alone is the address of a view, whatever becomes of it."""
    if set(request.GET) == {"view"} and (row := _seen(request, request.GET["view"])):
        return redirect(Address(look=_look_of(row), view=row["id"]).url())
    if "keep" in request.GET and (response := _kept_columns(request)) is not None:
        return response
    return _page(request, request.GET)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep what is shown as a new view."""
    if request.method != "POST":
        return redirect("dashboard:tasks")
    return _kept(request, None)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_view(request: HttpRequest, view_id: str) -> HttpResponse:
    """Give one's view another name, show it to others or not, and let it be what is shown now."""
    if request.method != "POST":
        return redirect("dashboard:tasks")
    return _kept(request, parse_task_id(view_id))


@login_required
@require_POST
def delete_view(request: HttpRequest, view_id: str) -> HttpResponse:
    """Delete one's own view, or as an admin one that is shared; the page stays as it is."""
    try:
        saved_views.delete(_account(request), int(view_id), now=timezone.now())
    except UnknownView:
        raise Http404 from None
    try:
        look = TaskLook.parse(request.POST)
    except FilterError:
        look = TaskLook()
    return redirect(Address(look=look).url())


@login_required
@require_safe
def task_rows(request: HttpRequest) -> HttpResponse:
    """A page of the list as data: what scripts put below what is read, or in its place."""
    try:
        page = task_list.rows_of(request.GET)
    except FilterError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    body = msgspec.json.encode(page)
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "no-store"})


def _kept_columns(request: HttpRequest) -> HttpResponse | None:
    """Remember the chosen columns in this browser, and go on to the page that shows them; None if there are no such."""
    try:
        cols = cols_asked(request.GET)
    except FilterError:
        return None
    # Those that are usual need not be in the address: who opens it has chosen none, or others.
    cols = "" if cols == ",".join(USUAL_COLUMNS) else cols
    asked = request.GET.copy()
    del asked["keep"]
    asked.setlist("cols", [cols] if cols else [])
    query = asked.urlencode()
    response = redirect(request.path + (f"?{query}" if query else ""))
    preferences.keep(response, replace(preferences.preferences_of(request), cols=cols))
    return response


def _kept(request: HttpRequest, view_id: int | None) -> HttpResponse:
    form = Form(request.POST.get("name", ""), "shared" in request.POST)
    if form.shared and not roles.may_operate(request.user):
        raise PermissionDenied
    user, now = _account(request), timezone.now()
    try:
        address = Address(look=TaskLook.parse(request.POST))
        wanted: dict[str, Any] = {"name": form.name, "look": address.look, "shared": form.shared, "now": now}
        view = saved_views.edit(user, view_id, **wanted) if view_id else saved_views.save(user, **wanted)
    except UnknownView:
        raise Http404 from None
    except FilterError as error:
        return _page(request, request.POST, status=400, form=replace(form, error=str(error)))
    except ViewRefused as refused:
        status = 409 if refused.is_conflict else 400
        return _page(request, request.POST, status=status, form=replace(form, error=str(refused)))
    return redirect(replace(address, view=str(view.pk)).url())


def _page(
    request: HttpRequest, params: Mapping[str, str], *, status: int = 200, form: Form | None = None
) -> HttpResponse:
    asked = {name: params[name] for name in _PARAMS if name in params} if form else params
    shown = task_list.context(asked, preferences.preferences_of(request).cols)
    menu = _menu(request, shown["address"], form)
    return page_of(request, "tasks", "tasks", status=status, **shown, views=menu)


def _menu(request: HttpRequest, address: Address, form: Form | None) -> dict[str, Any]:
    """The entries, the view that is shown, and the form that keeps one."""
    rows = queries.saved_views(request.user)
    chosen = next((row for row in rows if row["id"] == address.view), None)
    # A view that was not asked for by its name is one all the same if it shows just this.
    found = chosen or next((row for row in rows if _look_of(row) == address.look), None)
    me = request.user.get_username()
    built_in = [
        Entry(str(name), Address(look=look).url(), not found and look == address.look) for name, look in _built_in()
    ]
    entries = [
        Entry(row["name"], _url_of(row), row is found, "" if row["owner"] == me else row["owner"]) for row in rows
    ]
    is_mine = found is not None and found["owner"] == me
    current = found["name"] if found else next((entry.name for entry in built_in if entry.is_current), "")
    return {
        "built_in": built_in,
        "own": [entry for entry in entries if not entry.owner],
        "shared": [entry for entry in entries if entry.owner],
        "current": current,
        "found": found,
        "is_mine": is_mine,
        "is_changed": found is not None and _look_of(found) != address.look,
        "saved_url": _url_of(found) if found else "",
        "may_delete": is_mine or (found is not None and roles.may_administer(request.user)),
        "is_missing": bool(address.view) and chosen is None,
        "form": form or Form(found["name"] if found and is_mine else "", bool(found and is_mine and found["shared"])),
    }


@cache
def _built_in() -> list[tuple[Any, TaskLook]]:
    return [(name, TaskLook.parse({"q": q, "sort": sort})) for name, q, sort in _BUILT_IN]


def _look_of(row: SavedViewRow) -> TaskLook:
    return TaskLook(q=row["q"], sort=row["sort"], cols=row["cols"])


def _url_of(row: SavedViewRow) -> str:
    return Address(look=_look_of(row), view=row["id"]).url()


def _seen(request: HttpRequest, text: str) -> SavedViewRow | None:
    number = parse_task_id(text)
    return queries.saved_view(request.user, number) if number else None


def _account(request: HttpRequest) -> Any:
    return request.user

"""Saved views of the list of tasks: list, save, read, edit, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request

from dispatcher import queries, saved_views
from dispatcher.api.problems import STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.tasks import bad_filter
from dispatcher.api.validation import LINE
from dispatcher.api.views import ApiView, NoFields, answer, known_params
from dispatcher.models import SavedView
from dispatcher.models.saved_view import MAX_NAME_CHARS
from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskLook
from dispatcher.queries.saved_views import row_of
from dispatcher.queries.shapes import SavedViewRow
from dispatcher.saved_views import UnknownView, ViewRefused
from dispatcher.scopes import Scope
from dispatcher.search import MAX_CHARS

_NO_SUCH_VIEW: Final = "There is no such view."
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS), LINE]
_Query = Annotated[str, msgspec.Meta(max_length=MAX_CHARS)]
_Sort = Annotated[str, msgspec.Meta(max_length=20)]
_Cols = Annotated[str, msgspec.Meta(max_length=200)]


class NewView(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A view to keep. What is left out is as the list has it of itself."""

    name: _Name
    q: _Query = ""
    sort: _Sort = ""
    cols: _Cols = ""
    shared: bool = False


class ViewEdit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a view; what is left out stays."""

    name: _Name | None = None
    q: _Query | None = None
    sort: _Sort | None = None
    cols: _Cols | None = None
    shared: bool | None = None


_new_view = msgspec.json.Decoder(NewView)
_view_edit = msgspec.json.Decoder(ViewEdit)
_no_fields = msgspec.json.Decoder(NoFields)


class ViewsView(ApiView):
    """``/views``."""

    reads = Scope.TASKS_READ
    # Who may only read keeps views on the page of tasks; tokens that only read change nothing.
    writes = Scope.TASKS_WRITE

    body_required = True

    def get(self, request: Request) -> HttpResponse:
        """Your own views by name, then those that others share."""
        known_params(request.query_params)
        return answer({"views": queries.saved_views(request.user)})

    def post(self, request: Request) -> HttpResponse:
        """Keep a view under a name. 409 if you have one of that name, or 100 already."""
        wanted = self.read(_new_view)
        look = _look(q=wanted.q, sort=wanted.sort, cols=wanted.cols)
        made = _kept(
            lambda: saved_views.save(request.user, name=wanted.name, look=look, shared=wanted.shared, now=self.now)
        )
        return answer(made, status=201, headers={"Location": reverse("api:view", args=[made["id"]])})


class ViewView(ApiView):
    """``/views/{view_id}``."""

    reads = Scope.TASKS_READ
    writes = Scope.TASKS_WRITE

    def get(self, request: Request, view_id: str) -> HttpResponse:
        """One view: your own, or one that is shared."""
        known_params(request.query_params)
        return answer(_seen(request, view_id))

    def patch(self, request: Request, view_id: str) -> HttpResponse:
        """Change your own view. 409 if you have another of that name."""
        wanted = self.read(_view_edit)
        row = _seen(request, view_id)
        look = _look(
            q=row["q"] if wanted.q is None else wanted.q,
            sort=row["sort"] if wanted.sort is None else wanted.sort,
            cols=row["cols"] if wanted.cols is None else wanted.cols,
        )
        changed = _kept(
            lambda: saved_views.edit(
                request.user, int(row["id"]), name=wanted.name, look=look, shared=wanted.shared, now=self.now
            )
        )
        return answer(changed)

    def delete(self, request: Request, view_id: str) -> HttpResponse:
        """Delete your own view; an admin may delete what others share. The answer is what it was."""
        self.read(_no_fields)
        return answer(_kept(lambda: saved_views.delete(request.user, _number(view_id), now=self.now)))


def _kept(change: Callable[[], SavedView]) -> SavedViewRow:
    """The view as it was left."""
    try:
        return row_of(change())
    except UnknownView:
        raise Problem(404, _NO_SUCH_VIEW) from None
    except ViewRefused as refused:
        if refused.is_conflict:
            raise Problem(409, str(refused), type=STATE_CONFLICT) from None
        raise invalid([FieldError(str(refused), refused.field)]) from None


def _look(**params: str) -> TaskLook:
    try:
        return TaskLook.parse(params)
    except FilterError as error:
        raise bad_filter(error) from None


def _seen(request: Request, text: str) -> SavedViewRow:
    row = queries.saved_view(request.user, _number(text))
    if row is None:
        raise Problem(404, _NO_SUCH_VIEW)
    return row


def _number(text: str) -> int:
    number = parse_task_id(text)
    if number is None:
        raise Problem(404, _NO_SUCH_VIEW)
    return number

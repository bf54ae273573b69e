"""The only writer of saved views: save, edit, delete. Every change is in the feed with its actor."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from dispatcher import events, roles
from dispatcher.models import Change, SavedView
from dispatcher.models.saved_view import MAX_NAME_CHARS
from dispatcher.queries.task_look import TaskLook

#: How many one account may keep.
MAX_PER_USER: Final = 100


class UnknownView(LookupError):
    """There is no such view for this account to change."""


class ViewRefused(ValueError):
    """It cannot be kept like this; the message is for whoever asked."""

    def __init__(self, field: str, message: str, *, is_conflict: bool = False) -> None:
        super().__init__(message)
        self.field = field
        #: It would be in the way of what is there.
        self.is_conflict = is_conflict


def save(user: Any, *, name: str, look: TaskLook, shared: bool, now: datetime) -> SavedView:
    """Keep a new view. Raises ``ViewRefused``."""
    name = _checked(name)
    with transaction.atomic():
        own = SavedView.objects.filter(owner=user)
        if own.count() >= MAX_PER_USER:
            message = _("You have %(n)d views; delete one that you no longer need.") % {"n": MAX_PER_USER}
            raise ViewRefused("name", message, is_conflict=True)
        fields = _fields(look) | {"shared": shared, "created_at": now, "changed_at": now}
        view, made = SavedView.objects.get_or_create(owner=user, name=name, defaults=fields)
        if not made:
            raise _taken()
        _tell(events.ViewSaved, view, user, now)
    return view


def edit(
    user: Any,
    view_id: int,
    *,
    now: datetime,
    name: str | None = None,
    look: TaskLook | None = None,
    shared: bool | None = None,
) -> SavedView:
    """Change one's own view; what is None stays. Raises ``UnknownView`` and ``ViewRefused``."""
    with transaction.atomic():
        view = SavedView.objects.select_for_update().filter(pk=view_id, owner=user).first()
        if view is None:
            raise UnknownView(view_id)
        if name is not None:
            view.name = _checked(name)
            if SavedView.objects.filter(owner=user, name=view.name).exclude(pk=view_id).exists():
                raise _taken()
        for field, value in (_fields(look) if look is not None else {}).items():
            setattr(view, field, value)
        view.shared = view.shared if shared is None else shared
        view.changed_at = now
        view.save()
        _tell(events.ViewEdited, view, user, now)
    return view


def delete(user: Any, view_id: int, *, now: datetime) -> SavedView:
    """Delete one's own view; admins may delete what others share. Raises ``UnknownView``."""
    with transaction.atomic():
        view = SavedView.objects.select_for_update().select_related("owner").filter(pk=view_id).first()
        if view is None or not may_delete(user, view):
            raise UnknownView(view_id)
        _tell(events.ViewDeleted, view, user, now)
        SavedView.objects.filter(pk=view_id).delete()
    return view


def may_delete(user: Any, view: SavedView) -> bool:
    """Whether it is theirs, or shared and they are an admin."""
    return view.owner_id == user.pk or (view.shared and roles.may_administer(user))


def _fields(look: TaskLook) -> dict[str, str]:
    return {"q": look.q, "sort": look.sort, "cols": look.cols}


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ViewRefused("name", _("A view needs a name."))
    if len(name) > MAX_NAME_CHARS:
        raise ViewRefused("name", _("A name has at most %(n)d characters.") % {"n": MAX_NAME_CHARS})
    if not name.isprintable():
        raise ViewRefused("name", _("A name is one line of printable characters."))
    return name


def _taken() -> ViewRefused:
    return ViewRefused("name", _("You have a view of that name already."), is_conflict=True)


def _tell(event: type[events.ViewEvent], view: SavedView, user: Any, now: datetime) -> None:
    told = event(view_id=view.pk, name=view.name, shared=view.shared)
    Change.objects.append(told, now=now, actor=user.get_username())

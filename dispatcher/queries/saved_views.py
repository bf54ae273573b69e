"""Saved views of the list of tasks, as who asks may see them."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q

from dispatcher.models import SavedView
from dispatcher.queries.shapes import SavedViewRow

#: Of what others share, so many are listed, by name.
MAX_SHARED: Final = 200


def saved_views(user: Any) -> list[SavedViewRow]:
    """Their own, by name, and then what others share, by name."""
    own = SavedView.objects.filter(owner=user).order_by("name", "id")
    # By the index of shared ones.
    others = SavedView.objects.filter(shared=True).exclude(owner=user).order_by("name", "id")
    rows = [*own.select_related("owner"), *others.select_related("owner")[:MAX_SHARED]]
    return [row_of(row) for row in rows]


def saved_view(user: Any, view_id: int) -> SavedViewRow | None:
    """One of them."""
    seen = Q(owner=user) | Q(shared=True)
    row = SavedView.objects.filter(seen, pk=view_id).select_related("owner").first()
    return None if row is None else row_of(row)


def row_of(view: SavedView) -> SavedViewRow:
    """The view as lists and the API show it."""
    return SavedViewRow(
        id=str(view.pk),
        name=view.name,
        q=view.q,
        sort=view.sort,
        cols=view.cols,
        owner=view.owner.get_username(),
        shared=view.shared,
        changed_at=view.changed_at,
    )

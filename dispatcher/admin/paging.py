"""Lists of tables that grow without end: newest first, a bounded stretch of ids at a time, never counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from dispatcher.models.task import parse_task_id

#: Ids looked through for one list.
STRETCH = 100_000
PER_PAGE = 100
#: Rows that the pages of one stretch show; older ones by the filter "before".
MAX_ROWS = 20 * PER_PAGE


if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
else:
    AnyPaginator = Paginator


class BoundedPaginator(AnyPaginator):
    """Counts no further than it has pages to offer."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most ``MAX_ROWS``."""
        rows = cast("QuerySet[Any]", self.object_list)
        return len(rows.order_by("-pk").values_list("pk", flat=True)[:MAX_ROWS])


class Before(admin.SimpleListFilter):
    """``?before=ID``: rows older than this one. The choice it offers leads one stretch back."""

    title = _("position")
    parameter_name = "before"

    def lookups(self, _request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """One step back from where the list begins now."""
        oldest = _top(model_admin.model, self.value_given) - STRETCH + 1
        return [(str(oldest), str(_("older than #%d")) % oldest)] if oldest > 1 else []

    @property
    def value_given(self) -> str | None:
        """The parameter as it came."""
        value = self.used_parameters.get(self.parameter_name)
        return None if value is None else str(value)

    def has_output(self) -> bool:
        """Also shown without a choice while it is in force, so that it can be taken back."""
        return bool(self.lookup_choices) or self.value_given is not None

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The stretch of rows that ends there."""
        top = _top(rows.model, self.value_given)
        return rows.filter(pk__lte=top, pk__gt=top - STRETCH)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """The newest, and the step back."""
        yield {
            "selected": self.value_given is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": _("newest"),
        }
        for value, title in self.lookup_choices:
            yield {
                "selected": False,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }


def _top(model: Any, before: str | None) -> int:
    """The highest id of the stretch."""
    given = parse_task_id(before) if before else None
    if given is not None:
        return given - 1
    return int(model.objects.aggregate(top=Max("pk"))["top"] or 0)

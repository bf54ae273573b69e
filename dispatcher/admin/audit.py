"""The audit trail: what people and programs did, out of the change feed."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from dispatcher.admin.tasks import GrowingAdmin
from dispatcher.models import Change

#: Rows looked through for the names in the filter.
RECENT = 1000
SUMMARY_CHARS = 160


class ByActor(admin.SimpleListFilter):
    """Who did it: those who did something lately, and whoever is named in the address."""

    title = _("who")
    parameter_name = "actor"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The names."""
        recent = Change.objects.exclude(actor="").order_by("-id").values_list("actor", flat=True)[:RECENT]
        names = set(recent)
        if given := self.used_parameters.get(self.parameter_name):
            names.add(str(given))
        return [(name, name) for name in sorted(names)]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """What this one did."""
        name = self.value()
        return rows.filter(actor=name) if name else rows


@admin.register(Change)
class ChangeAdmin(GrowingAdmin):
    """Changes that someone asked for; what the engine does by itself is left out."""

    list_display = ("id", "at", "actor", "kind", "summary")
    list_filter = (ByActor, "kind")
    search_help_text = _("The id of a change")
    fields = ("id", "at", "actor", "kind", "facts")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Only what was done by someone: there is an index for it."""
        return super().get_queryset(request).exclude(actor="")

    def get_list_queryset(self) -> QuerySet[Any]:
        """The same, for the search."""
        return Change.objects.exclude(actor="").order_by("-id")

    @admin.display(description=_("facts"))
    def summary(self, change: Change) -> str:
        """The beginning of the facts."""
        return change.body if len(change.body) <= SUMMARY_CHARS else f"{change.body[:SUMMARY_CHARS]}…"

    @admin.display(description=_("facts"))
    def facts(self, change: Change) -> str:
        """The facts, laid out to be read."""
        return json.dumps(json.loads(change.body), indent=2, ensure_ascii=False)

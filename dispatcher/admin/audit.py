"""The audit trail: what people and programs did, out of the change feed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from dispatcher import events
from dispatcher.admin.tasks import GrowingAdmin
from dispatcher.models import Change
from dispatcher.redaction import redactor
from dispatcher.states import TaskState

#: Rows looked through for the names in the filter.
RECENT = 1000
SUMMARY_CHARS = 160
#: Tasks named in a summary; the others are counted.
SHOWN_TASKS = 5


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


class ByKind(admin.SimpleListFilter):
    """What it was: the kinds come from the catalogue, not from a walk through the table."""

    title = _("what")
    parameter_name = "kind"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The kinds."""
        return [(kind, kind) for kind in sorted(events.CATALOGUE)]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Changes of this kind."""
        kind = self.value()
        return rows.filter(kind=kind) if kind else rows


@admin.register(Change)
class ChangeAdmin(GrowingAdmin):
    """Changes that someone asked for; what the engine does by itself is left out."""

    list_display = ("id", "at", "actor", "kind", "summary")
    list_filter = (ByActor, ByKind)
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
        """The facts in one line."""
        body = redactor().json(change.body)
        text = summarise(events.decode(change.kind, body)) or body
        return text if len(text) <= SUMMARY_CHARS else f"{text[:SUMMARY_CHARS]}…"

    @admin.display(description=_("facts"))
    def facts(self, change: Change) -> str:
        """The facts, laid out to be read."""
        return json.dumps(json.loads(redactor().json(change.body)), indent=2, ensure_ascii=False)


def summarise(event: events.Event | None) -> str:
    """An event in words; "" for one that is not known here."""
    if isinstance(event, events.TasksChanged):
        named = [f"#{row.task_id} {_moved(row)}" for row in event.rows[:SHOWN_TASKS]]
    elif isinstance(event, events.TasksCancelRequested):
        named = [f"#{task_id}" for task_id, _attempt, _node in event.rows[:SHOWN_TASKS]]
    elif event is not None:
        facts = msgspec.to_builtins(event)
        return ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "node_id")
    else:
        return ""
    more = len(event.rows) - len(named)
    return ", ".join(named) + (f" (+{more})" if more else "")


def _moved(row: events.TaskChange) -> str:
    before = "" if row.from_state is None else f"{TaskState(row.from_state).word} "
    return f"{before}→ {TaskState(row.to_state).word}"

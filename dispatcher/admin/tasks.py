"""Tasks and their attempts, to read. The dashboard is where tasks are steered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from dispatcher.admin.access import SteeredAdmin, TabularInline
from dispatcher.admin.paging import PER_PAGE, Before, BoundedPaginator
from dispatcher.models import Attempt, Task
from dispatcher.models.task import parse_task_id
from dispatcher.redaction import redactor


def masked_json(stored: str | None, *, is_cut: bool = False) -> str:
    """JSON text without secrets; a dash for none. The dashboard's page of a task shows them to those who may see."""
    return "-" if stored is None else redactor().json(stored, is_cut=is_cut)


class GrowingAdmin(SteeredAdmin):
    """A table that grows without end."""

    paginator = BoundedPaginator
    list_per_page = PER_PAGE
    list_max_show_all = 0
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("=id",)
    search_help_text = _("A task id")

    def get_search_results(
        self, _request: HttpRequest, rows: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What has exactly this id, however old it is."""
        if not search_term.strip():
            return rows, False
        return self.found(parse_task_id(search_term.strip()) or 0), False

    def found(self, number: int) -> QuerySet[Any]:
        """The rows for a task id that was searched for."""
        return self.get_list_queryset().filter(pk=number)

    def get_list_queryset(self) -> QuerySet[Any]:
        """All rows, with what a list shows."""
        found: QuerySet[Any] = self.model.objects.order_by("-id")
        return found

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list that orders by id alone, which is newest first and needs no sorting."""
        return NewestFirst


class NewestFirst(ChangeList):
    """Django's list would also offer what is under ``?o=``."""

    def get_ordering(self, _request: HttpRequest, _queryset: QuerySet[Any]) -> list[Any]:
        """Newest first."""
        return ["-id"]


class AttemptInline(TabularInline):
    """The attempts that ended a task badly, or did not end it."""

    model = Attempt
    fk_name = "task"
    extra = 0
    can_delete = False
    ordering = ("number", "id")
    fields = readonly_fields = ("number", "outcome", "node", "dispatched_at", "started_at", "ended_at", "failure")

    @admin.display(description=_("error"))
    def failure(self, attempt: Attempt) -> str:
        """Without secrets."""
        return masked_json(attempt.error)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever sees the task."""
        return True

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody."""
        return False


@admin.register(Task)
class TaskAdmin(GrowingAdmin):
    """Tasks, newest first."""

    list_display = ("id", "state", "queue", "type", "node", "tries", "priority", "created_at", "finished_at")
    list_select_related = ("lane", "node")
    list_filter = ("state", Before)
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("id", "state", "queue", "type", "labels", "priority", "tags", "submitted_by", "retry_of")}),
        (_("Attempt"), {"fields": ("node", "tries", "attempt", "released", "crashes", "attempt_deadline")}),
        (
            _("Times"),
            {
                "fields": (
                    "created_at", "run_at", "queued_at", "dispatched_at", "started_at", "finished_at", "expires_at",
                    "cancel_requested_at",
                )
            },
        ),
        (_("Content"), {"fields": ("payload_shown", "result_shown", "failure", "truncated", "sanitized")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the large columns; the page of one task reads them when it shows them."""
        return super().get_queryset(request).defer("payload", "result", "error")

    def get_list_queryset(self) -> QuerySet[Any]:
        """All tasks, light."""
        return Task.objects.light().order_by("-id")

    @admin.display(description=_("payload"))
    def payload_shown(self, task: Task) -> str:
        """Without secrets."""
        return masked_json(task.payload)

    @admin.display(description=_("result"))
    def result_shown(self, task: Task) -> str:
        """Without secrets."""
        return masked_json(task.result, is_cut=task.truncated)

    @admin.display(description=_("error"))
    def failure(self, task: Task) -> str:
        """Without secrets."""
        return masked_json(task.error)

    @admin.display(description=_("queue"))
    def queue(self, task: Task) -> str:
        """Of the lane."""
        return task.lane.queue

    @admin.display(description=_("type"))
    def type(self, task: Task) -> str:
        """Of the lane."""
        return task.lane.type

    @admin.display(description=_("required labels"))
    def labels(self, task: Task) -> str:
        """Of the lane."""
        return ", ".join(f"{name}={value}" for name, value in task.lane.label_map.items())

    @admin.display(description=_("attempts"))
    def tries(self, task: Task) -> str:
        """Those that count, of how many."""
        return f"{task.counted_attempts}/{task.max_attempts}"


@admin.register(Attempt)
class AttemptAdmin(GrowingAdmin):
    """Ended attempts, newest first."""

    list_display = ("id", "task_link", "number", "outcome", "node", "started_at", "ended_at")
    list_select_related = ("node",)
    list_filter = ("outcome", Before)
    fields = (
        "task_link", "number", "outcome", "node", "queued_at", "dispatched_at", "started_at", "ended_at", "failure",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the errors; the page of one attempt reads its own."""
        return super().get_queryset(request).defer("error")

    def found(self, number: int) -> QuerySet[Any]:
        """Attempts of the task with this id."""
        return self.get_list_queryset().filter(task_id=number)

    @admin.display(description=_("error"))
    def failure(self, attempt: Attempt) -> str:
        """Without secrets."""
        return masked_json(attempt.error)

    @admin.display(description=_("task"))
    def task_link(self, attempt: Attempt) -> str:
        """To the task's page."""
        return format_html(
            '<a href="{}">#{}</a>', reverse("admin:dispatcher_task_change", args=[attempt.task_id]), attempt.task_id
        )

"""Queues: made, edited, paused and resumed through ``dispatcher.queues``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from dispatcher import queues
from dispatcher.admin.access import SteeredAdmin, actor
from dispatcher.admin.confirmation import Question, confirm_then, one_line
from dispatcher.api.validation import name_error
from dispatcher.models import Queue
from dispatcher.scheduling.policies import POLICIES

if TYPE_CHECKING:
    QueueModelForm = forms.ModelForm[Queue]
else:
    QueueModelForm = forms.ModelForm


class QueueForm(QueueModelForm):
    """Name, policy, description."""

    policy = forms.ChoiceField(label=_("Placement policy"), choices=lambda: [(name, name) for name in sorted(POLICIES)])
    description = forms.CharField(label=_("Description"), max_length=200, required=False, validators=[one_line])

    class Meta:
        model = Queue
        fields = ("name", "policy", "description")

    def clean_name(self) -> str:
        """A name that can stand in an address."""
        name: str = self.cleaned_data["name"]
        if error := name_error(name):
            raise ValidationError(error)
        return name


@admin.register(Queue)
class QueueAdmin(SteeredAdmin):
    """Queues. The name is the queue's identity and stays."""

    form = QueueForm
    list_display = ("name", "policy", "is_open", "paused_by", "pause_reason", "paused_at", "description")
    search_fields = ("name",)
    actions = ("pause", "resume")

    def has_add_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        """Operators."""
        return self.has_operate_permission(request)

    def has_change_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        """Operators."""
        return self.has_operate_permission(request)

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The name, once the queue exists."""
        return () if obj is None else ("name",)

    def save_model(self, request: HttpRequest, obj: Queue, _form: Any, change: bool) -> None:
        """Not ``obj.save()``: the queues' own writer, which tells the feed."""
        now = timezone.now()
        if change:
            queues.edit(obj.name, policy=obj.policy, description=obj.description, actor=actor(request), now=now)
            return
        made = queues.create(obj.name, policy=obj.policy, description=obj.description, actor=actor(request), now=now)
        obj.pk = made.pk

    @admin.display(description=_("open"), boolean=True)
    def is_open(self, queue: Queue) -> bool:
        """Whether it hands out tasks."""
        return not queue.is_paused

    @admin.action(description=_("Pause: hand out no more tasks"), permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[Queue]) -> HttpResponse | None:
        """With a reason."""
        question = Question(
            action="pause",
            title=_t("Pause queues"),
            consequence=_t("These queues hand out no more tasks until they are resumed. What runs goes on."),
            button=_t("Pause"),
        )

        def pause(answer: dict[str, Any]) -> str:
            now = timezone.now()
            for queue in rows:
                queues.pause(queue.name, reason=answer["reason"], actor=actor(request), now=now)
            return ngettext("%d queue paused.", "%d queues paused.", len(rows)) % len(rows)

        return confirm_then(self, request, rows, question, pause)

    @admin.action(description=_("Resume: hand out tasks again"), permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Queue]) -> None:
        """At once: nothing is lost by it."""
        now = timezone.now()
        for queue in rows:
            queues.resume(queue.name, actor=actor(request), now=now)
        text = ngettext("%d queue resumed.", "%d queues resumed.", len(rows)) % len(rows)
        self.message_user(request, text, messages.SUCCESS)

"""Worker nodes: how they are, and what operators do to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from dispatcher import credentials, node_registry
from dispatcher.admin.access import SteeredAdmin, actor
from dispatcher.admin.confirmation import NoForm, Question, confirm, confirm_then
from dispatcher.admin.handover import MAX_HOURS, hand_over
from dispatcher.models import Node, Task
from dispatcher.redaction import redactor
from dispatcher.states import ACTIVE

#: Names of task types shown in the list.
SHOWN_TYPES = 5
#: Up to here ages are shown in seconds.
SHOWN_SECONDS = 120
ACTIVE_STATES = ",".join(str(state.value) for state in sorted(ACTIVE))


class EnrolmentForm(forms.Form):
    """How long the token is good for."""

    hours = forms.FloatField(label=_("Good for hours"), initial=24, min_value=0.1, max_value=MAX_HOURS)


@admin.register(Node)
class NodeAdmin(SteeredAdmin):
    """Nodes make and describe themselves; here they are watched and steered."""

    list_display = (
        "name", "state", "wanted", "load", "running_tasks", "last_heartbeat", "label_text", "capabilities",
    )  # fmt: skip
    list_filter = ("state", "intent", "breaker", "is_tutorial")
    search_fields = ("name",)
    actions = ("drain", "resume", "disable", "rotate_credentials", "revoke_credentials", "issue_enrolment_token")
    fields = (
        "name", "address", "state", "wanted", "draining", "load", "running_tasks", "label_text", "queue_text",
        "capabilities", "version", "protocol", "is_tutorial", "boot_id", "incarnation", "created_at", "registered_at",
        "last_seen_at", "lease_expires_at", "held_until", "push_failures", "breaker",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Nodes with how many attempts each holds, by our own accounting."""
        held = Task.objects.active().filter(node=OuterRef("pk")).order_by().values("node").annotate(held=Count("pk"))
        count = Coalesce(Subquery(held.values("held")), 0, output_field=IntegerField())
        nodes: QuerySet[Any] = super().get_queryset(request)
        annotated: QuerySet[Any] = nodes.annotate(held=count)
        return annotated

    @admin.display(description=_("address"))
    def address(self, node: Node) -> str:
        """Without a password in it."""
        return redactor().text(node.url)

    @admin.display(description=_("wanted"), ordering="intent")
    def wanted(self, node: Node) -> str:
        """What the operator wants of it, and why."""
        return f"{node.intent} ({node.intent_reason})" if node.intent_reason else str(node.intent)

    @admin.display(description=_("slots in use"))
    def load(self, node: Any) -> str:
        """Busy of all; what waits on the node beyond its slots is added."""
        waiting = max(0, node.held - node.slots)
        return f"{min(node.held, node.slots)}/{node.slots}" + (f" +{waiting}" if waiting else "")

    @admin.display(description=_("last heartbeat"), ordering="last_seen_at")
    def last_heartbeat(self, node: Node) -> str:
        """How long ago, which is what one looks for; the time itself is on the node's page."""
        if node.last_seen_at is None:
            return _t("never")
        seconds = max(0, round((timezone.now() - node.last_seen_at).total_seconds()))
        if seconds < SHOWN_SECONDS:
            return _t("%d s ago") % seconds
        return _t("%s ago") % timesince(node.last_seen_at)

    @admin.display(description=_("labels"))
    def label_text(self, node: Node) -> str:
        """As name=value."""
        return ", ".join(f"{name}={value}" for name, value in sorted(redactor().value(node.labels).items())) or "-"

    @admin.display(description=_("queues"))
    def queue_text(self, node: Node) -> str:
        """The queues that it serves."""
        return ", ".join(node.queues) or _t("all")

    @admin.display(description=_("task types"))
    def capabilities(self, node: Node) -> str:
        """The types that it runs."""
        if node.types is None:
            return _t("any")
        names = sorted(node.types)
        more = len(names) - SHOWN_TYPES
        return ", ".join(names[:SHOWN_TYPES]) + (_t(" and %d more") % more if more > 0 else "")

    @admin.display(description=_("running tasks"))
    def running_tasks(self, node: Any) -> str:
        """To the list of what it has now."""
        where = reverse("admin:dispatcher_task_changelist")
        return format_html('<a href="{}?node={}&amp;state__in={}">{}</a>', where, node.pk, ACTIVE_STATES, node.held)

    @admin.action(description=_("Drain: finish what they have, take nothing new"), permissions=["operate"])
    def drain(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse | None:
        """With a reason."""
        question = Question(
            action="drain",
            title=_t("Drain nodes"),
            consequence=_t("These nodes finish what they have and take nothing new until they are resumed."),
            button=_t("Drain"),
        )
        return self._want(request, rows, question, node_registry.drain)

    @admin.action(description=_("Resume: take work again"), permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse | None:
        """With a reason."""
        question = Question(
            action="resume",
            title=_t("Resume nodes"),
            consequence=_t("These nodes take work again. Pauses after failed pushes and open breakers are reset."),
            button=_t("Resume"),
        )
        return self._want(request, rows, question, node_registry.resume)

    @admin.action(description=_("Disable: out of the pool, requests refused"), permissions=["operate"])
    def disable(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse | None:
        """With a reason."""
        question = Question(
            action="disable",
            title=_t("Disable nodes"),
            consequence=_t(
                "These nodes are out of the pool and every request of theirs is refused, results included, until they "
                "are resumed. What they have now goes to others when their lease ends. To let them finish, drain them."
            ),
            button=_t("Disable"),
        )
        return self._want(request, rows, question, node_registry.disable)

    @admin.action(description=_("Rotate credentials: the nodes fetch new ones"), permissions=["administer"])
    def rotate_credentials(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse | None:
        """Without a pause."""
        question = Question(
            action="rotate_credentials",
            title=_t("Rotate credentials"),
            consequence=_t(
                "Each of these nodes fetches a new credential and push key with its next heartbeat. The "
                "old ones end some minutes after that. If one has fallen into wrong hands, revoke it instead."
            ),
            button=_t("Rotate"),
            form=NoForm,
        )

        def rotate(_answer: dict[str, Any]) -> str:
            now = timezone.now()
            asked = sum(credentials.request_rotation(node, actor=actor(request), now=now) for node in rows)
            return ngettext("%d credential is to be renewed.", "%d credentials are to be renewed.", asked) % asked

        return confirm_then(self, request, rows, question, rotate)

    @admin.action(description=_("Revoke credentials"), permissions=["administer"])
    def revoke_credentials(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse | None:
        """All that the nodes own."""
        question = Question(
            action="revoke_credentials",
            title=_t("Revoke credentials"),
            consequence=_t("Every credential of these nodes is void at once. They need a new one to come back."),
            button=_t("Revoke"),
            form=NoForm,
        )

        def revoke(_answer: dict[str, Any]) -> str:
            now = timezone.now()
            revoked = sum(credentials.revoke_node(node, actor=actor(request), now=now) for node in rows)
            return ngettext("%d credential revoked.", "%d credentials revoked.", revoked) % revoked

        return confirm_then(self, request, rows, question, revoke)

    @admin.action(description=_("Issue enrolment tokens"), permissions=["administer"])
    def issue_enrolment_token(self, request: HttpRequest, rows: QuerySet[Node]) -> HttpResponse:
        """One for each: it lets this node, and no other, join again with a credential of its own."""
        question = Question(
            action="issue_enrolment_token",
            title=_t("Issue enrolment tokens"),
            consequence=_t("Each of these nodes can enrol once with its token, and no other node can."),
            button=_t("Issue"),
            form=EnrolmentForm,
        )
        answer = confirm(self, request, rows, question)
        if isinstance(answer, HttpResponse):
            return answer
        now = timezone.now()
        tokens = [
            (
                node.name,
                credentials.issue_enrolment_token(
                    label=node.name,
                    node=node,
                    expires_at=now + timedelta(hours=answer["hours"]),
                    actor=actor(request),
                    now=now,
                ),
            )
            for node in rows
        ]
        return hand_over(self, request, tokens)

    def _want(
        self, request: HttpRequest, rows: QuerySet[Node], question: Question, change: Callable[..., list[Node]]
    ) -> HttpResponse | None:
        def apply(answer: dict[str, Any]) -> str:
            changed = change(list(rows), reason=answer["reason"], actor=actor(request), now=timezone.now())
            return ngettext("%d node changed.", "%d nodes changed.", len(changed)) % len(changed)

        return confirm_then(self, request, rows, question, apply)

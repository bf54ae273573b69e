"""Tokens of programs, enrolment tokens and node credentials: list, issue, revoke. For admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from dispatcher import credentials, node_registry, roles
from dispatcher.admin.access import SteeredAdmin, actor
from dispatcher.admin.confirmation import NoForm, Question, confirm_then, one_line
from dispatcher.admin.handover import MAX_HOURS, hand_over
from dispatcher.api.validation import name_error
from dispatcher.conf import conf
from dispatcher.models import Credential
from dispatcher.scopes import Scope

MAX_USES = 1000
#: The longest life of an API token that is made to expire.
MAX_DAYS = 3660

User = get_user_model()


class ApiTokenForm(forms.Form):
    """In whose name, what for, how long."""

    user = forms.ModelChoiceField(label=_("Account"), queryset=User.objects.filter(is_active=True))
    label = forms.CharField(label=_("What it is for"), max_length=100, validators=[one_line])
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=[(scope.value, f"{scope}: {scope.meaning}") for scope in Scope],
        initial=[Scope.TASKS_READ, Scope.NODES_READ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What it is good for, as far as the role of the account allows."),
    )
    days = forms.FloatField(
        label=_("Good for days"),
        required=False,
        initial=lambda: conf().api_token_days,
        min_value=0.01,
        max_value=MAX_DAYS,
        help_text=_("Empty: for good."),
    )

    def clean(self) -> dict[str, Any]:
        """No more than the role of the account allows."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("user") and given.get("scopes"):
            beyond = set(given["scopes"]) - roles.scopes_of(given["user"])
            if beyond:
                self.add_error("scopes", _t("The role of this account does not allow: %s.") % ", ".join(sorted(beyond)))
        return given

    def issue(self, *, by: str) -> list[tuple[str, str]]:
        """The token."""
        now, given = timezone.now(), self.cleaned_data
        token = credentials.issue_api_token(
            user=given["user"],
            label=given["label"],
            wanted=[Scope(word) for word in given["scopes"]],
            expires_at=None if given["days"] is None else now + timedelta(days=given["days"]),
            actor=by,
            now=now,
        )
        return [(f"{given['user']}: {given['label']}", token)]


class EnrolmentTokenForm(forms.Form):
    """For how many new nodes, how long."""

    label = forms.CharField(label=_("What it is for"), max_length=100, validators=[one_line])
    uses = forms.IntegerField(label=_("How many nodes"), initial=1, min_value=1, max_value=MAX_USES)
    hours = forms.FloatField(label=_("Good for hours"), initial=24, min_value=0.1, max_value=MAX_HOURS)

    def issue(self, *, by: str) -> list[tuple[str, str]]:
        """The token."""
        now, given = timezone.now(), self.cleaned_data
        token = credentials.issue_enrolment_token(
            label=given["label"],
            uses=given["uses"],
            expires_at=now + timedelta(hours=given["hours"]),
            actor=by,
            now=now,
        )
        return [(given["label"], token)]


class NodeCredentialForm(forms.Form):
    """For which node."""

    name = forms.CharField(label=_("Name of the node"), max_length=100)

    def clean_name(self) -> str:
        """A name that can stand in an address."""
        name: str = self.cleaned_data["name"]
        if error := name_error(name):
            raise ValidationError(error)
        return name

    def issue(self, *, by: str) -> list[tuple[str, str]]:
        """The credential; the node is made if there is none."""
        name = self.cleaned_data["name"]
        return [(name, node_registry.issue_credential(name=name, actor=by, now=timezone.now()))]


#: Last part of the address → (title, form).
ISSUES: dict[str, tuple[Any, type[ApiTokenForm | EnrolmentTokenForm | NodeCredentialForm]]] = {
    "api": (_("Issue API token"), ApiTokenForm),
    "enrolment": (_("Issue enrolment token"), EnrolmentTokenForm),
    "node": (_("Issue node credential"), NodeCredentialForm),
}


class IsLive(admin.SimpleListFilter):
    """Whether a token opens anything."""

    title = _("state")
    parameter_name = "live"

    def lookups(self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        """Live, or not."""
        return [("yes", _("live")), ("no", _("revoked, expired or used up"))]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those tokens."""
        dead = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now()) | Q(uses_left=0)
        if self.value() == "yes":
            return rows.exclude(dead)
        return rows.filter(dead) if self.value() == "no" else rows


@admin.register(Credential)
class CredentialAdmin(SteeredAdmin):
    """Only beginnings of tokens are known here; a new one is shown once."""

    list_display = (
        "begins_with", "kind", "label", "user", "scopes", "node", "uses_left", "created_at", "expires_at", "revoked_at",
        "last_used_at",
    )  # fmt: skip
    list_select_related = ("user", "node")
    list_filter = ("kind", IsLive)
    search_fields = ("prefix", "label", "node__name")
    ordering = ("-id",)
    fields = ("begins_with", "kind", "label", "user", "scopes", "node", "uses_left", "created_at", "expires_at",
              "revoked_at", "renew_at", "last_used_at")  # fmt: skip
    actions = ("revoke",)
    change_list_template = "admin/dispatcher/credentials.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Admins."""
        return self.has_administer_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """With a page for each kind of token that can be issued."""
        pages = [
            path(f"issue/{kind}/", self.admin_site.admin_view(self._issue_page(kind)), name=f"dispatcher_issue_{kind}")
            for kind in ISSUES
        ]
        return [*pages, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With links to these pages."""
        issues = [(f"admin:dispatcher_issue_{kind}", title) for kind, (title, _form) in ISSUES.items()]
        return super().changelist_view(request, {**(extra_context or {}), "issues": issues})

    @admin.display(description=_("begins with"))
    def begins_with(self, credential: Credential) -> str:
        """What is left to see of it."""
        return f"{credential.prefix}…"

    @admin.action(description=_("Revoke"), permissions=["administer"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Credential]) -> HttpResponse | None:
        """For good."""
        question = Question(
            action="revoke",
            title=_t("Revoke tokens"),
            consequence=_t("These tokens open nothing any more, at once and for good."),
            button=_t("Revoke"),
            form=NoForm,
        )

        def revoke(_answer: dict[str, Any]) -> str:
            now = timezone.now()
            for credential in rows:
                credentials.revoke(credential, actor=actor(request), now=now)
            return ngettext("%d token revoked.", "%d tokens revoked.", len(rows)) % len(rows)

        return confirm_then(self, request, rows, question, revoke)

    def _issue_page(self, kind: str) -> Callable[[HttpRequest], HttpResponse]:
        title, form_class = ISSUES[kind]

        def page(request: HttpRequest) -> HttpResponse:
            if not self.has_administer_permission(request):
                raise PermissionDenied
            form = form_class(request.POST if request.method == "POST" else None)
            if form.is_valid():
                return hand_over(self, request, form.issue(by=actor(request)))
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": title,
                "button": _t("Issue"),
                "form": form,
            }
            return TemplateResponse(request, "admin/dispatcher/page.html", context)

        return page

"""Accounts and their groups, which decide the roles: for superusers, and every change is in the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dispatcher import events
from dispatcher.admin.access import ModelAdmin, actor
from dispatcher.models import Change

if TYPE_CHECKING:
    DjangosUserAdmin = auth_admin.UserAdmin[Any]
else:
    # Takes parameters only in its stubs.
    DjangosUserAdmin = auth_admin.UserAdmin

User = get_user_model()
#: As much of what was changed as is kept.
MAX_REASON_CHARS = 500


class AuditedAdmin(ModelAdmin):
    """Django's own pages, for superusers alone: whoever edits accounts can give any role to any of them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return _is_superuser(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        """Superusers."""
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return _is_superuser(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list. What an action of it deletes and what the trail says of that come to be together."""
        with transaction.atomic() if request.method == "POST" else nullcontext():
            return super().changelist_view(request, extra_context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Also into the audit trail; called in the transaction of the change."""
        _tell(events.AccountCreated, obj, request)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Also into the audit trail, with the names of the fields; called in the transaction of the change."""
        _tell(events.AccountEdited, obj, request, reason=_fields(message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        """Also into the audit trail; called in the transaction of the deletion."""
        for obj in queryset:
            _tell(events.AccountDeleted, obj, request)
        return super().log_deletions(request, queryset)  # type: ignore[arg-type]  # a list as well as a queryset


admin.site.unregister([User, Group])


@admin.register(Group)
class GroupAdmin(AuditedAdmin, auth_admin.GroupAdmin):
    """Groups: those named operator and admin make operators and admins."""


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangosUserAdmin):
    """Accounts."""

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Another password for somebody: it and its row in the trail come to be together."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)


def change_own_password(request: HttpRequest) -> HttpResponse:
    """Django's page for one's own password, with a row in the trail."""
    with transaction.atomic():
        response = admin.site.password_change(request)
        # Back to the form if it was not done.
        if request.method == "POST" and response.status_code == HttpResponse(status=302).status_code:
            _tell(events.AccountEdited, request.user, request, reason="password")
    return response


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def _tell(event: type[events.AccountEvent], obj: Any, request: HttpRequest, *, reason: str = "") -> None:
    kind, name = ("group", obj.name) if isinstance(obj, Group) else ("user", obj.get_username())
    told = event(account_kind=kind, name=name, reason=reason[:MAX_REASON_CHARS])
    Change.objects.append(told, now=timezone.now(), actor=actor(request))


def _fields(message: Any) -> str:
    """The names of the changed fields out of Django's description of a change."""
    parts = message if isinstance(message, list) else []
    names = [str(name) for part in parts for name in (part.get("changed") or {}).get("fields", ())]
    return ", ".join(names)

"""What the admin's pages allow, by role: operators read and steer, admins handle tokens; rows are never edited raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from dispatcher import roles


def actor(request: HttpRequest) -> str:
    """Who asks, for the audit trail."""
    return str(request.user.get_username())


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    # Django's classes take parameters only in their stubs.
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline


class SteeredAdmin(ModelAdmin):
    """Rows to look at, and actions. No adding, no changing, no deleting by hand."""

    #: Tables grow: no page may count them.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Operators."""
        return self.has_operate_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may see the rows finds them in the index."""
        return self.has_view_permission(request)

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """For actions marked ``permissions=["operate"]``."""
        return roles.may_operate(request.user)

    def has_administer_permission(self, request: HttpRequest) -> bool:
        """For actions marked ``permissions=["administer"]``."""
        return roles.may_administer(request.user)

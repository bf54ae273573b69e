"""What callers may do, by role (see ``dispatcher.roles``) or by being a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from dispatcher import roles
from dispatcher.models import Credential

if TYPE_CHECKING:
    # The framework imports this module while it makes its views.
    from rest_framework.views import APIView


class ReadOrOperate(BasePermission):
    """Everyone with an account reads; operators change things."""

    message = "This takes the role of an operator."

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the request may pass."""
        return roles.may_view(request.user) if request.method in SAFE_METHODS else roles.may_operate(request.user)


class Administer(BasePermission):
    """Admins only, whatever the method."""

    message = "This takes the role of an admin."

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the request may pass."""
        return roles.may_administer(request.user)


class IsNode(BasePermission):
    """A request that carries the credential (or enrolment token) of a node."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the request may pass."""
        return isinstance(request.auth, Credential)

"""What callers may do: by role and scope (``dispatcher.roles``, ``dispatcher.scopes``), or by being a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from dispatcher import roles, scopes
from dispatcher.api.problems import CHALLENGE, INSUFFICIENT_SCOPE, Problem
from dispatcher.models import Credential
from dispatcher.scopes import Scope

if TYPE_CHECKING:
    # The framework imports this module while it makes its views.
    from rest_framework.views import APIView


#: What a person is told whose role does not go so far.
_ROLES: Final = {
    Scope.TASKS_READ: "This takes an account that is active.",
    Scope.NODES_READ: "This takes an account that is active.",
    Scope.TASKS_WRITE: "This takes the role of an operator.",
    Scope.OPERATE: "This takes the role of an operator.",
    Scope.ADMIN: "This takes the role of an admin.",
}


class Scoped(BasePermission):
    """The scope that the view names for the method: the account's role has to allow it, and the token to have it.

    A view that names none lets nobody in.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the request may pass. Raises with words where it may not and somebody asks who is known."""
        if not request.user.is_authenticated:
            return False
        needed: Scope | None = getattr(view, "reads" if request.method in SAFE_METHODS else "writes", None)
        if needed is None:
            # A method that the view has not is answered 405 further on.
            method = str(request.method).lower()
            return method not in view.http_method_names or not hasattr(view, method)
        if needed not in roles.scopes_of(request.user):
            raise PermissionDenied(_ROLES[needed])
        token = request.auth
        if isinstance(token, Credential) and needed not in scopes.split(token.scopes):
            raise _insufficient(token, needed)
        return True


class IsPerson(BasePermission):
    """Someone who is signed in, not a token: what hands out tokens is not opened by one."""

    message = (
        "Tokens do not make or revoke tokens. Sign in and use the page /tokens/, or manage.py api_token on the server."
    )

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the request may pass."""
        return request.auth is None and roles.may_view(request.user)


class IsNode(BasePermission):
    """A request that carries the credential (or enrolment token) of a node."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the request may pass."""
        return isinstance(request.auth, Credential)


def _insufficient(token: Credential, needed: Scope) -> Problem:
    """403 in the words of RFC 6750, for programs, and in those of people."""
    has = ", ".join(token.scopes.split()) or "no scope"
    return Problem(
        403,
        f"This takes the scope {needed} ({needed.meaning}); the token {token.prefix}… has {has}. "
        "Make one with that scope on the page /tokens/ or by manage.py api_token create.",
        type=INSUFFICIENT_SCOPE,
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{needed}"'},
    )

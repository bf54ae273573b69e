"""Who may do what: viewers read, operators steer tasks, queues and nodes, admins hand out tokens.

Every account that may log in is a viewer. Membership of the groups named here makes an operator or an admin; so do
Django's own flags: staff are operators, superusers are admins. An admin is an operator as well.
"""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from dispatcher.scopes import Scope

OPERATOR_GROUP: Final = "operator"
ADMIN_GROUP: Final = "admin"

_CACHE: Final = "dispatcher_groups"

#: Anyone who comes with a request.
Account = AbstractBaseUser | AnonymousUser


def may_view(user: Account) -> bool:
    """Whether the account may read: tasks, nodes, queues, the feed."""
    return user.is_authenticated and user.is_active


def may_operate(user: Account) -> bool:
    """Whether the account may submit, cancel, retry, pause, drain."""
    if not may_view(user):
        return False
    return bool(getattr(user, "is_staff", False)) or may_administer(user) or OPERATOR_GROUP in _groups(user)


def may_administer(user: Account) -> bool:
    """Whether the account may issue and revoke tokens."""
    if not may_view(user):
        return False
    return bool(getattr(user, "is_superuser", False)) or ADMIN_GROUP in _groups(user)


def scopes_of(user: Account) -> frozenset[Scope]:
    """What a token of the account can be good for, now."""
    if not may_view(user):
        return frozenset()
    allowed = {Scope.TASKS_READ, Scope.NODES_READ}
    if may_operate(user):
        allowed |= {Scope.TASKS_WRITE, Scope.OPERATE}
    if may_administer(user):
        allowed.add(Scope.ADMIN)
    return frozenset(allowed)


def _groups(user: Account) -> frozenset[str]:
    """The names of the account's groups, read once per user object, that is once per request."""
    known: frozenset[str] | None = user.__dict__.get(_CACHE)
    if known is None:
        groups = getattr(user, "groups", None)
        known = frozenset(groups.values_list("name", flat=True)) if groups is not None else frozenset()
        user.__dict__[_CACHE] = known
    return known

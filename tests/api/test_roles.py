from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatcher import roles
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_the_migration_makes_the_groups_that_count() -> None:
    Group.objects.all().delete()
    migration = importlib.import_module("dispatcher.migrations.0003_roles")
    for _ in range(2):
        migration.make_groups(apps, None)
    assert set(Group.objects.values_list("name", flat=True)) == {roles.OPERATOR_GROUP, roles.ADMIN_GROUP}


@pytest.mark.parametrize(
    ("flags", "group", "may"),
    [
        ({}, "", (True, False, False)),
        ({}, "someone", (True, False, False)),
        ({}, roles.OPERATOR_GROUP, (True, True, False)),
        ({}, roles.ADMIN_GROUP, (True, True, True)),
        ({"is_staff": True}, "", (True, True, False)),
        ({"is_superuser": True}, "", (True, True, True)),
        ({"is_superuser": True, "is_staff": True, "is_active": False}, roles.ADMIN_GROUP, (False, False, False)),
    ],
)
def test_who_may_what(flags: dict[str, bool], group: str, may: tuple[bool, bool, bool]) -> None:
    user = make_user("someone", **flags)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    assert (roles.may_view(user), roles.may_operate(user), roles.may_administer(user)) == may


def test_nobody_may_nothing() -> None:
    nobody = AnonymousUser()
    assert [may(nobody) for may in (roles.may_view, roles.may_operate, roles.may_administer)] == [False] * 3


def test_groups_are_asked_for_once() -> None:
    user = make_user("vera")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            roles.may_operate(user)
            roles.may_administer(user)
    assert len(queries) == 1

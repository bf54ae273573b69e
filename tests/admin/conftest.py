from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from tests.factories import make_user


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def superuser(db: None) -> Client:
    return signed_in(make_user("root", is_staff=True, is_superuser=True))


@pytest.fixture
def staff(db: None) -> Client:
    """An operator: staff, but no admin."""
    return signed_in(make_user("stan", is_staff=True))


@pytest.fixture
def staff_admin(db: None) -> Client:
    """Staff of the group admin, no superuser."""
    user = make_user("ada", is_staff=True)
    user.groups.add(Group.objects.get_or_create(name="admin")[0])
    return signed_in(user)

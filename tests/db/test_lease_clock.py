"""Leases on an installation of several machines, one of which has a clock that is wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dispatcher import credentials
from dispatcher.engine.sweeper import Sweeper
from dispatcher.models.clock import database_now
from tests.api.conftest import Caller
from tests.factories import make_node

pytestmark = pytest.mark.django_db

REAL = timezone.now


@pytest.fixture
def wrong_clock(monkeypatch: pytest.MonkeyPatch, on_postgres: bool) -> timedelta:
    """How far this process's clock is ahead. With SQLite there is but one machine, and its clock is right."""
    ahead = timedelta(minutes=5 if on_postgres else 0)
    monkeypatch.setattr(timezone, "now", lambda: REAL() + ahead)
    return ahead


def test_the_clock_is_the_databases(wrong_clock: timedelta) -> None:
    assert abs(database_now() - REAL()) < timedelta(seconds=5)


@pytest.mark.parametrize("path", ["/api/v1/nodes/heartbeat", "/heartbeat"])
def test_a_heartbeat_renews_the_lease_on_it(wrong_clock: timedelta, path: str) -> None:
    node = make_node("n-1", now=REAL() - timedelta(seconds=20))
    caller = Caller(credentials.issue_node_credential(node=node, actor="test", now=REAL()))
    body = {"nodeId": node.name} if path == "/heartbeat" else {"boot_id": node.boot_id}
    assert caller.post(path, body).status == 200
    node.refresh_from_db()
    assert abs(node.last_seen_at - REAL()) < timedelta(seconds=5)
    assert abs(node.lease_expires_at - REAL()) < timedelta(seconds=35)


def test_the_sweeper_goes_by_it() -> None:
    assert Sweeper()._clock is database_now

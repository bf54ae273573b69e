from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from dispatcher.management.commands import engine


@pytest.mark.django_db
def test_an_engine_does_not_start_on_the_tables_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "pending_migrations", lambda: ["dispatcher.0098_old", "dispatcher.0099_new"])
    with pytest.raises(CommandError, match=r"0099_new is missing. Run: manage.py migrate"):
        call_command("engine")


@pytest.mark.django_db
def test_an_engine_starts_and_waits_for_a_database_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "unreachable_reason", lambda: "no route")
    monkeypatch.setattr(engine, "pending_migrations", lambda: pytest.fail("looked into a database that is away"))
    monkeypatch.setattr(engine.Engine, "run", lambda self: 0)
    call_command("engine")

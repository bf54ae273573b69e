from __future__ import annotations

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from dispatcher import faults
from dispatcher.sqlite.turnstile import TurnTimeout


class TestClassification:
    @staticmethod
    def caused(outer: Exception, cause: BaseException) -> Exception:
        outer.__cause__ = cause
        return outer

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            ("08006", "unreachable"), ("57P01", "unreachable"), ("57P03", "unreachable"), ("40P01", "busy"),
            ("53300", "busy"), ("53100", "full"), ("55P03", "busy"), ("57014", "busy"), ("25006", "read_only"),
            ("25P03", "unreachable"), ("58030", "full"), ("23505", None), ("42P01", None), ("22P02", None),
        ],
    )  # fmt: skip
    def test_by_sqlstate(self, state: str, kind: str | None) -> None:
        error = self.caused(DatabaseError("x"), psycopg.errors.lookup(state)("x"))
        found = faults.outage(error)
        assert (found.kind if found else None) == kind

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (OperationalError("no answer"), "unreachable"),
            (InterfaceError("connection already closed"), "unreachable"),
            (PoolTimeout("no connection after 3 s"), None),
            (TurnTimeout("x"), "busy"),
            (OSError(28, "No space left on device"), "full"),
            (OSError(24, "Too many open files"), "busy"),
            (OSError(2, "No such file"), None),
            (ValueError("x"), None),
            (None, None),
        ],
    )
    def test_by_class(self, error: Exception | None, kind: str | None) -> None:
        found = faults.outage(error)
        assert (found.kind if found else None) == kind

    def test_the_wait_is_spread(self) -> None:
        assert {faults.FULL.retry_after() for _ in range(500)} == {str(n) for n in range(5, 16)}

"""People, programs and nodes, as in the tests of the API."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.api.conftest import admin, caller_of, nobody, node, node_caller, operator, viewer  # noqa: F401 (fixtures)
from tests.fuzz.range import UNHURRIED
from tests.security.stage import Stage


@pytest.fixture
def stage(db: None, settings: Any, caplog: pytest.LogCaptureFixture) -> Stage:
    """A small installation with everybody at its doors."""
    settings.TASKDIST = UNHURRIED
    # A line for every refusal, and there are thousands.
    caplog.set_level(logging.CRITICAL, "django.request")
    return Stage()

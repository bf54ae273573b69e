"""People, programs and nodes, as in the tests of the API."""

from __future__ import annotations

from tests.api.conftest import admin, caller_of, nobody, node, node_caller, operator, viewer  # noqa: F401 (fixtures)

"""Nodes that call the API."""

from __future__ import annotations

from tests.api.conftest import caller_of, node, node_caller

__all__ = ["caller_of", "node", "node_caller"]

"""Handlers that ship with the node program."""

from __future__ import annotations

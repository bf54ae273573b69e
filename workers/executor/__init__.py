"""Runs accepted tasks in a fixed number of slots: in threads, on an event loop, in child processes."""

from __future__ import annotations

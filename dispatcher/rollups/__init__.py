"""Counters, charts and percentiles, folded from the change feed: exactly once, without touching a task row."""

from dispatcher.rollups.folding import CURSOR, RollupResult, fold

__all__ = ["CURSOR", "RollupResult", "fold"]

"""Small lines of figures, drawn as points of SVG. The browser's half is in ``static/js/format.js``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

SPARK_WIDTH, SPARK_HEIGHT = 120, 24


def _spark(values: Any) -> list[str]:
    numbers = [float(value or 0) for value in values] if isinstance(values, list) else []
    if len(numbers) < 2:  # noqa: PLR2004 - a line needs two points
        return []
    top = max(*numbers, 1.0)
    step = SPARK_WIDTH / (len(numbers) - 1)
    height = SPARK_HEIGHT - 2
    return [f"{index * step:.1f},{1 + height - height * number / top:.1f}" for index, number in enumerate(numbers)]


def spark_line(value: Any, now: datetime) -> str:
    """Numbers as the points of a line of 120 by 24 px."""
    del now
    return " ".join(_spark(value))


def spark_area(value: Any, now: datetime) -> str:
    """Numbers as the points of the area below that line."""
    del now
    points = _spark(value)
    return " ".join([f"0,{SPARK_HEIGHT}", *points, f"{SPARK_WIDTH},{SPARK_HEIGHT}"]) if points else ""

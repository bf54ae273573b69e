"""Finding a moment among rows whose ids rise with time, where an index on the time would cost every insert."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models


def first_id_since(rows: models.QuerySet[Any], column: str, moment: datetime, *, newest: int) -> int:
    """The first id of a row whose ``column`` is at or after ``moment``; ``newest`` + 1 if there is none.

    By halving: about twenty look-ups by primary key. Where neighbours are out of order it is one of their ids.
    """
    low, high = 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        row = rows.filter(id__gte=middle).order_by("id").values_list("id", column).first()
        if row is None or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return low

"""Complaints about values, in words for people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest

from dispatcher.api.validation import explain


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(le=100, ge=-100)] = 0
    share: Annotated[float, msgspec.Meta(gt=0)] | None = None
    name: Annotated[str, msgspec.Meta(max_length=3, min_length=1)] = "a"
    names: Annotated[list[str], msgspec.Meta(max_length=1)] = []
    at: datetime | None = None


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"number": 101}, "number", "must be at most 100"),
        ({"number": -101}, "number", "must be at least -100"),
        ({"number": "x"}, "number", "must be a whole number, not text"),
        ({"share": 0}, "share", "must be more than 0.0"),
        ({"share": True}, "share", "must be a number or null, not true or false"),
        ({"name": "abcd"}, "name", "must be at most 3 characters long"),
        ({"name": ""}, "name", "must be at least 1 characters long"),
        ({"names": ["a", "b"]}, "names", "must be at most 1 items long"),
        ({"names": {}}, "names", "must be a list, not an object"),
        ({"at": "tomorrow"}, "at", "must be a time with its zone, such as 2026-11-24T02:00:00Z"),
        ({"typo": 1}, "typo", "unknown field"),
    ],
)
def test_a_complaint_is_said_in_words(value: Any, field: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(value), type=Sample)
    assert explain(caught.value) == (field, message)

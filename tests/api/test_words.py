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
    words: Annotated[dict[Annotated[str, msgspec.Meta(min_length=1)], str], msgspec.Meta(max_length=2)] = {}
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"number": 101}, "number", "must be at most 100"),
        ({"number": -101}, "number", "must be at least -100"),
        ({"number": "x"}, "number", "must be a whole number, not text"),
        ({"number": 1.5}, "number", "must be a whole number, not a decimal number"),
        ({"share": 0}, "share", "must be more than 0"),
        ({"share": True}, "share", "must be a number or null, not true or false"),
        ({"name": "abcd"}, "name", "must be at most 3 characters long"),
        ({"name": ""}, "name", "must not be empty"),
        ({"names": ["a", "b"]}, "names", "must hold at most 1 items"),
        ({"names": {}}, "names", "must be a list, not an object"),
        ({"words": {"a": 1}}, "words", "a value in it must be text, not a whole number"),
        ({"words": {"": "x"}}, "words", "a name in it must not be empty"),
        ({"words": {"a": "", "b": "", "c": ""}}, "words", "must hold at most 2 members"),
        ({"at": "tomorrow"}, "at", "must be a time with its zone, such as 2026-11-24T02:00:00Z"),
        ({"at": "2026-11-24T02:00:00"}, "at", "must be a time with its zone, such as 2026-11-24T02:00:00Z"),
        ({"nubmer": 1}, "nubmer", "unknown field; did you mean number?"),
        ({"x": 1}, "x", "unknown field; this route takes number, share, name, names, words, at"),
    ],
)
def test_a_complaint_is_said_in_words(value: Any, field: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(value), type=Sample)
    assert explain(caught.value, known=Sample.__struct_fields__) == (field, message)

"""Names and texts that people and nodes give, and msgspec's complaints in words for them."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

#: Names are typed, linked and logged: letters and digits of any script, and a few signs.
_NAME: Final = re.compile(r"\w[\w.:@+-]*\Z")
_TYPE_NAME: Final = re.compile(r"\w[\w.:@+/-]*\Z")

_PATH: Final = re.compile(r" - at `(?P<path>[^`]*)`$")

#: No time before or after is taken: databases and clocks disagree about the far ends of the calendar.
EARLIEST_YEAR: Final = 2000
#: How far ahead a task may be planned, in seconds: ten years.
MAX_AHEAD_SECONDS: Final = 3660 * 86400.0


_SIGNS: Final = "must be letters, digits and {signs}, and begin with a letter or digit"


@lru_cache(maxsize=4096)
def name_error(name: str) -> str:
    """What is wrong with the name of a queue, a node or a label; "" if nothing."""
    return "" if _NAME.match(name) else _SIGNS.format(signs=". : @ + - _")


@lru_cache(maxsize=4096)
def type_name_error(name: str) -> str:
    """What is wrong with the name of a task type; "" if nothing."""
    return "" if _TYPE_NAME.match(name) else _SIGNS.format(signs=". : @ + - _ /")


def text_error(text: str) -> str:
    """What is wrong with one line of text; "" if nothing."""
    return "" if text.isprintable() else "must be one line of printable characters"


def time_error(moment: datetime, now: datetime) -> str:
    """What is wrong with a planned time; "" if nothing."""
    if moment.year < EARLIEST_YEAR:
        return f"must not lie before the year {EARLIEST_YEAR}"
    if (moment - now).total_seconds() > MAX_AHEAD_SECONDS:
        return "must not lie more than ten years ahead"
    return ""


def explain(error: msgspec.ValidationError) -> tuple[str, str]:
    """(field, message) of a complaint, such as ("labels.gpu", "expected `str`, got `int`")."""
    text = str(error)
    found = _PATH.search(text)
    field = ""
    if found is not None:
        text = text[: found.start()]
        field = found["path"].removeprefix("$").removeprefix(".").replace("[...]", "")
    if text.startswith("Object contains unknown field `"):
        return _joined(field, text.split("`")[1]), "unknown field"
    if text.startswith("Object missing required field `"):
        return _joined(field, text.split("`")[1]), "is required"
    return field[:200], text[:1].lower() + text[1:300]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}"[:200] if path else name[:200]

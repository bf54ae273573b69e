"""Names and texts that people and nodes give, and msgspec's complaints in words for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

import msgspec

#: Names are typed, linked and logged: letters and digits of any script, and a few signs.
_NAME: Final = re.compile(r"\w[\w.:@+-]*\Z")
_TYPE_NAME: Final = re.compile(r"\w[\w.:@+/-]*\Z")

_PATH: Final = re.compile(r" - at (?P<key>`key` in )?`(?P<path>[^`]*)`$")

_BOUND: Final = re.compile(r"Expected `(?P<kind>[^`]+)`(?P<length> of length)? (?P<sign><=|>=|<|>) (?P<limit>[^ ]+)")
_COMPARED: Final = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_KIND: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "datetime": "a time",
}
#: A value that came is a float only if it has a point or an exponent.
_CAME: Final = _KINDS | {"float": "a decimal number"}

#: No time before or after is taken: databases and clocks disagree about the far ends of the calendar.
EARLIEST_YEAR: Final = 2000
#: How far ahead a task may be planned, in seconds: ten years.
MAX_AHEAD_SECONDS: Final = 3660 * 86400.0


#: The same conditions for the schema of the API, on the types of members: JSON Schema has no ``\w`` of its own meaning.
NAME: Final = msgspec.Meta(extra_json_schema={"pattern": r"^[\p{L}\p{N}_][\p{L}\p{N}_.:@+\-]*$"})
TYPE_NAME: Final = msgspec.Meta(extra_json_schema={"pattern": r"^[\p{L}\p{N}_][\p{L}\p{N}_.:@+\-/]*$"})
LINE: Final = msgspec.Meta(extra_json_schema={"pattern": r"^(?: |[^\p{C}\p{Z}])*$"})
TASK_ID: Final = msgspec.Meta(extra_json_schema={"pattern": "^[1-9][0-9]{0,17}$"})

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


def unknown_field(name: str, known: Iterable[str]) -> str:
    """The complaint about a field that does not exist, with what may have been meant."""
    known = list(known)
    if close := get_close_matches(name, known, n=1):
        return f"unknown field; did you mean {close[0]}?"
    return f"unknown field; this route takes {', '.join(known) or 'none'}"


def explain(error: msgspec.ValidationError, known: Iterable[str] = ()) -> tuple[str, str]:
    """(field, message) of a complaint, such as ("tags[2]", "must be text, not a whole number").

    ``known``: the fields of the outermost object, where unknown ones are errors.
    """
    text = str(error)
    found = _PATH.search(text)
    field = inner = ""
    if found is not None:
        text = text[: found.start()]
        # msgspec does not say which member of a mapping it means.
        inner = "a name in it " if found["key"] else "a value in it " if found["path"].endswith("[...]") else ""
        field = found["path"].removeprefix("$").removeprefix(".").replace("[...]", "")
    if text.startswith("Object contains unknown field `"):
        name = text.split("`")[1]
        return _joined(field, name), unknown_field(name, known)
    if text.startswith("Object missing required field `"):
        return _joined(field, text.split("`")[1]), "is required"
    return field[:200], inner + _in_words(text)


def _in_words(text: str) -> str:
    """msgspec's complaint about a value, without its names for types; what is not known here stays as it is."""
    if found := _BOUND.fullmatch(text):
        return _bound_in_words(found["kind"] if found["length"] else "", found["sign"], found["limit"])
    if found := _KIND.fullmatch(text):
        return f"must be {_kinds(found['wanted'], _KINDS)}, not {_kinds(found['got'], _CAME)}"
    if text.startswith("Invalid RFC3339") or text.endswith("with a timezone component"):
        return "must be a time with its zone, such as 2026-11-24T02:00:00Z"
    return text[:1].lower() + text[1:300]


def _bound_in_words(sized: str, sign: str, limit: str) -> str:
    """``sized``: the kind of what has a length; "" for a number."""
    if sized and (sign, limit) == (">=", "1"):
        return "must not be empty"
    amount = f"{_COMPARED[sign]} {limit.removesuffix('.0')}"
    if sized in ("array", "object"):
        return f"must hold {amount} {'items' if sized == 'array' else 'members'}"
    return f"must be {amount}{' characters long' if sized == 'str' else ''}"


def _kinds(names: str, words: dict[str, str]) -> str:
    return " or ".join(words.get(name, name) for name in names.split(" | "))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}"[:200] if path else name[:200]

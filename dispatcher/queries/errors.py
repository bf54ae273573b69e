"""Stored errors: in full, and their heads for lists without reading what may be long."""

from __future__ import annotations

import json
import re

from django.db.models.functions import Substr

from dispatcher.queries.shapes import ErrorDetail

#: Characters of the stored JSON that are read for a head: type and the beginning of the message come first in it.
HEAD_SOURCE_CHARS = 700
HEAD_CHARS = 200

#: For ``annotate``: what ``head`` reads.
HEAD_SOURCE = Substr("error", 1, HEAD_SOURCE_CHARS)

_FIELD = r'"{}"\s*:\s*"((?:[^"\\]|\\.)*)'
_TYPE = re.compile(_FIELD.format("type"), re.DOTALL)
_MESSAGE = re.compile(_FIELD.format("message"), re.DOTALL)
#: What differs between failures of one cause: numbers, and hexadecimal words with a digit in them.
_VARYING = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\d+", re.IGNORECASE)


def head(source: str | None) -> str | None:
    """Type and first line of the message, from the beginning of a stored error; None without an error."""
    if not source:
        return None
    kind, message = _text(_TYPE, source), _text(_MESSAGE, source)
    first_line = message.partition("\n")[0].strip()
    text = f"{kind}: {first_line}" if kind and first_line else kind or first_line or "unknown error"
    return text if len(text) <= HEAD_CHARS else text[: HEAD_CHARS - 1] + "…"


def detail(stored: str | None) -> ErrorDetail | None:
    """A stored error in full; None without one."""
    if not stored:
        return None
    error = json.loads(stored)
    return ErrorDetail(
        type=str(error.get("type", "")),
        message=str(error.get("message", "")),
        traceback=str(error.get("traceback", "")),
    )


def fingerprint(text: str) -> str:
    """The head without what differs between failures of one cause."""
    return _VARYING.sub("#", text)


def _text(field: re.Pattern[str], source: str) -> str:
    """The value of a field, also if the source ends within it."""
    match = field.search(source)
    if match is None:
        return ""
    quoted = match.group(1)
    # A source cut within an escape: \uXXXX may lack digits.
    for text in (quoted, quoted.rpartition("\\")[0]):
        try:
            return str(json.loads(f'"{text}"', strict=False))
        except ValueError:
            continue
    return ""

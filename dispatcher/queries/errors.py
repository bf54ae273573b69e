"""Stored errors: in full, and their heads for lists without reading what may be long."""

from __future__ import annotations

import json
import re

from django.db.models.functions import Substr

from dispatcher.queries.shapes import ErrorDetail
from dispatcher.redaction import Sight, redactor
from workers.protocol import MAX_ERROR_MESSAGE_CHARS, MAX_TRACEBACK_CHARS

#: Characters of the stored JSON that are read for a head: type and the beginning of the message come first in it.
HEAD_SOURCE_CHARS = 2000
#: Of the first line, as much is masked as makes sure that no secret is cut within what is shown of it.
_MASKED_CHARS = 1000
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
    (kind, _), (message, is_whole) = _text(_TYPE, source), _text(_MESSAGE, source)
    line, newline, _ = message.partition("\n")
    limit = _MASKED_CHARS if newline or is_whole else 0
    first_line = redactor().cut_text(line[:_MASKED_CHARS], limit).strip()
    text = f"{kind}: {first_line}" if kind and first_line else kind or first_line or "unknown error"
    return text if len(text) <= HEAD_CHARS else text[: HEAD_CHARS - 1] + "…"


def detail(stored: str | None, sight: Sight = Sight.MASKED) -> ErrorDetail | None:
    """A stored error in full; None without one."""
    if not stored:
        return None
    error, redact = json.loads(stored), sight.words
    return ErrorDetail(
        type=redact.text(str(error.get("type", ""))),
        message=redact.cut_text(str(error.get("message", "")), MAX_ERROR_MESSAGE_CHARS),
        traceback=redact.tail_text(str(error.get("traceback", "")), MAX_TRACEBACK_CHARS),
    )


def fingerprint(text: str) -> str:
    """The head without what differs between failures of one cause."""
    return _VARYING.sub("#", text)


def _text(field: re.Pattern[str], source: str) -> tuple[str, bool]:
    """The value of a field, and whether it is all of it: the source may end within it."""
    match = field.search(source)
    if match is None:
        return "", True
    quoted, is_whole = match.group(1), match.end() < len(source)
    # A source cut within an escape: \uXXXX may lack digits.
    for text in (quoted, quoted.rpartition("\\")[0]):
        try:
            return str(json.loads(f'"{text}"', strict=False)), is_whole
        except ValueError:
            continue
    return "", is_whole

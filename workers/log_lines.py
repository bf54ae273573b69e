"""Log lines that nobody can forge: one line per record, secrets masked, nothing in it that a terminal obeys.

Names, errors and addresses that are logged come from whoever is on the other side. A line break in them must not begin
a line of its own, an escape sequence must not colour or erase others, and letters must not change places.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, Final

from workers.redaction import Redactor

#: Control characters, what reorders or hides letters, and separators of lines and paragraphs.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: Before each further line of a record: it can be taken for no record of its own.
_CONTINUED: Final = "    | "


def escaped(text: str) -> str:
    r"""``text`` on one line, with every character that cannot be seen written as an escape: ``\n``, ``\u202e``."""
    return _UNSEEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:  # noqa: PLR2004 - two hexadecimal digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits, as above


class SafeFormatter(logging.Formatter):
    """Formats a record as one line, and its traceback as indented ones."""

    def __init__(self, fmt: str, *, style: Any = "%", redactor: Callable[[], Redactor]) -> None:
        """``redactor`` is asked for each record: settings may come later than the first line."""
        super().__init__(fmt, style=style)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        mask = self._redactor().text
        record.message = escaped(mask(record.getMessage()))
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [self.formatMessage(record)]
        if record.exc_info:
            lines += self._further(mask(self.formatException(record.exc_info)))
        if record.stack_info:
            lines += self._further(mask(record.stack_info))
        return "\n".join(lines)

    def _further(self, text: str) -> list[str]:
        return [_CONTINUED + escaped(line) for line in text.split("\n")]

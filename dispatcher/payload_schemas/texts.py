"""What a schema says of texts: ``pattern`` and ``format``, as far as checking them can take no long time."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple
from uuid import UUID

#: Longer texts are not matched against patterns.
MAX_MATCHED_CHARS: Final = 500
_MAX_PATTERN_CHARS: Final = 200
#: Of the engine, for the longest text.
_MAX_CHOICES: Final = 1000
_MAX_STEPS: Final = MAX_MATCHED_CHARS**2
#: Python means to give these another meaning within classes.
_SET_OPERATIONS: Final = ("--", "&&", "~~", "||")

#: One character, a class of characters, or an anchor; then how often. Groups, alternatives, references and looking
#: around are what makes matching take exponential time, and are left out.
_PIECE: Final = re.compile(
    r"(?P<one>\\[dDwWsStnr.\-+*?()\[\]{}^$|/\\@:_]|\[\^?\]?(?:\\[^pPuxbBc0-9]|[^\]\\\[])*\]|[^\\\[\](){}*+?|^$])"
    r"(?P<often>[*+?]|\{(?P<low>\d{1,3})(?P<comma>,(?P<high>\d{1,3})?)?\})?"
)


class Pattern(NamedTuple):
    """An expression, and what matching a text may take: ``choices`` times its length to the power of ``degree``."""

    expression: re.Pattern[str]
    choices: int
    degree: int

    def steps(self, length: int) -> int:
        """The effort in steps of ours: the engine takes some hundred of its own in the time of one."""
        return 1 + self.choices * int(length**self.degree) // 100


def safe_pattern(pattern: str) -> Pattern | None:
    """The expression, if it is one of those that can take no long time; None otherwise."""
    if len(pattern) > _MAX_PATTERN_CHARS or any(sign in pattern for sign in _SET_OPERATIONS):
        return None
    body = pattern.removeprefix("^")
    if body.endswith("$") and not body.endswith("\\$"):
        body = body[:-1]
    at, choices, degree = 0, 1, 0 if pattern.startswith("^") else 1
    while at < len(body):
        piece = _PIECE.match(body, at)
        if piece is None:
            return None
        at = piece.end()
        if piece["often"] in ("*", "+") or (piece["comma"] and not piece["high"]):
            degree += 1
        elif piece["often"] == "?":
            choices *= 2
        elif piece["high"]:
            choices *= max(1, int(piece["high"]) - int(piece["low"]) + 1)
    if choices > _MAX_CHOICES or choices * MAX_MATCHED_CHARS**degree > _MAX_STEPS:
        return None
    try:
        return Pattern(re.compile(pattern), choices, degree)
    except (re.error, OverflowError):
        return None


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    def is_right(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return is_right


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError from None


_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@.][^\s@]{0,253}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}:\S+")

#: By the name of the format: what a text has to be, in words, and whether it is. A time may come without its zone.
FORMATS: Final[dict[str, tuple[str, Callable[[str], bool]]]] = {
    "date-time": ("a time, such as 2026-11-24T02:00:00Z", _reads(datetime.fromisoformat)),
    "date": ("a date, such as 2026-11-24", _reads(date.fromisoformat)),
    "time": ("a time of day, such as 02:00:00", _reads(time.fromisoformat)),
    "decimal": ("a number", _reads(_decimal)),
    "uuid": ("a UUID", _reads(UUID)),
    "email": ("an e-mail address", lambda text: bool(_EMAIL.fullmatch(text))),
    "uri": ("an address with its scheme, such as https://example.org/", lambda text: bool(_URI.fullmatch(text))),
    "ipv4": ("an IPv4 address", _reads(ipaddress.IPv4Address)),
    "ipv6": ("an IPv6 address", _reads(ipaddress.IPv6Address)),
}

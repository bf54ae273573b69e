"""What a query consists of, and the one way to write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

OPERATORS: Final = (">=", "<=", ">", "<")
#: Words that people write between terms; quoted they are words to look for.
JOINING: Final = frozenset({"AND", "OR", "NOT"})

_SPECIAL: Final = frozenset(',"\\')
_SPECIAL_IN_TEXT: Final = frozenset(":=<>")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. ``values`` are in canonical form, and alternatives of each other."""

    #: A key's name; "" for words to look for in ids and type names; for a member of the payload "args.".
    key: str
    values: tuple[str, ...]
    operator: str = ""
    negated: bool = False
    #: Of a member of the payload.
    path: tuple[str, ...] = ()
    #: Where it stood in the text that was parsed.
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def __str__(self) -> str:
        head = f"{self.key}{'.'.join(self.path)}:" if self.key else ""
        quoted = (quote(value, is_text=not self.key) for value in self.values)
        return f"{'-' if self.negated else ''}{head}{self.operator}{','.join(quoted)}"


@dataclass(frozen=True, slots=True)
class Query:
    """Terms that all have to hold."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


def quote(value: str, *, is_text: bool = False) -> str:
    """The value as it has to be written: in quotes if it holds what has a meaning outside of them."""
    special = _SPECIAL | _SPECIAL_IN_TEXT if is_text else _SPECIAL
    is_plain = (
        value
        and not value.startswith(("<", ">", "="))
        and not any(char in special or char.isspace() for char in value)
        and not (is_text and (value.startswith(("-", "#")) or value in JOINING))
    )
    if is_plain:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

"""What people type to find nodes: ``status:offline label:gpu=yes queue:mail type:render w-1``. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from django.utils.translation import gettext as _

#: Worst first: the order of the list.
STATUSES: Final = (
    "offline", "suspect", "breaker", "trial", "refusing", "draining", "drained", "online", "disabled",
)  # fmt: skip
#: Those that somebody should look at; ``status:problem`` stands for all of them.
PROBLEMS: Final = ("offline", "suspect", "breaker", "trial", "refusing")
KEYS: Final = ("status", "label", "queue", "type", "version")
MAX_CHARS: Final = 150


class NodeFilterError(ValueError):
    """What was typed makes no sense; the text says what does."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the filter: any of ``values`` of ``key``, or, negated, none of them."""

    key: str
    values: tuple[str, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Terms that must all hold. Empty: every node."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> NodeFilter:
        """Raises ``NodeFilterError``."""
        text = " ".join(text.split())
        if len(text) > MAX_CHARS or not text.isprintable():
            raise NodeFilterError(_("The filter is too long, or not readable."))
        return cls(text, tuple(_term(word) for word in text.split()))

    @property
    def needs_types(self) -> bool:
        """Whether the nodes' task types have to be known."""
        return any(term.key == "type" for term in self.terms)

    def matches(self, row: Mapping[str, Any], queues: Collection[str], types: Collection[str] | None) -> bool:
        """Whether the node is one of those. No queues: all of them; types ``None``: any type."""
        return all(term.is_negated != _holds(term, row, queues, types) for term in self.terms)


def _term(word: str) -> Term:
    is_negated = word.startswith("-") and len(word) > 1
    key, colon, value = word.removeprefix("-").partition(":") if is_negated else word.partition(":")
    if not colon:
        return Term("name", (key.lower(),), is_negated)
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1)
        hint = near[0] if near else ", ".join(KEYS)
        raise NodeFilterError(_("There is no “%(key)s” to filter by. Try: %(hint)s") % {"key": key, "hint": hint})
    values = tuple(filter(None, value.split(",")))
    if not values:
        raise NodeFilterError(_("“%s:” needs a value.") % key)
    if key == "status":
        for one in values:
            if one not in STATUSES and one != "problem":
                hint = ", ".join(get_close_matches(one, STATUSES, n=1) or ("problem", *STATUSES))
                raise NodeFilterError(_("There is no status “%(key)s”. Try: %(hint)s") % {"key": one, "hint": hint})
    return Term(key, values, is_negated)


def _holds(term: Term, row: Mapping[str, Any], queues: Collection[str], types: Collection[str] | None) -> bool:
    match term.key:
        case "status":
            return row["status"] in term.values or ("problem" in term.values and row["status"] in PROBLEMS)
        case "label":
            return any(_has_label(row["labels"], value) for value in term.values)
        case "queue":
            return not queues or any(value in queues for value in term.values)
        case "type":
            return types is None or any(value in types for value in term.values)
        case "version":
            return any(value in row["version"] for value in term.values)
        case _:
            return term.values[0] in str(row["name"]).lower()


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    name, has_value, value = wanted.partition("=")
    return labels.get(name) == value if has_value else name in labels

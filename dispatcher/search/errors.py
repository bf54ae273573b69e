"""What is wrong with a query, where, and what may have been meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

#: ``get_close_matches`` takes time by the square of the length.
_COMPARED_CHARS = 40


def gettext_noop(message: str) -> str:
    """Mark a message for the catalogue; it is translated where it is shown."""
    return message


class SearchError(ValueError):
    """A query that cannot be understood.

    ``message`` is English with ``%(name)s`` for ``params``, so that it can be translated. ``start`` and ``end`` enclose
    what is wrong, in characters from 0. ``suggestion`` is the whole query as it may have been meant, or "".
    """

    def __init__(
        self, message: str, params: dict[str, str], *, start: int, end: int, suggestion: str = "", meant: str = ""
    ) -> None:
        super().__init__(message % params)
        self.message = message
        self.params = params
        self.start = start
        self.end = end
        self.suggestion = suggestion
        #: What stands in the suggestion in place of what is wrong.
        self.meant = meant

    def said(self, translate: Callable[[str], str]) -> str:
        """The message in another language."""
        return translate(self.message) % self.params


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like ``word``; "" if none does."""
    found = get_close_matches(word[:_COMPARED_CHARS].lower(), list(known), n=1)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a query."""

    text: str
    start: int
    end: int

    def error(self, message: str, *, meant: str | None = None, **params: str) -> SearchError:
        """The error about this part, which ``meant`` in its stead would mend."""
        suggestion = "" if meant is None else (self.text[: self.start] + meant + self.text[self.end :]).strip()
        params = {"meant": meant or "", **params}
        return SearchError(message, params, start=self.start, end=self.end, suggestion=suggestion, meant=meant or "")

"""Fill HTML from data by its ``data-bind`` attributes: the server's half of ``static/js/bind.js``.

The grammar, the same on both sides::

    data-bind="target:path|format; target:path|format"

``target`` is ``text`` (the content of the element, which must be empty in the template) or an attribute. ``path`` is a
dotted name within the row, ``.`` for the row itself, with ``!`` before it for its opposite. ``format`` names one of
``dispatcher.dashboard.row_formats.FORMATS``; without one the value is shown as it is. ``hidden``, ``disabled``,
``checked`` and ``open`` are set or left out by truth. An empty attribute is left out. Elements within ``data-list``
belong to their own rows and are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

from django.utils.html import escape

from dispatcher.dashboard.formats import plain
from dispatcher.dashboard.row_formats import FORMATS

FLAGS = frozenset({"hidden", "disabled", "checked", "open"})


@dataclass(frozen=True, slots=True)
class Binding:
    """One ``target:path|format``."""

    target: str
    path: tuple[str, ...]
    is_negated: bool
    format: str

    def value(self, row: Mapping[str, Any], now: datetime) -> Any:
        """What the target shows of ``row``: a string, or a truth value for flags."""
        value: Any = row
        for step in self.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if self.is_negated:
            return not value
        if self.target in FLAGS and not self.format:
            return bool(value)
        return FORMATS[self.format](value, now) if self.format else plain(value, now)


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag with bindings: its source without the closing bracket, and that bracket."""

    source: str
    close: str
    bindings: tuple[Binding, ...]

    def filled(self, row: Mapping[str, Any], now: datetime) -> str:
        """The tag with its attributes, and the text that follows it."""
        source, text = self.source, ""
        for binding in self.bindings:
            value = binding.value(row, now)
            if binding.target == "text":
                text = escape(value)
            elif binding.target in FLAGS:
                source += f" {binding.target}" if value else ""
            elif value != "":
                source += f' {binding.target}="{escape(value)}"'
        return source + self.close + text


def parse_bindings(text: str) -> tuple[Binding, ...]:
    """The bindings of a ``data-bind`` attribute. ``ValueError`` for a malformed one or an unknown format."""
    bindings = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        target, colon, rest = part.partition(":")
        path, _, form = rest.partition("|")
        if not (target and colon and path) or (form and form not in FORMATS):
            raise ValueError(f"cannot read the binding {part!r}")
        is_negated = path.startswith("!")
        steps = tuple(step for step in path.removeprefix("!").split(".") if step)
        bindings.append(Binding(target, steps, is_negated, form))
    return tuple(bindings)


class _Splitter(HTMLParser):
    """Finds the start tags with bindings that do not lie within a list of rows of their own."""

    VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "use", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", html))]
        #: Open elements since the ``data-list`` element, 0 outside of one.
        self._list_depth = 0
        self.found: list[tuple[int, str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_list = any(name == "data-list" for name, _ in attrs)
        if not self._list_depth:
            self._note(dict(attrs).get("data-bind"))
        if (self._list_depth or is_list) and tag not in self.VOID:
            self._list_depth += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._list_depth:
            self._note(dict(attrs).get("data-bind"))

    def handle_endtag(self, tag: str) -> None:
        if self._list_depth and tag not in self.VOID:
            self._list_depth -= 1

    def _note(self, bind: str | None) -> None:
        if bind is not None:
            line, column = self.getpos()
            self.found.append((self._line_starts[line - 1] + column, self.get_starttag_text() or "", bind))


@lru_cache(maxsize=256)
def compiled(html: str) -> tuple[str | Tag, ...]:
    """``html`` as literal text and tags to fill. Cached: the same few templates are filled again and again."""
    parts: list[str | Tag] = []
    at = 0
    for start, source, bind in _Splitter(html).found:
        parts.append(html[at:start])
        close = "/>" if source.endswith("/>") else ">"
        parts.append(Tag(source.removesuffix(close).rstrip(), close, parse_bindings(bind)))
        at = start + len(source)
    parts.append(html[at:])
    return tuple(part for part in parts if part)


def fill(html: str, row: Mapping[str, Any], now: datetime) -> str:
    """``html`` with its bindings filled from ``row``; every value is escaped."""
    return "".join(_pieces(html, row, now))


def _pieces(html: str, row: Mapping[str, Any], now: datetime) -> Iterator[str]:
    for part in compiled(html):
        yield part if isinstance(part, str) else part.filled(row, now)

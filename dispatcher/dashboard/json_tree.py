"""JSON as a tree that folds: so much of it as a page bears, exact to the digit.

Each level is taken apart into the text of its parts, and no part is read into a number: what is shown is what was sent.
A part is named by the places on the way to it, counted from 0 in lists and objects alike ("2.0.5").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self

import msgspec
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dispatcher.redaction import MASK

#: Parts shown in one tree, and parts of one list or object shown at once.
MAX_PARTS: Final = 400
MAX_CHILDREN: Final = 100
#: Levels below the root.
MAX_DEPTH: Final = 8
#: A longer text is folded behind its beginning; of all texts together no more than ``MAX_CHARS`` are unfolded.
HEAD_CHARS: Final = 300
MAX_CHARS: Final = 60_000
MAX_KEY_CHARS: Final = 120
#: Lists and objects with no more parts than this are open from the start, on the first levels.
_OPEN_CHILDREN: Final = 20
_OPEN_DEPTH: Final = 2
#: Places in an address: deeper than any JSON that is taken.
_MAX_PLACES: Final = 600
_MAX_PLACE_DIGITS: Final = 7

_list_of = msgspec.json.Decoder(list[msgspec.Raw])
_object_of = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_of = msgspec.json.Decoder(str)
_any_of = msgspec.json.Decoder(msgspec.Raw)


@dataclass(slots=True)
class Part:
    """A value within JSON text, and what is shown within it."""

    raw: bytes
    places: tuple[int, ...] = ()
    #: Its name in the object that it is in; None in a list, and for the whole.
    key: str | None = None
    #: How many parts it has, and which of them are shown, from ``first`` on.
    count: int = 0
    first: int = 0
    children: list[Part] = field(default_factory=list)

    @classmethod
    def whole(cls, text: str) -> Self | None:
        """All of it; None if it is not JSON."""
        try:
            return cls(bytes(_any_of.decode(text)).strip())
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return None

    @property
    def kind(self) -> str:
        """object, list, string, number or word."""
        first = self.raw[:1]
        return {b"{": "object", b"[": "list", b'"': "string"}.get(first, "word" if first.isalpha() else "number")

    @property
    def text(self) -> str:
        """What a string says; any other value as it is written."""
        if self.kind == "string":
            try:
                return _text_of.decode(self.raw)
            except (msgspec.MsgspecError, UnicodeError):
                # Half a character, written as \ud83d.
                pass
        return self.raw.decode(errors="replace")

    def members(self) -> Sequence[tuple[str | None, msgspec.Raw]]:
        """What it is made of, each with its name; nothing if it is no list and no object."""
        try:
            if self.kind == "list":
                return [(None, raw) for raw in _list_of.decode(self.raw)]
            if self.kind == "object":
                return list(_object_of.decode(self.raw).items())
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            pass
        return []

    def at(self, places: Sequence[int]) -> Part | None:
        """The part at these places below it; None if there is none."""
        part: Part = self
        for place in places:
            members = part.members()
            if place >= len(members):
                return None
            key, raw = members[place]
            part = Part(bytes(raw).strip(), (*part.places, place), key)
        return part

    def unfold(self, first: int = 0) -> Self:
        """Fill in what is shown, level by level, so that no branch takes the room of the others."""
        left = MAX_PARTS
        open_parts: deque[Part] = deque([self])
        depth = len(self.places) + MAX_DEPTH
        while open_parts:
            part = open_parts.popleft()
            members = part.members()
            part.count = len(members)
            if part is self:
                part.first = min(first, max(0, part.count - 1))
            if len(part.places) >= depth:
                continue
            for place, (key, raw) in enumerate(islice(members, part.first, part.first + min(left, MAX_CHILDREN))):
                part.children.append(Part(bytes(raw).strip(), (*part.places, part.first + place), key))
            left -= len(part.children)
            open_parts.extend(child for child in part.children if child.kind in ("object", "list"))
        return self


def places_of(text: str) -> tuple[int, ...] | None:
    """The places named by an address; None if it names none."""
    words = text.split(".") if text else []
    is_right = all(word.isascii() and word.isdigit() and len(word) <= _MAX_PLACE_DIGITS for word in words)
    return tuple(map(int, words)) if is_right and len(words) <= _MAX_PLACES else None


class TreeHtml:
    """Parts as HTML. Whatever people and nodes supplied is escaped, and what is left out is counted and linked to."""

    def __init__(self, more_url: str) -> None:
        """``more_url``: an address that takes ``at`` and ``first`` as further parameters."""
        self._more_url = more_url
        self._chars_left = MAX_CHARS

    def tree(self, root: Part) -> SafeString:
        """The tree of an unfolded part."""
        return self._part(root, 0)

    def _part(self, part: Part, depth: int) -> SafeString:
        name = self._name(part) if depth else ""
        if not part.count:
            return format_html(
                '<div class="j-part" data-places="{}" tabindex="{}">{}{}</div>',
                _dotted(part),
                "-1" if depth else "0",
                name,
                self._value(part),
            )
        is_open = not depth or (depth < _OPEN_DEPTH and part.count <= _OPEN_CHILDREN)
        rows = format_html_join("", "{}", ((self._part(child, depth + 1),) for child in part.children))
        return format_html(
            '<details class="j-part" data-places="{}"{}><summary>{}<span class="j-count">{}</span></summary>'
            '<div class="j-parts">{}{}{}</div></details>',
            _dotted(part),
            SafeString(" open") if is_open else "",
            name,
            _count(part),
            self._more(part, max(0, part.first - MAX_CHILDREN), part.first, _("Before these: %(n)s"))
            if part.first
            else "",
            rows,
            self._rest(part),
        )

    def _rest(self, part: Part) -> SafeString:
        shown = part.first + len(part.children)
        if shown >= part.count:
            return SafeString("")
        return self._more(part, shown, part.count - shown, _("%(n)s more: show"))

    def _more(self, part: Part, first: int, number: int, words: str) -> SafeString:
        url = f"{self._more_url}{'&' if '?' in self._more_url else '?'}at={_dotted(part)}&first={first}"
        return format_html('<a class="j-more" href="{}">{}</a>', url, words % {"n": _number(number)})

    def _name(self, part: Part) -> SafeString:
        if part.key is None:
            return format_html('<span class="j-place">{}</span> ', part.places[-1])
        key = part.key if len(part.key) <= MAX_KEY_CHARS else part.key[: MAX_KEY_CHARS - 1] + "…"
        return format_html('<bdi class="j-key">{}</bdi><span class="j-sign">:</span> ', key)

    def _value(self, part: Part) -> SafeString:
        text, kind = part.text, part.kind
        if kind in ("object", "list"):
            return format_html('<span class="j-count">{}</span>', text)
        if kind == "string" and MASK in text:
            kind = "masked"
        if len(text) <= HEAD_CHARS:
            self._chars_left -= len(text)
            words = format_html('<span class="visually-hidden">{}</span>', _("(masked)")) if kind == "masked" else ""
            return format_html('<span class="j-{}"><bdi>{}</bdi></span>{}', kind, text, words)
        head = format_html('<span class="j-{}"><bdi>{}</bdi>…</span>', kind, text[:HEAD_CHARS])
        if len(text) > self._chars_left:
            left_out = _("%(n)s characters, too many for the tree: they are in Raw.")
            return format_html('{} <span class="meta">{}</span>', head, left_out % {"n": _number(len(text))})
        self._chars_left -= len(text)
        return format_html(
            '<details class="j-long"><summary>{} <span class="j-all">{}</span><span class="j-less">{}</span></summary>'
            '<span class="j-{}"><bdi>{}</bdi></span></details>',
            head,
            _("Show all %(n)s characters") % {"n": _number(len(text))},
            _("Show less"),
            kind,
            text,
        )


def _number(number: int) -> str:
    return f"{number:,}"


def _dotted(part: Part) -> str:
    return ".".join(map(str, part.places))


def _count(part: Part) -> str:
    if part.kind == "list":
        return ngettext("[%(n)s item]", "[%(n)s items]", part.count) % {"n": _number(part.count)}
    return ngettext("{%(n)s field}", "{%(n)s fields}", part.count) % {"n": _number(part.count)}


def tree_html(text: str, more_url: str) -> SafeString:
    """The tree of JSON text; empty if it is not JSON: a result that was cut to size is none."""
    root = Part.whole(text)
    return TreeHtml(more_url).tree(root.unfold()) if root else SafeString("")

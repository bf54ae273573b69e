"""The parser: one pass from left to right, so that its time grows with the length of the text and no faster.

query := term*                 term  := ["-"] (key ":" [op] value ("," value)* | value)
op := ">" | ">=" | "<" | "<="  value := bare | quoted, with a backslash before a quote or a backslash in it
"""

from __future__ import annotations

from typing import Final

from dispatcher.search.checking import check_value, resolve_key
from dispatcher.search.errors import Place, SearchError, gettext_noop
from dispatcher.search.keys import KEYS, MEMBER, Key
from dispatcher.search.terms import JOINING, OPERATORS, Query, Term, quote

MAX_CHARS: Final = 2000
MAX_TERMS: Final = 30
MAX_VALUES: Final = 50
MAX_VALUE_CHARS: Final = 200


def parse(text: str) -> Query:
    """The query written as ``text``. Raises ``SearchError`` and nothing else."""
    if len(text) > MAX_CHARS:
        message = gettext_noop("A query may have at most %(most)s characters.")
        raise Place(text, MAX_CHARS, len(text)).error(message, most=str(MAX_CHARS))
    for at, char in enumerate(text):
        if char == "\x00" or "\ud800" <= char <= "\udfff":
            raise Place(text, at, at + 1).error(gettext_noop("This character cannot be part of a query."), meant="")
    return Query(tuple(_Scanner(text).terms()))


class _Scanner:
    """A place in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def terms(self) -> list[Term]:
        """All terms from here to the end."""
        found: list[Term] = []
        while self._skip_blanks():
            start = self.at
            term = self._term()
            if len(found) == MAX_TERMS:
                message = gettext_noop("A query may have at most %(most)s terms.")
                raise self._place(start, self.at).error(message, meant="", most=str(MAX_TERMS))
            found.append(term)
        return found

    def _place(self, start: int, end: int) -> Place:
        return Place(self.text, start, end)

    @property
    def _char(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip_blanks(self) -> bool:
        """Go on to the next term; False at the end."""
        while self._char.isspace():
            self.at += 1
        return bool(self._char)

    def _term(self) -> Term:
        start = self.at
        negated = self._char == "-"
        if negated:
            self.at += 1
        if not self._char or self._char.isspace():
            message = gettext_noop("A minus sign has to stand right before what is to be left out.")
            raise self._place(start, self.at).error(message, meant="")
        begins = self.at
        if self._char != '"':
            while self._char and not self._char.isspace() and self._char not in ':",':
                self.at += 1
            if self._char == ":":
                return self._keyed(begins, start=start, negated=negated)
            self.at = begins
        return self._words(start=start, negated=negated)

    def _words(self, *, start: int, negated: bool) -> Term:
        """A word without a key: looked for in ids and type names."""
        begins = self.at
        is_quoted = self._char == '"'
        value = self._quoted() if is_quoted else self._bare()
        written = self.text[begins : self.at]
        if self._char == ",":
            message = gettext_noop("Several values need a key before them, as in %(example)s.")
            raise self._place(begins, self.at + 1).error(message, meant=f"{written} ", example="type:render,fetch")
        if not is_quoted:
            self._check_word(value, begins)
            if value.startswith("#"):
                number = check_value(KEYS["id"], "", value[1:], self._place(begins + 1, self.at))
                return Term("id", (number,), "", negated, start=start, end=self.at)
        if not value.strip():
            raise self._place(begins, self.at).error(gettext_noop("There is nothing in these quotes."), meant="")
        return Term("", (value,), "", negated, start=start, end=self.at)

    def _check_word(self, value: str, begins: int) -> None:
        """Refuse what is meant as something else than a word to look for."""
        if value in JOINING:
            message = gettext_noop(
                "All terms have to hold, so %(word)s is not needed; alternatives are values with commas between them,"
                " and a minus sign leaves out. Quote the word to search for it."
            )
            raise self._place(begins, self.at).error(message, meant="", word=value)
        place = min((value.find(sign) for sign in "=<>" if sign in value), default=-1)
        if place < 0:
            return
        head, tail = value[:place], value[place:].lstrip("=") if value[place] == "=" else value[place:]
        meant = f"{head}:{tail}" if head and tail else None
        message = gettext_noop("A key is followed by a colon, as in %(example)s.")
        raise self._place(begins, self.at).error(message, meant=meant, example=meant or "ran:>30s")

    def _keyed(self, begins: int, *, start: int, negated: bool) -> Term:
        written = self.text[begins : self.at]
        key, path = resolve_key(written, self._place(begins, self.at))
        self.at += 1
        operator, operator_at = self._operator(), self.at
        if operator and not key.is_compared:
            message = gettext_noop("%(key)s cannot be compared by %(operator)s.")
            meant = "" if self._char and not self._char.isspace() else None
            place = self._place(operator_at - len(operator), operator_at)
            raise place.error(message, meant=meant, key=key.name, operator=operator)
        values: list[str] = []
        while True:
            values.append(self._value(key, operator, begins))
            if self._char != ",":
                break
            comma = self.at
            self.at += 1
            if operator:
                message = gettext_noop("After %(operator)s there can be one value only.")
                raise self._place(comma, self.at).error(message, meant=" ", operator=operator)
            if len(values) == MAX_VALUES:
                message = gettext_noop("A key may have at most %(most)s values.")
                raise self._place(comma, self.at).error(message, most=str(MAX_VALUES))
        if not operator and key.name in ("waited", "ran"):
            message = gettext_noop("Say whether longer or shorter, as in %(example)s.")
            meant = f"{written}:>{quote(values[0])}"
            raise self._place(begins, self.at).error(message, meant=meant, example=f"{key.name}:>{values[0]}")
        unique = tuple(dict.fromkeys(values))
        return Term(key.name, unique, operator, negated, path, start=start, end=self.at)

    def _operator(self) -> str:
        for operator in OPERATORS:
            if self.text.startswith(operator, self.at):
                self.at += len(operator)
                return operator
        if self._char == "=":
            # "equals" is what a key without an operator means.
            self.at += 1
        return ""

    def _value(self, key: Key, operator: str, key_at: int) -> str:
        begins = self.at
        value = self._quoted() if self._char == '"' else self._bare()
        if not value:
            raise self._no_value(key, key_at, begins)
        if len(value) > MAX_VALUE_CHARS:
            message = gettext_noop("A value may have at most %(most)s characters.")
            raise self._place(begins, self.at).error(message, most=str(MAX_VALUE_CHARS))
        return check_value(key, operator, value, self._place(begins, self.at), key_at=key_at)

    def _no_value(self, key: Key, key_at: int, begins: int) -> SearchError:
        """``state: failed`` is meant without the blank."""
        example = MEMBER.example if key is MEMBER else key.example
        message = gettext_noop("A value is missing here, as in %(example)s.")
        rest = self.text[begins:].lstrip()
        meant = self.text[key_at:begins] if rest and rest[0] not in '-,"' and ":" not in rest.split()[0] else None
        end = len(self.text) - len(rest) if meant is not None else max(begins, key_at + 1)
        return self._place(key_at, end).error(message, meant=meant, example=example)

    def _bare(self) -> str:
        begins = self.at
        while self._char and not self._char.isspace() and self._char not in ',"':
            self.at += 1
        if self._char == '"':
            message = gettext_noop("Quotes enclose a whole value.")
            raise self._place(self.at, self.at + 1).error(message, meant="")
        return self.text[begins : self.at]

    def _quoted(self) -> str:
        begins = self.at
        self.at += 1
        found: list[str] = []
        while self._char != '"':
            if self._char == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\"):
                self.at += 1
            if not self._char:
                message = gettext_noop("This quote is not closed.")
                raise self._place(begins, len(self.text)).error(message, meant=f'{self.text[begins:]}"')
            found.append(self._char)
            self.at += 1
        self.at += 1
        if self._char and not self._char.isspace() and self._char != ",":
            message = gettext_noop("A blank has to follow after these quotes.")
            raise self._place(self.at, self.at).error(message, meant=" ")
        return "".join(found)

"""Every word of the pages is in the Chinese catalogue, and no page says one past it."""

from __future__ import annotations

import gettext
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType

from tests.architecture.sources import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import write_words

FOLDER = write_words.folder_of("zh_Hans")
PO = (FOLDER / "django.po").read_text()
KNOWN = write_words.read_po(PO)
PLACE = re.compile(r"%(?:\(\w+\))?[sdgf]|%\(\w+\)02d|\{\w+\}|</?[a-z]\w*")
#: Names and code, the same in every language.
NAMES = re.compile(r"taskdist|English|pid|JSON|curl|UTC|EN|p50|p95|p99|#|TOKEN|Bearer|Authorization|CSV|API")
SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-label")


def test_every_text_is_translated() -> None:
    found = write_words.texts()
    assert len(found) > 400
    assert sorted(text.singular for text in found if not KNOWN.get(text)) == []
    assert sorted(text.singular for text in KNOWN if text not in found) == []


def test_what_is_filled_in_is_the_same() -> None:
    differ = [
        text.singular
        for text, translation in KNOWN.items()
        if translation and sorted(PLACE.findall(translation)) not in (
            sorted(PLACE.findall(text.singular)), sorted(PLACE.findall(text.plural)),
        )
    ]  # fmt: skip
    assert differ == []


def test_the_compiled_catalogue_says_what_the_source_says() -> None:
    with (FOLDER / "django.mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    for text, translation in KNOWN.items():
        said = catalogue.ngettext(text.singular, text.plural, 2) if text.plural else catalogue.gettext(text.singular)
        assert said == translation
    assert (FOLDER / "django.mo").read_bytes() == write_words.mo_of(PO)
    assert write_words.po_of(KNOWN) == PO


def test_the_tables_of_the_scripts_have_the_same_keys() -> None:
    tables = [
        set(re.findall(r'^  "([\w.]+?)(?:\.one)?":', (ROOT / "static/js/words" / name).read_text(), re.MULTILINE))
        for name in ("en.js", "zh_hans.js")
    ]
    assert tables[0] ^ tables[1] == set()


class Literals(HTMLParser):
    """Finds words between tags, and in attributes that are read out or shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._code = 0
        #: Just inside an element that says which language it is in.
        self._has_language = False
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "kbd", "pre")
        self._has_language = any(name == "lang" and value not in (None, "") for name, value in attrs)
        if not self._has_language:
            self.found += [value for name, value in attrs if name in SPOKEN and value and is_spoken(value)]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "kbd", "pre")
        self._has_language = False

    def handle_data(self, data: str) -> None:
        if not (self._code or self._has_language) and is_spoken(data):
            self.found.append(data.strip())


def is_spoken(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", NAMES.sub("", text)))


def without_tags(source: str) -> str:
    """A template's own HTML: neither tags nor variables nor what is translated."""
    kept: list[str] = []
    is_translated = False
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            word = token.contents.split()[0]
            is_translated = word == "blocktranslate" or (is_translated and word != "endblocktranslate")
        elif token.token_type == TokenType.TEXT and not is_translated:
            kept.append(token.contents)
    return "".join(kept)


OWN = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_no_template_holds_a_word_that_is_not_translated(path: Path) -> None:
    assert [text for text in Literals(without_tags(path.read_text())).found if text not in ALLOWED] == []


#: Examples of input, the same in every language, and what is left of the admin's classes.
ALLOWED = {"gpu=yes, zone=eu", "nightly, import", "null", "app- model-", "status:problem label:gpu=yes w-1"}


@pytest.mark.parametrize(
    "html", ["<p>Plain words</p>", '<a title="Words">{{ x }}</a>', "<b>{% if x %}Words{% endif %}</b>"]
)
def test_a_literal_is_found(html: str) -> None:
    assert Literals(without_tags(html)).found


def test_what_is_translated_is_no_literal() -> None:
    html = '<p title="{% translate "W" %}">{% blocktranslate %}A <b>b</b> word{% endblocktranslate %}</p>'
    assert Literals(without_tags(html)).found == []

"""Write ``locale/``: what is to be translated, found in the sources, and the compiled catalogues that Django reads.

Pure Python, so that it runs where GNU gettext is not installed. ``--check`` writes nothing and says what is amiss.
What has no translation yet is listed; put it into the ``.po`` file and run this again.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("zh_Hans",)
FOLDERS = ("dispatcher", "taskdist_site")
#: Functions that take a text, and how many of their first arguments are texts.
TEXTS = {"_": 1, "_t": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
_CALL = re.compile(r"\b(gettext|ngettext|_)\((?=u?[\"'])")
_PLACE = re.compile(r"%(?:\(\w+\))?[sdgf]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}

HEADER = """\
# The dashboard, login, error pages and admin in simplified Chinese. Written by scripts/write_words.py (`make words`):
# the texts to translate come from the sources, their translations from here.
msgid ""
msgstr ""
"Project-Id-Version: taskdist\\n"
"Language: zh_Hans\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"""


@dataclass(frozen=True, order=True)
class Text:
    """Something to translate; ``plural`` is "" for what is not counted."""

    singular: str
    plural: str = ""


# --- What the sources say -------------------------------------------------------------------------


def texts_of_python(source: str) -> Iterator[Text]:
    """The texts that Python code hands to gettext. ``ValueError`` for one that is no literal."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TEXTS):
            continue
        arguments = node.args[: TEXTS[node.func.id]]
        values = [one.value for one in arguments if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(values) == TEXTS[node.func.id]:
            yield Text(*values)


def texts_of_template(source: str) -> Iterator[Text]:
    """The texts of a template's ``translate`` and ``blocktranslate``, by Django's own reading of them."""
    from django.utils.translation.template import templatize

    calls = templatize(source)
    for found in _CALL.finditer(calls):
        expression = calls[found.start() :]
        for end in (at.end() for at in re.finditer(r"\)", expression)):
            try:
                call = ast.parse(expression[:end].strip(), mode="eval").body
            except SyntaxError:
                continue
            yield from texts_of_python(ast.unparse(call))
            break


def texts() -> set[Text]:
    """Every text of the project."""
    found: set[Text] = set()
    for path in (ROOT / "templates").rglob("*.html"):
        found.update(texts_of_template(path.read_text()))
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        if path.parent.name != "migrations":
            found.update(texts_of_python(path.read_text()))
    return found


# --- Catalogues -----------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A text as a .po file writes it."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'


def read_po(source: str) -> dict[Text, str]:
    """Text → translation, "" for what has none. Without the header."""
    found: dict[Text, str] = {}
    for block in re.split(r"\n\s*\n", source):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            word, _, rest = line.partition(" ") if line.startswith("msg") else ("", "", line)
            name = word or name
            if rest.startswith('"'):
                fields[name] = fields.get(name, "") + ast.literal_eval(rest)
        if fields.get("msgid"):
            text = Text(fields["msgid"], fields.get("msgid_plural", ""))
            found[text] = fields.get("msgstr[0]", "") if text.plural else fields.get("msgstr", "")
    return found


def po_of(translations: dict[Text, str]) -> str:
    """The .po file, in the order of the alphabet and without places: it changes with the texts alone."""
    parts = [HEADER]
    for text in sorted(translations):
        lines = []
        if _PLACE.search(text.singular + text.plural):
            lines.append("#, python-format")
        lines.append(f"msgid {quoted(text.singular)}")
        if text.plural:
            lines += [f"msgid_plural {quoted(text.plural)}", f"msgstr[0] {quoted(translations[text])}"]
        else:
            lines.append(f"msgstr {quoted(translations[text])}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def mo_of(po: str) -> bytes:
    """The compiled catalogue (GNU gettext manual, "The Format of GNU MO Files"), little-endian, without hash table."""
    header = "".join(ast.literal_eval(line) for line in HEADER.split('msgstr ""')[1].splitlines() if line)
    pairs = [(b"", header.encode())]
    for text, translation in read_po(po).items():
        if translation:
            key = f"{text.singular}\0{text.plural}" if text.plural else text.singular
            pairs.append((key.encode(), translation.encode()))
    pairs.sort()
    keys_at, count = 28, len(pairs)
    texts_at = keys_at + 8 * count
    at = texts_at + 8 * count
    tables: list[int] = []
    for side in (0, 1):
        for pair in pairs:
            tables += [len(pair[side]), at]
            at += len(pair[side]) + 1
    numbers = [0x950412DE, 0, count, keys_at, texts_at, 0, 0, *tables]
    body = b"".join(pair[side] + b"\0" for side in (0, 1) for pair in pairs)
    return b"".join(number.to_bytes(4, "little") for number in numbers) + body


def folder_of(language: str) -> Path:
    """Where Django looks for a language's catalogues."""
    return ROOT / "locale" / language / "LC_MESSAGES"


def main(arguments: Iterable[str]) -> int:
    """Write the catalogues, or say what is amiss; returns the exit status."""
    is_check = "--check" in arguments
    found, status = texts(), 0
    for language in LANGUAGES:
        folder = folder_of(language)
        folder.mkdir(parents=True, exist_ok=True)
        source, compiled = folder / "django.po", folder / "django.mo"
        known = read_po(source.read_text()) if source.exists() else {}
        po = po_of({text: known.get(text, "") for text in found})
        missing = [text.singular for text in sorted(found) if not known.get(text)]
        for singular in missing:
            sys.stdout.write(f"{language}: not translated: {singular!r}\n")
        is_same = compiled.exists() and (source.read_text(), compiled.read_bytes()) == (po, mo_of(po))
        if not is_check:
            source.write_text(po)
            compiled.write_bytes(mo_of(po))
        elif not is_same:
            sys.stdout.write(f"{language}: out of date: run `make words`\n")
        status |= bool(missing) or (is_check and not is_same)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

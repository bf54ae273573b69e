"""Secrets out of what people read: values under telling names, and texts that look like secrets, become ``***``.

Pure, and used on both sides of the wire: the dispatcher masks what it shows, both mask what they log. What is run and
what is reported stays as it is. Mask before anything is shortened: a secret that was cut is no longer recognised.

Masking errs on the side of hiding. It is no proof against someone who wants to show a secret: base64 of it, or its
letters one by one, pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

MASK: Final = "***"

#: Names of secrets, in words parted by "_". A name matches that holds these words one after the other, however they are
#: joined: api_key is also apiKey, X-Api-Key and APIKEY.
DEFAULT_KEYS: Final = (
    "password", "passwd", "passphrase", "pwd", "pass", "secret", "token", "authorization", "credential", "cookie",
    "api_key", "access_key", "private_key", "signing_key", "encryption_key", "account_key", "ssh_key", "dsn", "jwt",
    "session_id", "connection_string", "amz_signature",
)  # fmt: skip
#: One-word names as long as this also match at the end of a word: pgpassword, authtoken.
_LEAST_ENDING: Final = 5
#: Whatever follows these on the line belongs to them: "Cookie: a=1; b=2".
_WHOLE_LINE: Final = frozenset({"authorization", "cookie"})

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_JOINT: Final = "[_. -]?"
_NO_JOINTS: Final = str.maketrans("", "", "_. -")

_PEM: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
#: The rest of a key whose beginning was cut off.
_PEM_REST: Final = re.compile(r"\A.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.DOTALL)
#: user:password@, but not the @ in the path behind host:port/.
_USERINFO: Final = re.compile(r"""(://[^\s/:@"'<>]{0,256}):(?!\d{1,5}/)[^\s"'<>]{0,1024}@""")
#: A user name so long that it is a token.
_TOKEN_USER: Final = re.compile(r"""://[^\s/:@"'<>]{16,256}@""")
_SCHEME: Final = re.compile(r"\b(bearer)\s+[\w.~+/=-]+|\b(basic)\s+(?=[A-Za-z+/]*[\d=])[\w+/=]{6,}", re.IGNORECASE)
_SHAPES: Final = re.compile(
    r"\b(?:td[kne]_[\w-]{20,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}"
    r"|sk-[\w-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?)"
)
#: What has to be in a lower-case text for one of the patterns above to match.
_SHAPE_NEEDLES: Final = (
    "private key", "://", "bearer", "basic", "tdk_", "tdn_", "tde_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "glpat-", "xox", "sk-", "akia", "asia", "eyj",
)  # fmt: skip

_NAME_REACH: Final = 40
#: From the end of a telling word to its value: the rest of the name, closing quotes and brackets, the sign.
_SIGN: Final = re.compile(
    r"""(?P<rest>[\w.-]{0,40})\\{0,8}["']?\]?[ \t]{0,4}(?:=>|[:=](?!=))[ \t]{0,4}|(?P<option>[\w-]{0,40})[ \t]{1,4}"""
)
_VALUE: Final = re.compile(
    r"""[bBrRuUfF]{0,2}(?P<quote>\\{0,8}["'])(?P<quoted>.*?)(?:(?<!\\)(?P=quote)|\Z)|(?P<bare>[^\s,;&)}\]>"']+)""",
    re.DOTALL,
)
_LINE: Final = re.compile(r"""[^\r\n"']*""")
_ASSIGNED: Final = re.compile(r"[ \t]{0,4}=(?!=)[ \t]{0,4}")
#: Values that hide nothing.
_HARMLESS: Final = frozenset({"", "null", "none", "true", "false", MASK})
_OPENING, _CLOSING = "{[(", "}])"
#: Characters of a bracketed value in text that are looked through for its end; beyond, all of the rest is masked.
_CONTAINER_REACH: Final = 20_000

#: Of a text that was cut to size, so much of the last word may be half a secret.
_FRAYED_CHARS: Final = 256


def _as_written(number: str) -> msgspec.Raw:
    """A number of JSON text as the text that it is."""
    return msgspec.Raw(number.encode())


class Redactor:
    """Masks by one list of names. Immutable; share one per list."""

    def __init__(self, keys: Iterable[str] = DEFAULT_KEYS) -> None:
        """``keys``: names of secrets, as in ``DEFAULT_KEYS``."""
        self._names = tuple(dict.fromkeys(tuple(key.lower().split("_")) for key in keys if key.strip("_")))
        self._needles = tuple("".join(name) for name in self._names)
        joined = {_JOINT.join(map(re.escape, name)) for name in self._names}
        self._telling = re.compile("|".join(sorted(joined, key=len, reverse=True)) or r"(?!)")
        self.json = lru_cache(maxsize=32)(self._json)
        self._kind = lru_cache(maxsize=4096)(self._kind_of)

    def is_secret(self, key: str) -> bool:
        """Whether a value under this name is a secret."""
        return self._kind(key) > 0 if len(key) <= 200 else self._kind_of(key) > 0  # noqa: PLR2004 - not worth a name

    def value(self, value: Any) -> Any:
        """A JSON value with its secrets masked; the same object if there are none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            items = [self.value(item) for item in value]
            return value if all(map(_is, items, value)) else items
        return value

    def _json(self, text: str, *, is_cut: bool = False) -> str:
        """JSON text with its secrets masked; the same text, to the letter, if there are none. Never raises.

        ``is_cut``: if it is a string, it may be the beginning of something that was too long.
        """
        if "\\u" not in text and not self._may_hold(text):
            return text
        try:
            # Numbers stay the text that they are: 1e400 is none that Python has, and -0 would lose its sign.
            value = json.loads(text, parse_int=_as_written, parse_float=_as_written)
            masked = self.cut_text(value, 0) if is_cut and isinstance(value, str) else self.value(value)
            return text if masked is value else msgspec.json.format(msgspec.json.encode(masked), indent=0).decode()
        except (ValueError, RecursionError):
            # No JSON, or more than Python's reader takes: as text it is masked all the same.
            return self.text(text)

    def text(self, text: str) -> str:
        """Text with secrets masked: key blocks, user:password@ in URLs, Bearer …, tokens of known form, name=value."""
        return self._assignments(self.shapes(text)) if self._may_hold(text) else text

    def shapes(self, text: str) -> str:
        """Text with only that masked which looks like a secret by itself, whatever name stands before it."""
        if "PRIVATE KEY" in text:
            text = _PEM_REST.sub(MASK, _PEM.sub(MASK, text))
        if "://" in text:
            text = _TOKEN_USER.sub(f"://{MASK}@", _USERINFO.sub(rf"\1:{MASK}@", text))
        text = _SCHEME.sub(lambda match: f"{match[1] or match[2]} {MASK}", text)
        return _SHAPES.sub(MASK, text)

    def cut_text(self, text: str, limit: int) -> str:
        """``text`` masked, which somebody before us may have cut at its end to ``limit`` characters.

        Half a secret is not recognised, so the last word of a text that was cut is left out.
        """
        if len(text) < limit:
            return self.text(text)
        tail = text[-_FRAYED_CHARS:]
        kept = max(map(tail.rfind, " \t\r\n")) + 1
        return self.text(text[: len(text) - len(tail) + kept]) + "…"

    def tail_text(self, text: str, limit: int) -> str:
        """``text`` masked, whose beginning may have been cut off: its first line then lacks what tells a secret."""
        if len(text) < limit:
            return self.text(text)
        return "…\n" + self.text(text.partition("\n")[2])

    def _may_hold(self, text: str) -> bool:
        """Whether there is anything to look for. Much quicker than looking."""
        folded = text.lower()
        if any(needle in folded for needle in _SHAPE_NEEDLES):
            return True
        squeezed = folded.translate(_NO_JOINTS)
        return any(needle in squeezed for needle in self._needles)

    def _kind_of(self, key: str) -> int:
        """0: no secret; 1: a secret; 2: several of them, as in "tokens", which may also be a number of something."""
        words = [word.lower() for word in _WORDS.findall(key)]
        return max((_match(words, name) for name in self._names), default=0)

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        masked = {key: self._member(key, item) for key, item in value.items()}
        # {"name": "DB_PASSWORD", "value": "…"}, as environments are listed.
        name = value.get("name", value.get("key"))
        if isinstance(name, str) and "value" in value and self.is_secret(name):
            masked["value"] = _hidden(value["value"])
        return value if all(map(_is, masked.values(), value.values())) else masked

    def _member(self, key: str, item: Any) -> Any:
        kind = self._kind(key) if len(key) <= 200 else self._kind_of(key)  # noqa: PLR2004 - as in is_secret
        if not kind or (kind > 1 and isinstance(item, int | float | msgspec.Raw)):
            return self.value(item)
        return _hidden(item)

    def _assignments(self, text: str) -> str:
        """``name=value``, ``name: value``, ``"name": "value"``, ``--name value``, also within quoted JSON."""
        pieces, done = [], 0
        folded = text.lower()
        if len(folded) != len(text):
            # A few letters get longer by that; places have to be the same in both.
            folded = "".join(char.lower() if char.isascii() else char for char in text)
        for found in self._telling.finditer(folded):
            if found.start() < done:
                continue
            sign = _SIGN.match(text, found.end())
            if sign is None:
                continue
            rest, option = sign["rest"], sign["option"]
            is_option = rest is None
            name = _before(text, found.start()) + text[found.start() : found.end()] + (option if is_option else rest)
            if (is_option and not name.startswith("--")) or not self.is_secret(name):
                continue
            end = self._value_end(text, sign.end(), name, is_header=not is_option)
            value = text[sign.end() : end]
            if value.strip("\\\"'").lower() not in _HARMLESS:
                quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
                pieces += [text[done : sign.end()], quote, MASK, quote]
                done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def _value_end(self, text: str, at: int, name: str, *, is_header: bool) -> int:
        """Where the value ends that begins at ``at``."""
        if text[at : at + 1] and text[at] in _OPENING:
            return _container_end(text, at)
        value = _VALUE.match(text, at)
        if value is None:
            return at
        if is_header and value["bare"] and _WHOLE_LINE.intersection(word.lower() for word in _WORDS.findall(name)):
            line = _LINE.match(text, at)
            return line.end() if line else value.end()
        # An annotated name: token: str = "…".
        assigned = _ASSIGNED.match(text, value.end()) if value["bare"] else None
        following = _VALUE.match(text, assigned.end()) if assigned else None
        return following.end() if following else value.end()


class _Nothing(Redactor):
    """Masks nothing: for those who may see all."""

    def __init__(self) -> None:
        super().__init__(())

    def value(self, value: Any) -> Any:
        return value

    def text(self, text: str) -> str:
        return text

    def shapes(self, text: str) -> str:
        return text

    def cut_text(self, text: str, limit: int) -> str:
        return text

    def tail_text(self, text: str, limit: int) -> str:
        return text

    def _json(self, text: str, *, is_cut: bool = False) -> str:
        return text


#: Leaves everything as it is.
NOTHING: Final = _Nothing()


def keys_of(setting: str) -> tuple[str, ...]:
    """The names in force: the defaults, with what ``setting`` adds and, after a "-", takes away.

    ``"pin, -cookie"``: also pins, but not cookies.
    """
    words = [word.strip().lower().replace("-", "_") for word in setting.split(",")]
    removed = {word.lstrip("_") for word in words if word.startswith("_")}
    added = [word for word in words if word and not word.startswith("_")]
    return tuple(key for key in dict.fromkeys((*DEFAULT_KEYS, *added)) if key not in removed)


def _match(words: list[str], name: tuple[str, ...]) -> int:
    """How a name's words hold those of a secret's name: see ``Redactor._kind_of``."""
    joined, size, best = "".join(name), len(name), 0
    for index, word in enumerate(words):
        if word == joined or (len(joined) >= _LEAST_ENDING and word.endswith(joined)):
            return 1
        if word == f"{joined}s" or (len(joined) >= _LEAST_ENDING and word.endswith(f"{joined}s")):
            best = 2
        if size > 1 and tuple(words[index : index + size - 1]) == name[:-1]:
            last = words[index + size - 1] if index + size - 1 < len(words) else ""
            if last == name[-1]:
                return 1
            best = 2 if last == f"{name[-1]}s" else best
    return best


def _hidden(value: Any) -> Any:
    """What is shown in place of a secret. That there is none, or whether there is one, is no secret."""
    return value if value is None or isinstance(value, bool) or value in ("", MASK) else MASK


def _is(one: Any, other: Any) -> bool:
    return one is other


def _before(text: str, start: int) -> str:
    """The part of a name that stands before ``start``, with dashes of an option."""
    at = start
    while at > 0 and start - at < _NAME_REACH and (text[at - 1].isalnum() or text[at - 1] in "_.-"):
        at -= 1
    return text[at:start]


def _container_end(text: str, start: int) -> int:
    """Where the bracket that opens at ``start`` is closed; the end of the text if that is not found soon."""
    depth, quote, at = 0, "", start
    stop = min(len(text), start + _CONTAINER_REACH)
    while at < stop:
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return len(text)

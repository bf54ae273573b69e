"""Which JSON text may go into a row, alike on every database and for every parser; and how other text is made fit.

``check`` is for what people and programs send. ``made_safe`` and ``mended`` are for what worker nodes send: a result
that was computed is worth more than its tidiness.

The checks run at the speed of C over the whole text; only a text that looks suspicious is walked. All work on bytes:
msgspec skips payloads without looking into their strings, so nothing behind these checks may be taken on trust.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

import msgspec

#: Levels of arrays and objects, the outermost counted.
MAX_DEPTH: Final = 32

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_INT64_CHARS: Final = len(str(_INT64_MIN))
_REPLACEMENT: Final = b"\\ufffd"
#: A character that is never assigned.
_PROBE: Final = b"\\ufffe"

_EVERY_BYTE: Final = bytes(range(256))
_NOT_BRACKETS: Final = _EVERY_BYTE.translate(None, b'[]{}"')
_AS_PARENTHESES: Final = bytes.maketrans(b"[]{}", b"()()")
#: Digits to 0, E to e: long numbers and large exponents become fixed byte strings to search for.
_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_DIGITS: Final = b"0" * 19
_BEFORE_NUMBERS: Final = (b":", b" ", b",", b"[", b"-", b"\n", b"\r", b"\t")
_BLANK_BEFORE_COLON: Final = (b" :", b"\n:", b"\r:", b"\t:")

#: One escape sequence. A surrogate pair is taken as one, so that what is left of the surrogates is alone.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<alone>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
#: A string or a number. The quantifiers give nothing back: no backtracking on hostile input.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(?P<number>-?[0-9][0-9.eE+-]*+)', re.DOTALL)
_LOOSE_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(?P<word>NaN|-?Infinity)', re.DOTALL)
#: In a string: an escape, which is right, or else a control character or a backslash that begins no escape.
_IN_STRING: Final = re.compile(rb'(?P<right>\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))|[\x00-\x1f]|\\')
_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
#: What stands for a byte that is no UTF-8 after decoding with ``surrogateescape``.
_LONE_BYTE: Final = re.compile("[\udc80-\udcff]")
_UTF8_BOM: Final = b"\xef\xbb\xbf"

_generic = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class Unfit(ValueError):
    """No row may hold this text, or two parsers would read it differently; says why."""


def check(body: bytes) -> None:
    """Raise ``Unfit`` unless ``body`` is one JSON document within the limits."""
    if not body.isascii():
        _check_utf8(body)
    if is_too_deep(body):
        raise Unfit(f"The JSON is nested more than {MAX_DEPTH} levels deep.")
    if _has_unfit_escape(body):
        raise Unfit("The JSON holds a NUL character or half of a surrogate pair.")
    try:
        # Also finds floats out of range.
        document = _generic.decode(body)
    except msgspec.DecodeError as error:
        raise Unfit(f"The body is not valid JSON: {error}.") from None
    if _may_have_long_integer(body) and has_unfit_number(body):
        raise Unfit("The JSON holds an integer beyond the range of 64 bits.")
    if _has_duplicate_key(body, document):
        raise Unfit("The JSON holds an object with the same key twice.")


def made_safe(body: bytes, *, probe: bool = False) -> bytes:
    """``body`` with what no row may hold replaced by U+FFFD, and numbers beyond 64 bits turned into strings.

    The very same object if nothing had to be done. With ``probe`` the changed places differ from those without: what
    differs between the two readings was changed. Depth is judged by the caller, per result.
    """
    extra = _PROBE if probe else b""
    if b"\x00" in body:
        body = body.replace(b"\x00", _REPLACEMENT + extra)
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            body = _as_utf8(body, probe=probe)
    if _has_unfit_escape(body):
        unfit = _REPLACEMENT + extra
        body = _ESCAPE.sub(lambda match: unfit if match["alone"] or match["nul"] else match[0], body)
    if has_unfit_number(body):
        quote = b'"' + extra
        body = _TOKEN.sub(lambda match: match[0] if _is_fit(match["number"]) else quote + match[0] + b'"', body)
    return body


def mended(body: bytes, *, probe: bool = False) -> bytes:
    """``body`` without the mistakes that hand-written encoders make, which no parser lets pass.

    Control characters and stray backslashes inside strings are escaped; NaN and the infinities become strings.
    """
    quote = b'"' + (_PROBE if probe else b"")

    def mend(match: re.Match[bytes]) -> bytes:
        if match["word"] is not None:
            return quote + match["word"] + b'"'
        return _IN_STRING.sub(_escaped, match[0])

    return _LOOSE_TOKEN.sub(mend, body)


def flattened(body: bytes, limit: int = MAX_DEPTH) -> bytes:
    """``body`` with every value that is nested more than ``limit`` levels deep as a string of its JSON text."""
    parts: list[bytes] = []
    depth = done = start = 0
    for match in _BRACKET.finditer(body):
        if match[0] in (b"[", b"{"):
            depth += 1
            if depth == limit + 1:
                start = match.start()
        elif match[0] in (b"]", b"}"):
            depth -= 1
            if depth == limit:
                parts += (body[done:start], _encode(body[start : match.end()].decode(errors="replace")))
                done = match.end()
    return b"".join((*parts, body[done:]))


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects are nested more than ``limit`` levels deep."""
    brackets = _without_escapes(body).translate(None, _NOT_BRACKETS).replace(b'""', b"")
    # Strings without brackets are gone now. A quote is left exactly if some string holds a bracket.
    if b'"' in brackets:
        brackets = _outside_of_strings(body).translate(None, _NOT_BRACKETS)
    brackets = brackets.translate(_AS_PARENTHESES)
    for _ in range(limit):
        if not brackets:
            return False
        # Takes away the innermost level of every nest.
        brackets = brackets.replace(b"()", b"")
    # A pair that is left is one level too many. What stands without its partner is no JSON, and the parser's to refuse,
    # unless it would lead the parser too deep.
    return b"()" in brackets or brackets.count(b"(") > limit


def has_unfit_number(body: bytes) -> bool:
    """Whether there is an integer beyond int64 or a float that overflows."""
    if not _may_have_unfit_number(body):
        return False
    # Digits of hashes and the like are no numbers: look again without the strings.
    outside = _outside_of_strings(body)
    if not _may_have_unfit_number(outside):
        return False
    return any(not _is_fit(match["number"]) for match in _TOKEN.finditer(outside))


def _check_utf8(body: bytes) -> None:
    if body.startswith(_UTF8_BOM):
        raise Unfit("The JSON begins with a byte order mark.")
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Unfit("The body is not valid UTF-8.") from None


def _as_utf8(body: bytes, *, probe: bool) -> bytes:
    if not probe:
        return body.decode(errors="replace").encode()
    return _LONE_BYTE.sub("\ufffd\ufffe", body.decode(errors="surrogateescape")).encode()


def _escaped(match: re.Match[bytes]) -> bytes:
    if match["right"] is not None:
        return match[0]
    return rb"\\" if match[0] == b"\\" else b"\\u%04x" % ord(match[0])


def _without_escapes(body: bytes) -> bytes:
    """``body`` without escaped backslashes and quotes, so that every quote left begins or ends a string."""
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body


def _outside_of_strings(body: bytes) -> bytes:
    # Joined by a blank, which keeps numbers apart.
    return b" ".join(_without_escapes(body).split(b'"')[::2])


def _may_have_unfit_number(text: bytes) -> bool:
    """Whether 19 digits stand in a row, or an exponent of three digits. Anything less is in range."""
    alike = text.translate(_DIGITS_ALIKE)
    return _LONG_DIGITS in alike or b"0e000" in alike or b"0e+000" in alike


def _may_have_long_integer(body: bytes) -> bool:
    """Whether 19 digits stand in a row where a number may begin; hashes in strings rarely look like that."""
    alike = body.translate(_DIGITS_ALIKE)
    if _LONG_DIGITS not in alike:
        return False
    return alike.startswith(_LONG_DIGITS) or any(lead + _LONG_DIGITS in alike for lead in _BEFORE_NUMBERS)


def _has_duplicate_key(body: bytes, document: object) -> bool:
    """Whether an object in ``body``, which decodes to ``document``, names a key twice. Check the depth before."""
    if b"\\" not in body and not any(blank in body for blank in _BLANK_BEFORE_COLON):
        # Then `":` stands after every key, and besides only at strings that begin with a colon; encoding the document
        # again repeats all of these except those of keys, and of their values, that a later one has replaced.
        return _encode(document).count(b'":') < body.count(b'":')
    try:
        json.loads(body, object_pairs_hook=_refuse_repeated)
    except _RepeatedKey:
        return True
    return False


class _RepeatedKey(Exception):
    """An object names a key twice."""


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    """Look at one object and leave nothing in its place: the walk keeps no values."""
    if len(dict(pairs)) < len(pairs):
        raise _RepeatedKey


def _is_fit(number: bytes | None) -> bool:
    """Whether a number token is in range; what is no number at all is the parser's to refuse."""
    if number is None:
        return True
    try:
        if number.lstrip(b"-").isdigit():
            return len(number) <= _INT64_CHARS and _INT64_MIN <= int(number) <= _INT64_MAX
        return math.isfinite(float(number))
    except ValueError:
        return True


def _has_unfit_escape(body: bytes) -> bool:
    if b"\\u0000" not in body and _SURROGATE.search(body) is None:
        return False
    # Perhaps an escaped backslash before a plain "u", or a whole pair: walk.
    return any(match["alone"] or match["nul"] for match in _ESCAPE.finditer(body))

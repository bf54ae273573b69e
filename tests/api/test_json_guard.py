from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import json_text
from dispatcher.api import json_guard
from dispatcher.api.problems import Problem

MAX_INT64 = 2**63 - 1


class Refused(Exception):
    """The slow, plain reading of the rules says no."""


def read_by_the_rules(body: bytes) -> Any:
    """The rules written a second time, with nothing clever: parse in Python and look at everything."""
    text = body.decode()
    if text.startswith("\ufeff"):
        raise Refused("byte order mark")
    document = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=_constant,
    )
    _look(document, 1)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Refused("duplicate key")
    return dict(pairs)


def _integer(text: str) -> int:
    if not -(2**63) <= int(text) <= MAX_INT64:
        raise Refused("integer")
    return int(text)


def _float(text: str) -> float:
    if not math.isfinite(float(text)):
        raise Refused("float")
    return float(text)


def _constant(text: str) -> float:
    raise Refused(text)


def _look(value: Any, depth: int) -> None:
    if isinstance(value, str) and ("\x00" in value or any("\ud800" <= char <= "\udfff" for char in value)):
        raise Refused("character")
    if isinstance(value, list | dict):
        if depth > json_text.MAX_DEPTH:
            raise Refused("depth")
        for inner in value:
            _look(inner, depth + 1)
        for inner in value.values() if isinstance(value, dict) else ():
            _look(inner, depth + 1)


def is_let_in(body: bytes) -> bool:
    try:
        json_guard.check(body)
    except Problem:
        return False
    return True


def is_right(body: bytes) -> bool:
    try:
        read_by_the_rules(body)
    except (Refused, ValueError, RecursionError):
        return False
    return True


# Pieces that guards get wrong: quotes, brackets and colons inside strings, escapes of all kinds, numbers at the edge.
AWKWARD_TEXT = st.text(st.sampled_from('ab"\\[]{}:, \n\x00\x7f\u2028\ue000é中😀e+-0129'), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64),
    st.sampled_from([MAX_INT64, MAX_INT64 + 1, -(2**63), -(2**63) - 1, 10**18, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, AWKWARD_TEXT, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(AWKWARD_TEXT, inner, max_size=4)),
    max_leaves=12,
)
DOCUMENTS = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(
        errors="surrogatepass"
    ),
    VALUES,
    st.booleans(),
    st.sampled_from([None, 1]),
)
FRAGMENTS = [
    b'"a":1,', b'"a" :2,', b'"\\u0061":3,', b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b"\x00",
    b"\xff", b"\xed\xa0\x80",
    b"\\u0000", b"\\\\u0000", b"\\ud83d\\ude00", b"\\ud83d", b"\\ude00", b"\\uD800\\u0041", b"1e999",
    b"-1E+400", b"1e-999", b"NaN", b"Infinity", b"9223372036854775808", b"-9223372036854775809", b"0" * 25, b"1.5",
    b"\xef\xbb\xbf", b"null", b"true", b'":"', b'"\\u003a"',
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 6), st.sampled_from([b"", *FRAGMENTS])), min_size=1, max_size=4
)


def changed(body: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """``body`` with pieces cut out and others put in."""
    for place, cut, piece in changes:
        at = place % (len(body) + 1)
        body = body[:at] + piece + body[at + cut :]
    return body


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_documents_are_judged_by_the_rules(body: bytes) -> None:
    assert is_let_in(body) == is_right(body)


@given(DOCUMENTS, CHANGES)
@settings(max_examples=600, deadline=None)
def test_damaged_documents_are_judged_by_the_rules(body: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    body = changed(body, changes)
    assert is_let_in(body) == is_right(body)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"a":"\\u0000"}', "NUL"),
        (b'{"\\u0000":1}', "NUL"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\ude00\\ud83d"', "surrogate"),
        (b"[NaN]", "valid JSON"),
        (b"[Infinity]", "valid JSON"),
        (b"[1e999]", "range"),
        (b"[-1e999]", "range"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[ 100000000000000000000000000]", "64 bits"),
        (b"[" * 33 + b"]" * 33, "levels"),
        (b"[" * 100_000, "levels"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "levels"),
        # Brackets in strings make up for none outside of them.
        (b'["]",' * 40 + b"1" + b',"["]' * 40, "levels"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":1,"\\u0061":2}', "twice"),
        (b'{"a" :1,"a":2}', "twice"),
        (b'[{"x":{"a":":","b":1,"a":2}}]', "twice"),
        (b'{"a":":x","a":":y"}', "twice"),
        (b'{"a":1,"a":"\\u003a"}', "twice"),
        (b'"\xff"', "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"", "valid JSON"),
        (b"{} {}", "valid JSON"),
        # Nothing is said of depth where a bracket is only missing.
        (b'{"a":1', "truncated"),
        (b'{"a":1}}', "trailing"),
        (b"[" * 20 + b"[" * 20 + b"]" * 20, "truncated"),
    ],
)
def test_what_is_refused(body: bytes, word: str) -> None:
    with pytest.raises(Problem) as caught:
        json_guard.check(body)
    assert caught.value.status == 400
    assert word in caught.value.detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\\\u0000"}',
        b'"\\\\ud800"',
        b'"\\ud83d\\ude00"',
        b"[9223372036854775807,-9223372036854775808,0.12345678901234567890123,1e-999,1E300]",
        b'["123456789012345678901234567890","1e999",":1e999"]',
        b'["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[","{{{{\\"]"]',
        b"[" * 32 + b"]" * 32,
        b'[{"a":1},{"a":2}]',
        b'{"a":{"a":{"a":1}}}',
        b'{":":":",";":":"}',
        '{"名":"值😀"}'.encode(),
        b" [] ",
        b"null",
    ],
)
def test_what_is_let_in(body: bytes) -> None:
    json_guard.check(body)


def hold_safe(value: Any) -> None:
    """Fail if the value holds what no row may hold."""
    if isinstance(value, str):
        assert "\x00" not in value
        value.encode()
    elif isinstance(value, int):
        assert -(2**63) <= value <= MAX_INT64
    elif isinstance(value, list):
        for inner in value:
            hold_safe(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            hold_safe(key)
            hold_safe(inner)


@given(DOCUMENTS, st.one_of(st.just([]), CHANGES))
@settings(max_examples=500, deadline=None)
def test_what_nodes_send_is_made_safe(body: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    body = changed(body, changes)
    safe = json_text.made_safe(body)
    try:
        document = msgspec.json.decode(safe)
    except (msgspec.DecodeError, RecursionError):
        return
    hold_safe(document)
    if is_let_in(body):
        assert safe == body


@pytest.mark.parametrize(
    ("body", "safe"),
    [
        (b'["a\\u0000b"]', b'["a\\ufffdb"]'),
        (b'["a\x00b"]', b'["a\\ufffdb"]'),
        (b'["\\ud800x","\\\\ud800"]', b'["\\ufffdx","\\\\ud800"]'),
        (b'["\\ud83d\\ude00\\ude00"]', b'["\\ud83d\\ude00\\ufffd"]'),
        (b'["\\ud83d\\ud83d"]', b'["\\ufffd\\ufffd"]'),
        (b'["\xff"]', '["\ufffd"]'.encode()),
        (b'[1e999,-1e999,1,"1e999"]', b'["1e999","-1e999",1,"1e999"]'),
        (b'{"n":18446744073709551616}', b'{"n":"18446744073709551616"}'),
        (b'{"sha":"0e000111"}', b'{"sha":"0e000111"}'),
    ],
)
def test_how_it_is_made_safe(body: bytes, safe: bytes) -> None:
    assert json_text.made_safe(body) == safe


def test_hostile_strings_take_no_long_walk() -> None:
    # Would take minutes with a pattern that backtracks.
    body = b'["' + b'\\"' * 200_000 + b"1" * 25
    json_text.made_safe(body)
    assert not is_let_in(body)

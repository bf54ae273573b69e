"""A22-A26, A29, A40, A51: bodies that no row may hold, or that two programs would read differently.

The rules themselves are proved in ``tests/api/test_json_guard.py``; here is what comes of it on the way in and after.
"""

from __future__ import annotations

import gzip
import zlib

import pytest

from dispatcher.models import Change, Task
from tests.api.conftest import Answer, Caller

pytestmark = pytest.mark.django_db

TASKS = "/api/v1/tasks"
MANY = b"9" * 5000


def refused(caller: Caller, body: bytes, status: int = 400, **headers: str) -> None:
    """Refused everywhere where an operator may send a body; nothing is stored, and lists answer as before."""
    changes = Change.objects.count()
    for method, path in (
        ("POST", TASKS), ("POST", f"{TASKS}/cancel"), ("POST", "/task"), ("POST", "/api/v1/queues"),
        ("POST", "/api/v1/nodes/n-1/drain"),
    ):  # fmt: skip
        extra = {"content_type": "application/json"} | headers
        answer = Answer(caller.generic(method, path, body, **extra))
        assert (answer.status, answer.is_problem) == (status, True), (path, answer)
    assert Change.objects.count() == changes
    assert not Task.objects.exists()
    for path in ("tasks", "nodes", "queues", "changes", "counts"):
        assert caller.read(f"/api/v1/{path}").status == 200


def payload(text: bytes) -> bytes:
    """A task that would be fine but for its payload."""
    return b'{"type":"t","taskId":"1","payload":%s}' % text


@pytest.mark.parametrize(
    "text", [b'"\\ud800"', b'{"\\udfff":1}', b'["\\ude00\\ud83d"]', b'"\xed\xa0\x80"', b'"\\uD83d x"']
)
def test_a22_half_a_surrogate_pair_is_refused_and_bricks_no_list(admin: Caller, text: bytes) -> None:
    refused(admin, payload(text))


@pytest.mark.parametrize("text", [b'"\\u0000"', b'{"a\\u0000":1}', b'"\x00"', b'[[{"x":["\\u0000"]}]]'])
def test_a23_a_nul_is_refused_in_values_and_keys(admin: Caller, text: bytes) -> None:
    refused(admin, payload(text))


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"[-1e400]", b'{"a":NaN}', b"nan", b"1E+309"]
)
def test_a24_what_is_no_number_and_what_is_no_finite_one_is_refused(admin: Caller, text: bytes) -> None:
    refused(admin, payload(text))


@pytest.mark.parametrize("depth", [33, 1_000, 100_000])
def test_a25_deep_nests_are_refused_whatever_their_depth(admin: Caller, depth: int) -> None:
    refused(admin, payload(b"[" * depth + b"]" * depth))
    refused(admin, payload(b'{"a":' * depth + b"1" + b"}" * depth))
    refused(admin, b"[" * depth)


@pytest.mark.parametrize(
    "text", [b"1e130000", MANY, b"-" + MANY, b"9223372036854775808", b"0." + MANY + b"e999", b"1e" + MANY]
)
def test_a26_numbers_that_grow_when_they_are_stored_are_refused(admin: Caller, text: bytes) -> None:
    refused(admin, payload(text))


def test_a26_what_is_let_in_is_stored_no_longer_than_it_came(operator: Caller) -> None:
    for text in (b"1e300", b"-9223372036854775808", b"0.1e-300", b"1.50"):
        made = operator.post(TASKS, payload(text).replace(b'"taskId":"1",', b""))
        assert made.status == 201
        assert Task.objects.get(pk=made.json["id"]).payload == text.decode()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
def test_a29_a_compressed_body_is_never_unpacked(admin: Caller, encoding: str) -> None:
    bomb = gzip.compress(b'{"type":"t","payload":"' + b"0" * 10_000_000 + b'"}')
    refused(admin, bomb, 415, HTTP_CONTENT_ENCODING=encoding)
    # Unpacked by nobody, without the header it is no JSON.
    refused(admin, zlib.compress(b"{}"))


@pytest.mark.parametrize(
    "content_type",
    ["application/x-python-pickle", "application/x-pickle", "application/yaml", "text/yaml", "application/x-yaml",
     "application/xml", "application/msgpack", "application/x-java-serialized-object", "text/plain", "text/json",
     "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-7",
     "application/json; charset=utf-16", "application/json; charset=bogus", "application/json-patch+json", ""],
)  # fmt: skip
def test_a40_nothing_but_json_is_ever_read(admin: Caller, content_type: str) -> None:
    refused(admin, b"cos\nsystem\n(S'true'\ntR.", 415, content_type=content_type)
    refused(admin, b'{"type":"t"}', 415, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [b'{"type":"t","type":"u"}', b'{"type":"t","\\u0074ype":"u"}', b'{"type":"t","payload":{"a":1,"a":2}}',
     b'[{"type":"t"},{"type":"t","queue":"a","queue":"b"}]', b'{"ids":["1"],"ids":["2"]}',
     b'{"reason":"a","reason" :"b"}'],
)  # fmt: skip
def test_a51_a_key_that_comes_twice_is_refused(admin: Caller, body: bytes) -> None:
    refused(admin, body)


@pytest.mark.parametrize(
    "body", ['{"type":"t"}'.encode("utf-16"), b"\xef\xbb\xbf{}", '{"type":"\xe9"}'.encode("latin-1"), b"+ADw-"]
)
def test_a51_text_in_another_encoding_is_refused(admin: Caller, body: bytes) -> None:
    refused(admin, body)

"""Requests made to hurt, each given by a seed and a number: the same on every machine and every database."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.api.test_fuzz import NODES, OPERATORS

#: Stands in a document where raw bytes are to come.
_HOLE = "@hole@"

#: Values as raw JSON, right and wrong: what databases, parsers and pages disagree about.
FRAGMENTS = (
    b'"\\ud800"', b'"\\ude00\\ud83d"', b'"\\u0000"', b'"\x00"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x1b[31m"', b"NaN",
    b"-Infinity", b"1e999", b"-1e400", b"1e130000", b"1" + b"0" * 5000, b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809", b"2147483648", b"1.5", b"1e308", b"1e-400", b"-0.0", b"0", b"-1", b"true", b"null",
    b"[]",
    b"{}", b'""', b'"\\u202e"', b'"\\u2028"', b'" "', b'"\\n"', b'{"a":1,"a":2}', b'{"":{"":""}}', b"[[[[1]]]]",
    b"[" * 33 + b"]" * 33, b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 1_200 + b"1" + b"}" * 1_200, b"[" * 50_000,
    b'"' + b"x" * 101 + b'"', b'"' + b"x" * 5_000 + b'"', b'"' + b"x" * 300_000 + b'"',
    b'"' + "é".encode() * 200 + b'"',
    b'"9999-12-31T23:59:59Z"', b'"0001-01-01T00:00:00+14:00"', b'"2030-01-01T00:00:00"', b'"2030-02-30T00:00:00Z"',
    b'"http://169.254.169.254"', b'"http://[::1"', b'"http://a..b"', b'"http://127.0.0.1:5432"',
    b'"file:///etc/passwd"',
    b"\"'; DROP TABLE dispatcher_task; --\"", b'"%s%n{0}${x}"', b'"<script>alert(1)</script>"',
    b'"..\\u002f..\\u002fetc"',
    '"٣"'.encode(), '"²"'.encode(), '"ﬀ"'.encode(), '"😀"'.encode(), b'"1"', b'"exploded"', b'"succeeded"', b"[null]",
    b"[" + b"1," * 2_000 + b"1]", b'["a","a"]', b'[{"task_id":"1","attempt":1}]', b"[7,[],{}]", b"'single'",
    b"undefined",
    b"0x10", b"01", b"1.", b".5", b"+1", b"1_000", b'"\\x"', b'"unfinished', b"// note\n1", b"[1,]", b'{"a":1,}', b"",
)  # fmt: skip
_SPLICES = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"\x00", b"\xff", b"\\u0000", b"\\ud800", b"NaN", b"1e999",
    b"9" * 30,
    b"\n", b"\xef\xbb\xbf", b"/*", b"\\", b"\xc0\x80", b"null", b"-", b"[" * 40,
)  # fmt: skip
_HEADERS: tuple[dict[str, str], ...] = (
    {"CONTENT_TYPE": "text/plain"}, {"CONTENT_TYPE": "application/json; charset=utf-16"}, {"CONTENT_TYPE": ""},
    {"CONTENT_TYPE": "application/x-yaml"}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "-1"}, {"CONTENT_LENGTH": "1"},
    {"CONTENT_LENGTH": "999999999999"}, {"HTTP_CONTENT_ENCODING": "gzip"}, {"HTTP_TRANSFER_ENCODING": "chunked"},
    {"HTTP_IDEMPOTENCY_KEY": "k" * 200}, {"HTTP_IDEMPOTENCY_KEY": "a b\u00e9"}, {"HTTP_ACCEPT": "text/html;q=x"},
    {"HTTP_ACCEPT_LANGUAGE": "x" * 4_000}, {"HTTP_COOKIE": "taskdist_session=" + "x" * 300},
    {"HTTP_IF_MODIFIED_SINCE": "yesterday"}, {"HTTP_RANGE": "bytes=9-1"}, {"HTTP_X_FORWARDED_FOR": "a, b, ''"},
)  # fmt: skip
_QUERIES = (
    "limit", "after", "state", "queue", "type", "node", "tag", "created_after", "created_before", "retry_of",
    "attempt",
    "audited", "topic", "ids", "q", "next", "o", "p", "e", "format", "limit__gt", "reveal",
)  # fmt: skip
_VALUES = (
    "", "0", "-1", "1e9", "9" * 40, "9" * 5_000, "\x00", "\ud800", "٣", "queued", "queued,failed", "x" * 300, "%",
    "'--",
    "<script>", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01", "true", "yes", "tasks", "task:1",
    "overview",
    "node:n-1", "queue:default", "task:" + "9" * 30, "//evil.example", "a\nb", "1,2,3", ",", "[]",
)  # fmt: skip
_READ = (
    "/api/v1/tasks", "/api/v1/tasks/{id}", "/api/v1/tasks/{id}/logs", "/api/v1/nodes", "/api/v1/nodes/n-1",
    "/api/v1/queues", "/api/v1/queues/default", "/api/v1/counts", "/api/v1/changes", "/healthz", "/live/snapshot",
    "/tokens/", "/api/v1/openapi.json",
    "/",
    "/tasks/", "/tasks/{id}/", "/nodes/", "/nodes/n-1/", "/queues/", "/submit/", "/jump/", "/login/",
    "/admin/dispatcher/task/", "/admin/dispatcher/node/", "/admin/dispatcher/change/",
)  # fmt: skip
_ODD_NAMES = (
    "{id}", "0", "-1", "9" * 30, "%00", "a%2Fb", "..", "%F0%9F%98%80", "n-1", "default", "x" * 300, "'",
    "%ED%A0%80",
)  # fmt: skip
_ODD_PATHS = (
    "/api/v1/tasks/{x}", "/api/v1/tasks/{x}/logs", "/api/v1/nodes/{x}", "/api/v1/queues/{x}", "/tasks/{x}/",
    "/nodes/{x}/",
    "/api/v1/{x}", "/{x}", "/admin/dispatcher/task/{x}/change/", "/static/{x}",
)  # fmt: skip


class Attack(NamedTuple):
    """One request. ``who`` sends it: admin, node, browser or nobody.

    ``{id}`` is a running task of the node, ``{token}`` a token that the browser's account may take back.
    """

    who: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def attacks(seed: int, count: int) -> Iterator[Attack]:
    """The first ``count`` attacks of a seed."""
    rng = random.Random(seed)
    routes = [("admin", route, OPERATORS[route]) for route in sorted(OPERATORS)]
    routes += [("node", route, NODES[route]) for route in sorted(NODES)]
    for _ in range(count):
        chance = rng.random()
        if chance < 0.15:
            yield _reading(rng)
            continue
        if chance < 0.19:
            yield _form(rng)
            continue
        who, route, document = rng.choice(routes)
        method, _, path = route.partition("#")[0].partition(" ")
        if rng.random() < 0.03:
            who = rng.choice(("admin", "node", "nobody"))
        headers = rng.choice(_HEADERS) if rng.random() < 0.05 else {}
        yield Attack(who, method, path, _body(rng, document), headers)


def _reading(rng: random.Random) -> Attack:
    path = rng.choice(_READ)
    if rng.random() < 0.3:
        path = rng.choice(_ODD_PATHS).replace("{x}", rng.choice(_ODD_NAMES))
    names = rng.sample(_QUERIES, rng.choice((0, 1, 1, 2)))
    query = "&".join(f"{name}={quote(rng.choice(_VALUES), errors='surrogatepass')}" for name in names)
    method = rng.choices(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "X"), (12, 1, 1, 1, 1, 1, 1))[0]
    who = rng.choice(("admin", "browser", "browser", "node", "nobody"))
    headers = rng.choice(_HEADERS) if rng.random() < 0.1 else {}
    return Attack(who, method, f"{path}?{query}" if query else path, b"", headers)


def _form(rng: random.Random) -> Attack:
    """Make a token on the page for that, or take one back."""
    form: list[tuple[str, str]] = [("label", "a"), ("scopes", "tasks:read"), ("scopes", "operate"), ("days", "30")]
    for _ in range(rng.choice((0, 1, 1, 2))):
        place = rng.randrange(len(form))
        name, _ = form.pop(place)
        if rng.random() < 0.8:
            form.append((name, rng.choice(_VALUES)))
    fields = [f"{name}={quote(value, errors='surrogatepass')}" for name, value in form]
    path = "/tokens/"
    if rng.random() < 0.3:
        path = f"/tokens/{rng.choice(('{token}', '{token}', *_ODD_NAMES))}/revoke/"
    who = rng.choice(("browser", "browser", "browser", "browser", "admin", "nobody"))
    return Attack(who, "POST", path, "&".join(fields).encode(), {"CONTENT_TYPE": "application/x-www-form-urlencoded"})


def _body(rng: random.Random, document: Any) -> bytes:
    """The document with up to two members replaced, doubled, added or taken away, and perhaps spliced as bytes."""
    document = copy.deepcopy(document)
    fragments: list[bytes] = []
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        document = _changed(rng, document, fragments)
    body = json.dumps(document).encode()
    for fragment in fragments:
        body = body.replace(b'"%s"' % _HOLE.encode(), fragment, 1)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        place = rng.randrange(len(body) + 1)
        cut = rng.choice((0, 0, 1, 3))
        body = body[:place] + rng.choice(_SPLICES) + body[place + cut :]
    return body


def _changed(rng: random.Random, document: Any, fragments: list[bytes]) -> Any:
    path = rng.choice(list(_places(document)))
    if not path:
        fragments.append(rng.choice(FRAGMENTS))
        return _HOLE
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    what = rng.random()
    if what < 0.8:
        fragments.append(rng.choice(FRAGMENTS))
        parent[path[-1]] = _HOLE
    elif what < 0.9:
        del parent[path[-1]]
    elif isinstance(parent, dict):
        fragments.append(rng.choice(FRAGMENTS))
        parent[rng.choice(("", "id", "state", "\x00", "__proto__", "x" * 200, "payload", "a\ud800"))] = _HOLE
    else:
        parent.extend(parent * rng.choice((1, 20)))
    return document


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _places(value[index], (*path, index))

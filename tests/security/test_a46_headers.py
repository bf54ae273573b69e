from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import URLPattern, get_resolver

from dispatcher import queries
from dispatcher.states import TaskState
from tests.api.conftest import now
from tests.factories import make_attempt, make_logs, make_node, make_task, make_user
from tests.security.daphne_process import Daphne, daphne
from tests.security.test_t24_canary import addresses

DIRECTIVES = {
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
EXACT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def missing(headers: Mapping[str, str]) -> list[str]:
    """What a response lacks, or says otherwise."""
    found = {name.lower(): value for name, value in headers.items()}
    policy = dict(part.strip().split(" ", 1) for part in found.get("content-security-policy", "x y").split(";"))
    wrong = [name for name, value in DIRECTIVES.items() if policy.get(name) != value]
    if policy.get("default-src") not in ("'none'", "'self'") or "unsafe" in str(policy) or "*" in str(policy):
        wrong.append("default-src")
    wrong += [name for name, value in EXACT.items() if found.get(name) != value]
    return wrong if "no-store" in found.get("cache-control", "") else [*wrong, "cache-control"]


@pytest.fixture
def rows(transactional_db: None) -> dict[str, list[str]]:
    """One of everything, as arguments of routes."""
    node = make_node("n-1", now=now())
    task = make_task(state=TaskState.FAILED, node=node, now=now())
    attempt = make_attempt(task, node=node)
    make_logs(task, ["a line"])
    return {
        "name": ["n-1", "default", "none"],
        "task_id": [str(task.pk), "0"],
        "job_id": ["0"],
        "object_id": [str(task.pk), str(attempt.pk)],
    }


@pytest.mark.parametrize("role", ["nobody", "viewer", "admin"])
def test_a46_every_route_answers_with_the_headers_whatever_the_method(rows: dict[str, list[str]], role: str) -> None:
    client = Client()
    user = None if role == "nobody" else make_user(role, is_staff=role == "admin", is_superuser=role == "admin")
    lacking: dict[str, Any] = {}
    statuses: set[int] = set()
    for address in addresses(rows):
        if user is not None:
            # One of the addresses signs out.
            client.force_login(user)
        for method in ("GET", "POST", "PUT", "HEAD"):
            response = client.generic(method, address, "{", content_type="application/json")
            response.close()
            statuses.add(response.status_code)
            if wrong := missing(response.headers):
                lacking[f"{method} {address} {response.status_code}"] = wrong
    assert lacking == {}
    assert {302, 405, *({401} if user is None else {200, 404})} <= statuses


def _broken(*_args: Any, **_kwargs: Any) -> HttpResponse:
    raise RuntimeError("broken")


def _unreachable(*_args: Any, **_kwargs: Any) -> HttpResponse:
    raise OperationalError("no database")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/api/v1/nodes"])
def test_a46_errors_answer_with_the_headers_too(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_user())
    told = {400: client.get(path, headers={"Host": "evil.example"}), 404: client.get(f"{path}nothing/here")}
    long = {"Content-Length": "9" * 12}
    told[413] = client.post("/api/v1/tasks", b"{}", content_type="application/json", headers=long)
    with override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=1):
        strict = Client(raise_request_exception=False, enforce_csrf_checks=True)
        told[403] = strict.post("/login/", {"username": "a", "password": "b"})
    name = "overview" if path == "/" else "nodes"
    monkeypatch.setattr(queries, name, _broken)
    told[500] = client.get(path)
    monkeypatch.setattr(queries, name, _unreachable)
    told[503] = client.get(path)
    assert {status: response.status_code for status, response in told.items()} == {status: status for status in told}
    assert {status: missing(response.headers) for status, response in told.items()} == {status: [] for status in told}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/static/js/live.js", "/static/admin/css/base.css", "/static/no/such.js"])
def test_a46_so_do_static_files_which_may_be_kept(path: str) -> None:
    response = Client().get(path)
    response.close()
    wrong = missing(response.headers)
    assert wrong == ([] if response.status_code == 404 else ["cache-control"])


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daphne]:
    folder = tmp_path_factory.mktemp("headers")
    (folder / "var").mkdir(mode=0o700)
    with daphne(folder / "var") as started:
        yield started


@pytest.mark.e2e
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize(
    ("request_", "status"),
    [(b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", 411),
     (b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\nConnection: close\r\n\r\n", 413),
     (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \xff\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 0)],
)  # fmt: skip
def test_a46_what_never_reaches_the_pages_is_no_page(web: Daphne, request_: bytes, status: int) -> None:
    head, _, body = web.send(request_).decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    found = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if status:
        assert first.split(" ")[1] == str(status)
        assert found["content-type"] == "application/problem+json"
        assert (found["x-content-type-options"], found["cache-control"]) == ("nosniff", "no-store")
    assert "<" not in body


def test_a46_no_route_is_left_out_of_the_walk() -> None:
    def count(patterns: list[Any]) -> int:
        return sum(1 if isinstance(one, URLPattern) else count(one.url_patterns) for one in patterns)

    values = {"name": ["x"], "task_id": ["1"], "object_id": ["1"], "job_id": ["1"]}
    assert len(list(addresses(values))) >= count(get_resolver().url_patterns) - 12

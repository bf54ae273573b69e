from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError
from django.test import Client, RequestFactory

from dispatcher import lifecycle
from dispatcher.api import json_guard
from dispatcher.api.problems import Problem
from dispatcher.models import Task
from tests.api.conftest import Answer, Caller, now
from tests.factories import make_user

TASKS = "/api/v1/tasks"
pytestmark = pytest.mark.django_db


def raw_post(caller: Caller, body: bytes, content_type: str, **meta: str) -> Answer:
    return Answer(caller.generic("POST", TASKS, body, content_type=content_type, **meta))


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/json; charset=UTF-8", 201),
        ("application/json; charset=utf-7", 415),
        ("application/json; charset=bogus", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-python-pickle", 415),
        ("", 415),
    ],
)
def test_only_json_is_read(operator: Caller, content_type: str, status: int) -> None:
    answer = raw_post(operator, b'{"type":"t"}', content_type)
    assert answer.status == status
    assert answer.is_problem == (status != 201)
    assert Task.objects.count() == (status == 201)


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("-1", 400), ("abc", 400), ("5, 5", 400), ("11", 400), ("9" * 30, 400), ("0", 400)],
)
def test_lies_about_the_length(operator: Caller, length: str, status: int) -> None:
    answer = raw_post(operator, b'{"type":"t"}', "application/json", CONTENT_LENGTH=length)
    assert answer.status == status
    assert answer.is_problem
    assert not Task.objects.exists()


def test_a_body_that_ends_early() -> None:
    environ = RequestFactory()._base_environ(
        CONTENT_LENGTH="13", CONTENT_TYPE="application/json", REQUEST_METHOD="POST"
    )
    request = WSGIRequest(environ | {"wsgi.input": io.BytesIO(b'{"type":"t"}')})
    with pytest.raises(Problem) as caught:
        json_guard.read_strict(request)
    assert caught.value.status == 400


def test_too_large_is_refused_by_the_header_before_the_token_is_looked_at(nobody: Caller, operator: Caller) -> None:
    for caller in (nobody, operator):
        answer = raw_post(caller, b"{}", "application/json", CONTENT_LENGTH=str(10**9))
        assert answer.status == 413
        assert answer.is_problem


def test_compressed_bodies_are_refused(operator: Caller) -> None:
    answer = raw_post(operator, b"\x1f\x8b", "application/json", HTTP_CONTENT_ENCODING="gzip")
    assert answer.status == 415


def test_a_body_of_unknown_length_is_not_taken_for_none(operator: Caller) -> None:
    task = lifecycle.submit([lifecycle.TaskSpec(type="t")], submitted_by="x", now=now())[0].task_id
    answer = Answer(
        operator.generic("POST", f"{TASKS}/{task}/cancel", b"", HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    )
    assert answer.status == 411
    assert operator.post(f"{TASKS}/{task}/cancel").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/tasks/", 404),
        ("GET", "/api/", 404),
        ("GET", "/api", 404),
        ("GET", "/api/v2/tasks", 404),
        ("DELETE", TASKS, 405),
        ("PUT", TASKS, 405),
        ("OPTIONS", TASKS, 405),
        ("TRACE", TASKS, 405),
        ("PROPFIND", TASKS, 405),
        ("GET", "/api/v1/tasks/cancel", 405),
        ("GET", "/api/v1/nodes/register", 405),
        ("GET", "/task", 405),
    ],
)
def test_what_is_no_route_is_a_problem_document(
    operator: Caller, node_caller: Caller, method: str, path: str, status: int
) -> None:
    caller = node_caller if "register" in path else operator
    answer = Answer(caller.generic(method, path))
    assert answer.status == status
    assert answer.is_problem


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/api/v1/tasks/", "did you mean /api/v1/tasks?"),
        ("/api/v1/queues/night/pause/", "did you mean /api/v1/queues/night/pause?"),
        ("/task/", "did you mean /task?"),
        ("/result//", "did you mean /result?"),
        ("/api/v1/nodes/n-1/explode", "docs/api.md"),
        ("/api/v1/nothing/", "docs/api.md"),
        ("/api/", "docs/api.md"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_no_route_needs_no_cookie_to_be_told_so(operator: Caller, method: str, path: str, hint: str) -> None:
    for caller in (Caller(operator.token, check_csrf=True), Caller(check_csrf=True)):
        answer = caller.send(method, path, {})
        assert (answer.status, answer.is_problem) == (404, True)
        assert hint in answer.json["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_read(path: str) -> None:
    answer = Caller(check_csrf=True).post(path, {})
    assert (answer.status, answer.is_problem, answer.headers["Allow"]) == (405, True, "GET, HEAD")


def test_allow_names_what_works(operator: Caller) -> None:
    for path in (TASKS, "/task", "/api/v1/queues/default"):
        allowed = Answer(operator.generic("OPTIONS", path)).headers["Allow"].split(", ")
        assert allowed
        for method in allowed:
            assert operator.send(method, path, {}).status != 405


def test_who_brings_no_credentials_is_told_how(nobody: Caller) -> None:
    assert "Authorization: Bearer" in nobody.read(TASKS).json["detail"]


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/task"])
def test_a_host_that_is_not_ours(operator: Caller, path: str) -> None:
    answer = Answer(operator.get(path, HTTP_HOST="evil.example"))
    assert (answer.status, answer.is_problem) == (400, True)
    assert b"<h1>" in operator.get("/", HTTP_HOST="evil.example").content


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/task"])
def test_an_error_outside_of_any_view(operator: Caller, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def explode(*_args: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", explode)
    operator.raise_request_exception = False
    answer = Answer(operator.get(path))
    assert (answer.status, answer.is_problem) == (500, True)
    assert b"secret" not in answer.content


@pytest.mark.parametrize("name", ["0", "-1", "1" * 23, "9223372036854775808", "abc", "%00", "٣", "1.0", "99999"])
def test_ids_that_name_no_task(operator: Caller, name: str) -> None:
    for method, path in (("GET", ""), ("GET", "/logs"), ("POST", "/cancel"), ("POST", "/retry")):
        answer = Answer(operator.generic(method, f"{TASKS}/{name}{path}"))
        assert (answer.status, answer.is_problem) == (404, True)


@pytest.mark.parametrize("name", ["nobody", "%00", "a b", "%F0%9F%98%80", "x" * 300])
def test_names_of_nothing(operator: Caller, name: str) -> None:
    for method, path in (
        ("GET", f"nodes/{name}"),
        ("POST", f"nodes/{name}/drain"),
        ("POST", f"queues/{name}/pause"),
        ("POST", f"queues/{name}/resume"),
    ):
        answer = Answer(operator.generic(method, f"/api/v1/{path}"))
        assert (answer.status, answer.is_problem) == (404, True)


def test_unknown_errors_are_logged_and_not_shown(
    operator: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(lifecycle, "submit", explode)
    with caplog.at_level(logging.ERROR, "dispatcher.api"):
        answer = operator.post(TASKS, {"type": "t"})
    assert (answer.status, answer.is_problem) == (500, True)
    assert b"secret" not in answer.content
    assert "secret detail" in caplog.text


def test_a_lost_database_is_503(operator: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_args: Any, **_kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(lifecycle, "submit", lost)
    answer = operator.post(TASKS, {"type": "t"})
    assert (answer.status, answer.is_problem) == (503, True)
    assert answer.headers["Retry-After"] in ("1", "2", "3")


def test_answers_are_kept_by_no_cache(operator: Caller, nobody: Caller) -> None:
    assert operator.read(TASKS).headers["Cache-Control"] == "no-store"
    assert nobody.read(TASKS).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer tdk_" + "x" * 43,
        "Bearer tdk_" + "x" * 5000,
        "Basic YTpi",
        "Bearer tdk_ü",
    ],
)
def test_bad_tokens(nobody: Caller, header: str) -> None:
    answer = Answer(nobody.get(TASKS, HTTP_AUTHORIZATION=header))
    assert (answer.status, answer.is_problem) == (401, True)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


class TestSession:
    """A browser's session instead of a token."""

    @pytest.fixture
    def browser(self) -> Client:
        user = make_user("otto")
        user.groups.add(Group.objects.get_or_create(name="operator")[0])
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        return client

    def test_reads(self, browser: Client) -> None:
        assert browser.get(TASKS).status_code == 200

    def test_writes_need_the_csrf_token(self, browser: Client) -> None:
        answer = Answer(browser.post(TASKS, b'{"type":"t"}', content_type="application/json"))
        assert (answer.status, answer.is_problem) == (403, True)
        assert not Task.objects.exists()

    def test_writes_with_the_csrf_token(self, browser: Client) -> None:
        browser.get("/admin/login/")
        token = browser.cookies["taskdist_csrf"].value
        answer = Answer(
            browser.post(TASKS, b'{"type":"t"}', content_type="application/json", headers={"X-CSRFToken": token})
        )
        assert answer.status == 201

    def test_a_form_never_counts(self, browser: Client) -> None:
        # What a page of someone else can make a browser send.
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            response = browser.post(TASKS, b'{"type":"t"}', content_type=content_type)
            assert response.status_code == 415
        assert not Task.objects.exists()

    def test_a_bad_token_is_not_made_good_by_a_session(self, browser: Client) -> None:
        assert browser.get(TASKS, headers={"Authorization": "Bearer tdk_nonsense"}).status_code == 401

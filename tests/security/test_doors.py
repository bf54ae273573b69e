"""A15, A17, A21, A35-A37, A43, A49, A53, A55, A56: what people and programs may ask for, and what comes of the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from dispatcher import throttle
from dispatcher.models import Change, Credential, Node, Queue, Task
from dispatcher.states import TaskState
from tests.api.conftest import Answer, Caller, token_of
from tests.factories import make_node, make_queue, make_task, make_user

pytestmark = pytest.mark.django_db

TASKS = "/api/v1/tasks"


def browser_of(group: str = "") -> Client:
    """Somebody who is signed in, without a CSRF token at hand."""
    user = make_user("bella")
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "field",
    ["state", "attempt", "id", "owner", "node", "node_id", "submitted_by", "result", "error", "created_at", "retry_of",
     "sanitized", "crashes", "incarnation", "__class__", "lane_id"],
)  # fmt: skip
def test_a15_fields_that_are_not_the_callers_are_named_and_nothing_is_stored(operator: Caller, field: str) -> None:
    for body in ({"type": "t", field: 1}, [{"type": "t"}, {"type": "t", field: 1}]):
        answer = operator.post(TASKS, body)
        assert answer.status == 400
        assert [error["field"] for error in answer.json["errors"]] == [field]
    make_queue("q")
    assert operator.patch("/api/v1/queues/q", {"paused": True, "id": 5}).status == 400
    assert not Task.objects.exists()


def test_a15_a_node_decides_neither_its_id_nor_its_state(node: Node, node_caller: Caller) -> None:
    other = make_node("n-2")
    answer = node_caller.post(
        "/api/v1/nodes/register",
        {"name": "n-1", "url": "http://127.0.0.1:9000", "boot_id": "b", "id": other.pk, "node_id": other.pk,
         "state": "online", "intent": "run", "incarnation": 99, "tutorial": True},
    )  # fmt: skip
    assert answer.json["node_id"] == node.pk
    other.refresh_from_db()
    node.refresh_from_db()
    assert other.boot_id == "boot-n-2"
    assert node.incarnation == 2


def test_a17_a_page_of_someone_else_cannot_make_a_browser_act() -> None:
    browser = browser_of("admin")
    task = make_task(state=TaskState.QUEUED)
    before = Change.objects.count()
    json_type = "application/json"
    for method, path in (
        ("POST", TASKS), ("POST", f"{TASKS}/{task.pk}/cancel"), ("POST", "/api/v1/nodes/enrolment-tokens"),
        ("PATCH", "/api/v1/queues/default"), ("POST", "/admin/dispatcher/queue/add/"), ("POST", "/logout/"),
    ):  # fmt: skip
        for content_type in (json_type, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            response = browser.generic(method, path, b'{"type":"t"}', content_type=content_type)
            assert response.status_code in (400, 403, 415), (method, path, content_type, response.status_code)
    # What a link, an image or a form with GET can do: nothing.
    for path in (f"{TASKS}/{task.pk}/cancel", "/api/v1/nodes/n-1/drain", "/logout/"):
        assert browser.get(path).status_code == 405
    assert browser.generic("DELETE", f"{TASKS}/{task.pk}").status_code in (403, 405)
    assert Change.objects.count() == before
    assert not Credential.objects.exists()
    assert browser.get(TASKS).status_code == 200


def test_a17_the_session_cookie_stays_with_this_site() -> None:
    make_user("vera", password="eleven-hedgehogs")
    client = Client()
    client.post("/login/", {"username": "vera", "password": "eleven-hedgehogs"})
    cookie = client.cookies["taskdist_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a21_nothing_is_exported_as_a_table(operator: Caller) -> None:
    make_task(tags=["=cmd|' /C calc'!A0"])
    for path in (f"{TASKS}?format=csv", "/tasks/?format=csv", f"{TASKS}.csv", "/tasks.csv"):
        assert operator.get(path).status_code in (302, 400, 404)
    for accept in ("text/csv", "application/vnd.ms-excel", "text/tab-separated-values"):
        assert Answer(operator.get(TASKS, HTTP_ACCEPT=accept)).type == "application/json"


@pytest.mark.parametrize(
    "query",
    ["limit=1000000000", "limit=501", "limit=-1", "limit=0", "limit=" + "9" * 5000, "limit=1e3", "limit=٣",
     "offset=1000000000000", "page=2", "after=" + "9" * 40, "after=-1", "after=%00", "ordering=payload__x",
     "ordering=-id", "payload__x=1", "lane__queue=q", "id__gt=0", "state=succeeded'--", "filter[payload]=x",
     "state__in=1", "days=1e9", "format=api", "limit=5&limit=6", "created_after=9999-12-31T23:59:59Z",
     "created_after=-1", "tag=" + "x" * 300, "queue=%00", "type=" + "t," * 60],
)  # fmt: skip
def test_a35_parameters_that_would_cost_much_or_reach_into_tables_are_refused(operator: Caller, query: str) -> None:
    make_task()
    answer = Answer(operator.get(f"{TASKS}?{query}"))
    assert (answer.status, answer.is_problem) == (400, True)


def test_a35_the_same_holds_for_every_list(operator: Caller, node: Node) -> None:
    task = make_task(state=TaskState.RUNNING, node=node)
    browser = browser_of()
    lists = ("nodes", "nodes/n-1", "queues", "counts", "changes", f"tasks/{task.pk}", f"tasks/{task.pk}/logs")
    for query in ("limit=1000000000", "ordering=x", "id__gt=0", "after=" + "9" * 5000):
        for path in lists:
            answer = Answer(operator.get(f"/api/v1/{path}?{query}"))
            assert (answer.status, answer.is_problem) == (400, True), (path, query)
        assert browser.get(f"/live/snapshot?topic=tasks&{query}").status_code == 400
        assert browser.get(f"/live/snapshot?topic=overview&{query}").status_code == 400
        # A page says what it does not understand, and shows the rest.
        assert browser.get(f"/tasks/?{query}").status_code in (200, 400)
    assert browser.get("/live/snapshot?topic=tasks&limit=" + "9" * 5000).status_code == 400
    assert browser.get("/live/snapshot?topic=tasks&ids=" + "9" * 5000).status_code == 400


HOSTILE_SEARCHES = ["%" * 200, "(a+)+$" + "a" * 150, "_" * 200, "\\" * 200, "[" * 200, ".*" * 100, "%_%" * 66]


@pytest.mark.parametrize("text", HOSTILE_SEARCHES)
def test_a36_what_is_searched_for_is_a_name_and_no_pattern(operator: Caller, text: str) -> None:
    for number in range(50):
        make_task(tags=["a" * 90 + str(number)], feed=False)
    browser = browser_of()
    began = time.monotonic()
    for name in ("tag", "queue", "type", "node"):
        answer = operator.read(TASKS, **{name: text})
        assert (answer.status, answer.json["tasks"]) == (200, [])
    assert browser.get("/jump/", {"q": text}).status_code == 302
    assert browser.get("/tasks/", {"tag": text}).status_code == 200
    assert time.monotonic() - began < 5


def test_a36_a_percent_sign_finds_only_itself(operator: Caller) -> None:
    make_task(tags=["100%"])
    make_task(tags=["100 of 100"])
    assert len(operator.read(TASKS, tag="100%").json["tasks"]) == 1


INJECTIONS = [
    "'; DROP TABLE dispatcher_task; --", "' OR '1'='1", '" OR ""="', "1) UNION SELECT password FROM auth_user --",
    "%s", "%(a)s", "{0}", "${jndi:ldap://x}", "{{7*7}}", "$1", "\\'", "';SELECT pg_sleep(5);--", "name\x27",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
def test_a37_text_for_a_database_is_only_text(operator: Caller, text: str) -> None:
    mine = make_task(tags=[text])
    make_task(tags=["another"])
    found = operator.read(TASKS, tag=text).json["tasks"]
    assert [row["id"] for row in found] == [str(mine.pk)]
    for name in ("queue", "type", "node"):
        assert operator.read(TASKS, **{name: text}).json["tasks"] == []
    assert operator.read(TASKS, state=text).status == 400
    # As a name it is refused, as a payload it comes back to the letter.
    assert operator.post(TASKS, {"type": text, "queue": text}).status == 400
    made = operator.post(TASKS, {"type": "t", "payload": {text: text}, "affinity_key": text, "labels": {"a": text}})
    if made.status == 201:
        detail = operator.read(f"{TASKS}/{made.json['id']}").json
        assert detail["payload"] == {text: text}
    assert operator.post("/api/v1/queues", {"name": text}).status == 400
    assert operator.read("/api/v1/nodes/" + "n-1'--").status == 404


def addresses(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """One address for every route there is."""
    for pattern in patterns:
        text = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, text)
        elif isinstance(pattern, URLPattern):
            yield _filled(text)


def _filled(text: str) -> str:
    for part, value in (
        ("(?P<task_id>[0-9]{1,19})", "1"), ("(?P<name>[^/]+)", "n-1"), ("(?P<action>drain|resume|disable)", "drain"),
        ("(?P<app_label>auth|dispatcher)", "auth"), ("<path:object_id>", "1"), ("<str:task_id>", "1"),
        ("<str:job_id>", "1"),
        ("<str:name>", "n-1"), ("(?P<url>.*)", "x"), ("(?:/|$)", "/"), ("(?:task|register|heartbeat|result)/", "task/"),
    ):  # fmt: skip
        text = text.replace(part, value)
    return "/" + text.replace("$", "").replace("\\Z", "").replace("\\.", ".")


#: What strangers may see: the way in, and whether it lives.
OPEN = {"/login/", "/admin/login/", "/healthz", "/readyz"}


def test_a43_without_a_credential_every_route_is_closed(node: Node) -> None:
    make_task(state=TaskState.RUNNING, node=node, payload='"canary-7"')
    routes = sorted(set(addresses(get_resolver().url_patterns)))
    assert len(routes) > 60
    stranger = Client()
    answers: dict[str, int] = {}
    for path in routes:
        response = stranger.get(path)
        answers[path] = response.status_code
        content = b"" if response.streaming else response.content
        assert b"canary-7" not in content
        if path in OPEN:
            assert response.status_code in (200, 503)
        elif response.status_code == 302:
            assert response.headers["Location"].startswith(("/login/?", "/admin/")), path
        else:
            # 405: only to be posted to, by whoever has a credential.
            assert response.status_code in (401, 403, 404, 405), (path, response.status_code)
    assert answers["/api/v1/tasks"] == answers["/live/snapshot"] == 401
    assert answers["/"] == answers["/admin/"] == 302


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/schema", "/api/schema/", "/openapi.json", "/debug", "/__debug__/", "/.env", "/.git/config", "/var/",
     "/static/", "/static/../taskdist_site/settings.py", "/static/%2e%2e/var/secret_key", "/static/..%2fmanage.py",
     "/admin/doc/", "/server-status", "/console", "/static//etc/passwd"],
)  # fmt: skip
def test_a43_what_scanners_ask_for_is_not_there(path: str) -> None:
    assert Client().get(path).status_code in (302, 404)


def test_a43_health_says_nothing_about_the_installation() -> None:
    make_task()
    for path in ("/healthz", "/readyz"):
        said = Client().get(path).content.lower()
        for word in (b"django", b"sqlite", b"postgres", b"python", b"version", b"/", b"host"):
            assert word not in said, (path, said)


def test_a49_an_idempotency_key_is_its_clients_own(operator: Caller, admin: Caller) -> None:
    task = {"type": "t", "payload": "mine", "idempotency_key": "same"}
    mine = operator.post(TASKS, task)
    theirs = admin.post(TASKS, task | {"payload": "theirs"})
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json["id"] != theirs.json["id"]
    assert operator.post(TASKS, task).json["id"] == mine.json["id"]
    assert operator.post(TASKS, task | {"payload": "other"}).status == 409


@pytest.mark.parametrize("key", ["", "x" * 129, "x" * 10_000, "a\x00b", "a\nb"])
def test_a49_keys_have_bounds(operator: Caller, key: str) -> None:
    assert operator.post(TASKS, {"type": "t", "idempotency_key": key}).status == 400
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["100000000000000000000000", "9223372036854775808", "-1", "0", "%00", "٣", "1.0", "0x1", "1e3", "1%2F..", "+1"],
)
def test_a53_what_can_be_no_id_is_404_everywhere(operator: Caller, name: str) -> None:
    browser = browser_of("operator")
    for method, path in (("GET", ""), ("GET", "/logs"), ("POST", "/cancel"), ("POST", "/retry")):
        assert Answer(operator.generic(method, f"{TASKS}/{name}{path}")).status == 404
    assert browser.get(f"/tasks/{name}/").status_code == 404
    assert browser.get(f"/nodes/{name}/").status_code == 404
    assert browser.get("/live/snapshot", {"topic": f"task:{name}"}).status_code in (400, 404)
    for body in ({"ids": [name]}, {"ids": [10**30]}, {"ids": [-1]}):
        assert operator.post(f"{TASKS}/cancel", body).status in (200, 400)


@pytest.mark.parametrize(
    ("field", "value"),
    [("run_at", "9999-12-31T23:59:59Z"), ("run_at", "0001-01-01T00:00:00Z"), ("run_at", "-1"), ("run_at", -1),
     ("run_at", "2030-01-01T00:00:00"), ("delay_seconds", 1e18), ("delay_seconds", -1),
     ("deadline", "9999-12-31T23:59:59Z"),
     ("timeout_seconds", 1e18), ("timeout_seconds", 0), ("timeout_seconds", -5), ("priority", 2**63 - 1),
     ("priority", -(2**63)), ("priority", 101), ("max_attempts", 10**9), ("max_attempts", 0), ("max_attempts", -1),
     ("backoff_seconds", 1e300), ("backoff_seconds", -1), ("backoff_cap_seconds", 1e18)],
)  # fmt: skip
def test_a55_times_and_numbers_have_bounds(operator: Caller, field: str, value: Any) -> None:
    answer = operator.post(TASKS, {"type": "t", field: value})
    assert answer.status == 400
    assert (None, field) in answer.fields
    assert not Task.objects.exists()


def test_a56_reading_changes_nothing(admin: Caller, node: Node) -> None:
    task = make_task(state=TaskState.RUNNING, node=node)
    browser = browser_of("admin")
    before = (Change.objects.count(), Task.objects.count(), Queue.objects.count(), Node.objects.count())
    for path in sorted(set(addresses(get_resolver().url_patterns))):
        for method in ("GET", "HEAD", "OPTIONS"):
            # 503: no engine is ready.
            assert admin.generic(method, path).status_code < 500 or path == "/readyz", path
            if path != "/logout/":
                browser.generic(method, path)
    assert (Change.objects.count(), Task.objects.count(), Queue.objects.count(), Node.objects.count()) == before
    task.refresh_from_db()
    assert task.state == TaskState.RUNNING


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "MKCOL", "X"])
def test_a56_methods_that_a_route_does_not_have_are_405(admin: Caller, method: str) -> None:
    for path in (TASKS, "/api/v1/nodes", "/api/v1/counts", "/task", "/healthz"):
        answer = Answer(admin.generic(method, path))
        assert (answer.status, answer.is_problem) == (405, True), path
        assert answer.headers["Allow"]


def test_a43_a_token_of_someone_who_was_switched_off_opens_nothing() -> None:
    user = make_user("gone", is_superuser=True)
    caller = Caller(token_of(user))
    assert caller.read(TASKS).status == 200
    user.is_active = False
    user.save()
    assert caller.read(TASKS).status == 401


@pytest.mark.parametrize(
    "accept", ["text/html", "text/html,application/xhtml+xml", "application/xml", "*/*", "x/y", ""]
)
def test_a20_the_api_speaks_json_whatever_a_browser_would_like(operator: Caller, nobody: Caller, accept: str) -> None:
    for caller in (operator, nobody):
        for path in (TASKS, f"{TASKS}/999", "/api/v1/<script>alert(1)</script>", f"{TASKS}?x=<script>", "/healthz"):
            answer = Answer(caller.get(path, HTTP_ACCEPT=accept))
            assert answer.type in ("application/json", "application/problem+json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a20_error_pages_repeat_nothing_as_markup() -> None:
    browser = browser_of()
    for path in ("/<script>alert(1)</script>/", "/tasks/?state=<script>alert(1)</script>", "/nodes/<script>/",
                 "/login/?next=<script>alert(1)</script>", "/tasks/?<script>=1"):  # fmt: skip
        assert b"<script>" not in browser.get(path).content


def test_a34_an_address_that_the_caller_says_itself_counts_for_nothing(rf: RequestFactory, settings: object) -> None:
    def counted(forwarded: str) -> str:
        return throttle.client_address(rf.get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded))

    for said in ("10.0.0.1", "10.0.0.1, 10.0.0.2", "", "x", "::1", "10.0.0.1" * 1000):
        assert counted(said) == "192.0.2.1"
    # Behind one proxy of ours the last entry is its word; what stands before it is the caller's.
    settings.TASKDIST = {"num_proxies": 1}
    assert counted("10.0.0.1, 203.0.113.9") == "203.0.113.9"
    assert counted("203.0.113.9, nonsense") == "192.0.2.1"

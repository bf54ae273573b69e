from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dispatcher import credentials, events
from dispatcher.admin import paging
from dispatcher.admin.tasks import TaskAdmin
from dispatcher.models import Change, Credential, Queue
from dispatcher.states import TaskState
from tests.factories import NOW, make_attempt, make_change, make_node, make_queue, make_task, make_user

TASKS, ATTEMPTS, QUEUES, TOKENS, AUDIT = (
    f"/admin/dispatcher/{name}/" for name in ("task", "attempt", "queue", "credential", "change")
)
pytestmark = pytest.mark.django_db


def text_of(response: Any) -> str:
    return str(response.content.decode())


def ids_on(response: Any, model: str = "task") -> list[int]:
    return [int(pk) for pk in re.findall(rf'/admin/dispatcher/{model}/(\d+)/change/[^"]*">\1<', text_of(response))]


class TestLooks:
    """The admin belongs to the dashboard."""

    def test_every_page_brings_our_style_and_icon_and_nothing_inline(self, superuser: Client) -> None:
        for path in ("/admin/", TASKS, QUEUES, TOKENS, "/admin/dispatcher/node/"):
            page = text_of(superuser.get(path))
            assert "css/admin.css" in page, path
            assert 'rel="icon"' in page, path
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page), path


class TestAccess:
    """Who sees what."""

    @pytest.mark.parametrize(
        ("path", "by_staff"), [(TASKS, 200), (ATTEMPTS, 200), (QUEUES, 200), (AUDIT, 200), (TOKENS, 403)]
    )
    def test_lists(self, superuser: Client, staff: Client, staff_admin: Client, path: str, by_staff: int) -> None:
        statuses = [client.get(path).status_code for client in (superuser, staff_admin, staff)]
        assert statuses == [200, 200, by_staff]

    def test_a_viewer_is_sent_to_the_login(self, client: Client) -> None:
        client.force_login(make_user("vera"))
        assert client.get(TASKS).status_code == 302

    def test_the_index_names_what_one_may_see(self, staff: Client, superuser: Client) -> None:
        assert TOKENS not in text_of(staff.get("/admin/"))
        assert TOKENS in text_of(superuser.get("/admin/"))
        assert TASKS in text_of(staff.get("/admin/"))

    def test_no_page_needs_inline_script_or_style(self, superuser: Client) -> None:
        node, task = make_node(), make_task(state=TaskState.FAILED)
        pages = [TASKS, ATTEMPTS, QUEUES, TOKENS, AUDIT, f"{TASKS}{task.pk}/change/", f"{QUEUES}add/"]
        pages += [f"{TOKENS}issue/{kind}/" for kind in ("api", "enrolment", "node")]
        answers = [superuser.get(page) for page in pages]
        body = {"action": "drain", "_selected_action": node.pk, "index": "0"}
        answers.append(superuser.post("/admin/dispatcher/node/", body))
        for answer in answers:
            assert answer.status_code == 200
            page = text_of(answer)
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert not [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag and "json" not in tag]
            assert not re.search(r"<[^>]+\son[a-z]+\s*=", page)


class TestTasks:
    """Tasks and attempts, to read."""

    def test_nothing_is_counted_and_large_columns_stay_where_they_are(self, staff: Client) -> None:
        for _ in range(3):
            make_task(payload='"large"')
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert staff.get(TASKS).status_code == 200
        statements = [query["sql"] for query in queries if "dispatcher_task" in query["sql"]]
        assert statements
        assert not [sql for sql in statements if "COUNT(" in sql or "payload" in sql]

    def test_newest_first_whatever_the_address_says(self, staff: Client) -> None:
        made = [make_task(priority=n).pk for n in (3, 1, 2)]
        assert ids_on(staff.get(TASKS)) == made[::-1]
        assert ids_on(staff.get(f"{TASKS}?o=7")) == made[::-1]

    def test_one_stretch_at_a_time(self, staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "STRETCH", 3)
        made = [make_task().pk for _ in range(7)]
        seen: list[int] = []
        where = TASKS
        for _ in range(3):
            page = staff.get(where)
            seen += ids_on(page)
            step = re.search(r'href="\?before=(\d+)"[^>]*>\s*older', text_of(page))
            where = f"{TASKS}?before={step[1]}" if step else ""
        assert seen == made[::-1]

    def test_an_old_task_is_found_by_its_id(self, staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "STRETCH", 1)
        old = make_task().pk
        make_task()
        assert ids_on(staff.get(TASKS)) != [old]
        assert ids_on(staff.get(f"{TASKS}?q={old}")) == [old]
        for nonsense in ("x", "9" * 40, "²", "-1", "1 OR 1=1"):
            assert ids_on(staff.get(TASKS, {"q": nonsense})) == []

    @pytest.mark.parametrize("query", ["before=x", "before=-1", "before=" + "9" * 40, "p=99999", "node=x", "all="])
    def test_addresses_that_make_no_sense(self, staff: Client, query: str) -> None:
        make_task()
        assert staff.get(f"{TASKS}?{query}").status_code in (200, 302)

    def test_one_task_with_its_attempts_as_text(self, staff: Client) -> None:
        attack = "<script>alert(1)</script>"
        task = make_task(state=TaskState.FAILED, payload=f'"{attack}"', tags=[attack])
        make_attempt(task, error=f'"{attack}"')
        page = text_of(staff.get(f"{TASKS}{task.pk}/change/"))
        assert "<script>alert" not in page
        assert page.count("&lt;script&gt;alert") >= 3
        assert 'name="_save"' not in page

    def test_nobody_edits(self, superuser: Client) -> None:
        task = make_task()
        assert superuser.get(f"{TASKS}add/").status_code == 403
        assert superuser.post(f"{TASKS}{task.pk}/change/", {"state": 4}).status_code == 403
        assert superuser.post(f"{TASKS}{task.pk}/delete/", {"post": "yes"}).status_code == 403
        body = {"action": "delete_selected", "_selected_action": task.pk, "post": "yes"}
        superuser.post(TASKS, body)
        task.refresh_from_db()
        assert task.state == TaskState.QUEUED

    def test_attempts_lead_to_their_task(self, staff: Client) -> None:
        task = make_task(state=TaskState.FAILED)
        make_attempt(task)
        for where in (ATTEMPTS, f"{ATTEMPTS}?q={task.pk}"):
            assert f'<a href="{TASKS}{task.pk}/change/">#{task.pk}</a>' in text_of(staff.get(where))
        assert f"#{task.pk}</a>" not in text_of(staff.get(f"{ATTEMPTS}?q={task.pk + 1}"))


class TestQueues:
    """Made, edited and paused through their own writer."""

    def test_make_and_edit(self, staff: Client) -> None:
        staff.post(f"{QUEUES}add/", {"name": "night", "policy": "spread", "description": "slow"})
        queue = Queue.objects.get()
        assert (queue.name, queue.policy, queue.description) == ("night", "spread", "slow")
        page = text_of(staff.get(f"{QUEUES}{queue.pk}/change/"))
        assert 'name="name"' not in page
        staff.post(f"{QUEUES}{queue.pk}/change/", {"name": "day", "policy": "fastest", "description": ""})
        queue.refresh_from_db()
        assert (queue.name, queue.policy) == ("night", "fastest")
        changes = Change.objects.filter(actor="stan").order_by("id").values_list("kind", flat=True)
        assert list(changes) == ["queue.created", "queue.edited"]

    @pytest.mark.parametrize(
        "fields", [{"name": "a/b"}, {"name": ""}, {"policy": "magic"}, {"description": "a\u202eb"}, {"name": "taken"}]
    )
    def test_what_is_refused(self, staff: Client, fields: dict[str, str]) -> None:
        make_queue("taken")
        page = staff.post(f"{QUEUES}add/", {"name": "night", "policy": "spread", "description": ""} | fields)
        assert "errorlist" in text_of(page)
        assert Queue.objects.count() == 1

    def test_pause_asks_for_a_reason_and_resume_does_not(self, staff: Client) -> None:
        queue = make_queue("night")
        body = {"action": "pause", "_selected_action": queue.pk}
        assert "confirmed" in text_of(staff.post(QUEUES, body | {"index": "0"}))
        queue.refresh_from_db()
        assert not queue.is_paused
        staff.post(QUEUES, body | {"confirmed": "yes", "reason": "disk full"})
        queue.refresh_from_db()
        assert (queue.is_paused, queue.paused_by, queue.pause_reason) == (True, "stan", "disk full")
        staff.post(QUEUES, {"action": "resume", "_selected_action": queue.pk, "index": "0"})
        queue.refresh_from_db()
        assert not queue.is_paused
        kinds = Change.objects.filter(actor="stan").order_by("id").values_list("kind", flat=True)
        assert list(kinds) == ["queue.paused", "queue.resumed"]

    def test_queues_are_not_deleted(self, superuser: Client) -> None:
        queue = make_queue("night")
        assert superuser.post(f"{QUEUES}{queue.pk}/delete/", {"post": "yes"}).status_code == 403


class TestTokens:
    """Issued once, shown once, revoked for good."""

    def issued(self, page: Any) -> str:
        assert "no-store" in page.headers["Cache-Control"]
        return text_of(page).split("<code>")[1].split("</code>")[0]

    def test_an_api_token(self, superuser: Client) -> None:
        user = make_user("robot")
        page = superuser.post(
            f"{TOKENS}issue/api/", {"user": user.pk, "label": "nightly", "scopes": ["tasks:read"], "days": ""}
        )
        found = credentials.authenticate(self.issued(page), now=NOW)
        assert found is not None
        assert (found.kind, found.user, found.label, found.expires_at) == ("api", user, "nightly", None)
        assert found.scopes == "tasks:read"
        assert Change.objects.get(kind="credential.issued").actor == "root"
        assert self.issued(page) not in text_of(superuser.get(TOKENS))

    def test_an_enrolment_token_and_a_node_credential(self, staff_admin: Client) -> None:
        page = staff_admin.post(f"{TOKENS}issue/enrolment/", {"label": "rack 4", "uses": 3, "hours": 2})
        token = Credential.objects.get(kind="enrolment")
        assert self.issued(page).startswith(token.prefix)
        assert (token.uses_left, token.expires_at is not None) == (3, True)
        page = staff_admin.post(f"{TOKENS}issue/node/", {"name": "r4-1"})
        found = credentials.authenticate(self.issued(page), now=NOW)
        assert found is not None
        assert found.node is not None
        assert found.node.name == "r4-1"

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("api", {"user": "999", "label": "x"}),
            ("api", {"label": "x", "scopes": ["tasks:read"]}),
            ("api", {"user": "own", "label": "x", "scopes": []}),
            ("api", {"user": "own", "label": "x", "scopes": ["tasks:read"], "days": 1e9}),
            ("api", {"user": "own", "label": "x", "scopes": ["everything"]}),
            ("enrolment", {"label": "x", "uses": 0, "hours": 1}),
            ("enrolment", {"label": "x", "uses": 1, "hours": 1e9}),
            ("enrolment", {"label": "x", "uses": 1, "hours": "nan"}),
            ("node", {"name": "a b"}),
        ],
    )
    def test_what_is_refused(self, superuser: Client, kind: str, body: dict[str, Any]) -> None:
        if body.get("user") == "own":
            body = body | {"user": make_user("robot").pk}
        assert "errorlist" in text_of(superuser.post(f"{TOKENS}issue/{kind}/", body))
        assert not Credential.objects.exists()

    def test_an_api_token_goes_no_further_than_the_role(self, superuser: Client) -> None:
        body = {"user": make_user("vera").pk, "label": "x", "scopes": ["tasks:read", "operate"], "days": 1}
        assert "does not allow: operate" in text_of(superuser.post(f"{TOKENS}issue/api/", body))
        assert not Credential.objects.exists()

    @pytest.mark.parametrize("kind", ["api", "enrolment", "node"])
    def test_operators_issue_none(self, staff: Client, kind: str) -> None:
        body = {"label": "x", "uses": 1, "hours": 1, "name": "n", "user": make_user("robot").pk}
        assert staff.post(f"{TOKENS}issue/{kind}/", body).status_code == 403
        assert not Credential.objects.exists()

    def test_revoke(self, superuser: Client) -> None:
        token = credentials.issue_enrolment_token(label="x", actor="tests", now=NOW)
        row = Credential.objects.get()
        body = {"action": "revoke", "_selected_action": row.pk}
        superuser.post(TOKENS, body | {"index": "0"})
        assert credentials.authenticate(token, now=NOW) is not None
        superuser.post(TOKENS, body | {"confirmed": "yes"})
        assert credentials.authenticate(token, now=NOW) is None
        assert Change.objects.get(kind="credential.revoked").actor == "root"
        assert row.prefix in text_of(superuser.get(f"{TOKENS}?live=no"))
        assert row.prefix not in text_of(superuser.get(f"{TOKENS}?live=yes"))


class TestAudit:
    """What someone did."""

    def test_only_what_someone_did_and_by_whom(self, staff: Client) -> None:
        make_change(events.QueueCreated(queue="by-itself"))
        make_change(events.QueuePaused(queue="one", reason="<b>bold</b>"), actor="otto")
        make_change(events.QueuePaused(queue="two"), actor="ada")
        page = text_of(staff.get(AUDIT))
        assert "by-itself" not in page
        assert "&lt;b&gt;bold" in page
        assert "<b>bold" not in page
        of_ada = text_of(staff.get(f"{AUDIT}?actor=ada"))
        assert "queue: two" in of_ada
        assert "queue: one" not in of_ada
        assert staff.get(f"{AUDIT}?actor=nobody-at-all").status_code == 200

    def test_what_happened_to_tasks_is_said_in_words(self, staff: Client) -> None:
        rows = [events.TaskChange(pk, 1, 6, 0, 1) for pk in range(11, 18)]
        make_change(events.TasksChanged(rows=rows), actor="otto")
        make_change(events.TasksChanged(rows=[events.TaskChange(30, None, 1, 0, 1)]), actor="otto")
        make_change(events.TasksCancelRequested(rows=[(21, 1, 1)]), actor="otto")
        Change.objects.create(at=NOW, kind="from.the_future", actor="otto", body='{"x":1}')
        page = text_of(staff.get(AUDIT))
        assert "#11 queued → cancelled, #12 queued" in page
        assert "#15 queued → cancelled (+2)" in page
        assert "#30 → queued" in page
        assert ">#21<" in page
        assert "{&quot;x&quot;:1}" in page
        only = text_of(staff.get(f"{AUDIT}?kind=tasks.cancel_requested"))
        assert ">#21<" in only
        assert "#11" not in only

    def test_the_trail_cannot_be_changed(self, superuser: Client) -> None:
        change = make_change(events.QueuePaused(queue="one"), actor="otto")
        assert text_of(superuser.get(f"{AUDIT}{change.pk}/change/")).count("&quot;queue&quot;") == 1
        assert superuser.post(f"{AUDIT}{change.pk}/change/", {"actor": "x"}).status_code == 403
        assert superuser.post(f"{AUDIT}{change.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_long_list_ends(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_ROWS", 4)
    monkeypatch.setattr(TaskAdmin, "list_per_page", 2)
    made = [make_task().pk for _ in range(7)]
    assert ids_on(staff.get(TASKS)) == made[:-3:-1]
    assert ids_on(staff.get(f"{TASKS}?p=2")) == made[-3:-5:-1]
    assert staff.get(f"{TASKS}?p=3").status_code == 302

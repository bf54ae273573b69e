"""Activity: who did what, in words, and what takes it back."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from dispatcher import lifecycle, node_registry, queues
from dispatcher.live.topics import PassReads, TopicError, parse_topic
from dispatcher.models import Queue
from dispatcher.queries import AuditFilters, audit
from dispatcher.states import TaskState
from tests.factories import make_node, make_task, make_user

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def page(client: Client) -> Client:
    client.force_login(make_user("vera", is_staff=True))
    return client


def text_of(client: Client, query: str = "") -> str:
    html = client.get(f"/activity/{query}").content.decode()
    body = html[html.index('id="activity-list"') :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def undos(client: Client) -> list[tuple[str, str]]:
    html = client.get("/activity/").content.decode()
    return [(path, unescape(body)) for path, body in re.findall(r'data-undo="([^"]*)" data-body="([^"]*)"', html)]


def test_what_was_done_is_told_with_who_what_and_why(page: Client) -> None:
    node_registry.drain([make_node("w-1")], reason="new disk", actor="ada", now=NOW)
    lifecycle.cancel([make_task(state=TaskState.QUEUED).pk for _ in range(7)], actor="bob", now=NOW)
    text = text_of(page)
    assert re.search(r"ada Drained the node w-1 new disk", text)
    assert re.search(r"bob Cancelled #\d+ , #\d+ , #\d+ , #\d+ , #\d+ and 2 more", text)


def test_filters_are_by_who_and_about_what(page: Client) -> None:
    node_registry.drain([make_node("w-1")], reason="", actor="ada", now=NOW)
    queues.ensure(["default"], now=NOW)
    queues.pause("default", reason="", actor="bob", now=NOW)
    assert "w-1" in text_of(page, "?who=ada")
    assert "w-1" not in text_of(page, "?who=bob")
    assert "w-1" not in text_of(page, "?about=queues")
    assert "No action matches" in text_of(page, "?who=eve")
    assert page.get("/activity/?about=cats").status_code == 400


def test_what_still_stands_can_be_taken_back_by_the_request_on_its_button(page: Client) -> None:
    node = make_node("w-1")
    node_registry.drain([node], reason="", actor="ada", now=NOW)
    queues.ensure(["default"], now=NOW)
    queues.pause("default", reason="", actor="ada", now=NOW)
    task = make_task(state=TaskState.QUEUED)
    lifecycle.cancel([task.pk], actor="ada", now=NOW)
    offered = undos(page)
    assert [path for path, _ in offered] == ["tasks/retry", "queues/default/resume", "nodes/w-1/resume"]
    for path, body in offered:
        answer = page.post(f"/api/v1/{path}", json.loads(body), content_type="application/json")
        assert answer.status_code in (200, 201), answer.content
    assert not Queue.objects.get(name="default").is_paused
    # What was resumed does not stand any more; the cancelled task stays cancelled.
    assert [path for path, _ in undos(page)] == ["tasks/retry"]


def test_a_viewer_sees_the_button_with_the_reason_why_not(client: Client) -> None:
    node_registry.drain([make_node("w-1")], reason="", actor="ada", now=NOW)
    client.force_login(make_user("vera"))
    html = client.get("/activity/").content.decode()
    assert re.search(r'data-undo="nodes/w-1/resume"[^>]* aria-describedby="takes-operator" title="It takes', html)


def test_pages_end_where_all_was_shown_and_say_how_far_was_searched(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "WINDOW", 4)
    nodes = [make_node() for _ in range(6)]
    for index, node in enumerate(nodes):
        node_registry.drain([node], reason="", actor="ada" if index else "eve", now=NOW + timedelta(seconds=index))
    first = page.get("/activity/?who=eve").content.decode()
    assert "Searched down to action" in first
    found = re.search(r'href="\?(who=eve&amp;after=\d+)"', first)
    assert found
    assert "eve" in text_of(page, "?" + unescape(found[1]))


def test_the_download_is_csv_that_no_spreadsheet_runs(page: Client) -> None:
    node_registry.drain([make_node("w-1")], reason='=HYPERLINK("x")', actor="=ada", now=NOW)
    answer = page.get("/activity/export/")
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert rows[0] == ["id", "at", "who", "what", "facts"]
    assert rows[1][2:4] == ["'=ada", "node.draining"]
    assert json.loads(rows[1][4])["name"] == "w-1"
    assert page.get("/activity/export/?about=cats").status_code == 400


def test_the_topic_tells_the_newest_action_that_matches() -> None:
    node_registry.drain([make_node("w-1")], reason="", actor="ada & co", now=NOW)
    queues.ensure(["default"], now=NOW)
    queues.pause("default", reason="", actor="bob", now=NOW)
    newest = [row["id"] for row in audit.audit_page(AuditFilters())["rows"]]
    read = PassReads(NOW)
    assert parse_topic("activity:", None).read(read) == {"newest": newest[0]}
    assert parse_topic("activity:who=ada+%26+co", None).read(read) == {"newest": newest[-1]}
    assert parse_topic("activity:about=tokens", None).read(read) == {"newest": None}
    with pytest.raises(TopicError):
        parse_topic("activity:about=cats", None)


def test_programs_read_the_same_trail_from_the_feed(page: Client) -> None:
    node_registry.drain([make_node("w-1")], reason="", actor="ada", now=NOW)
    answer = page.get("/api/v1/changes?audited=true").json()
    assert [change["actor"] for change in answer["changes"]] == ["ada"]

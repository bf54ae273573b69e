"""The form that is made from a task type's schema."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, expect

from dispatcher.dashboard.preferences import COOKIE
from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation


def test_fields_by_the_schema_say_what_is_wrong_and_make_a_payload(visit: Visit, api: Api) -> None:
    page = visit.open("/submit/?type=demo.count_words")
    top = page.get_by_label("top", exact=True)
    top.fill("many")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[id='p-payload.top-error']")).to_have_text("Not a number.")
    summary = page.locator("#submit-errors a")
    expect(summary).to_have_text("top: Not a number.")
    summary.click()
    expect(top).to_be_focused()
    top.fill("3")
    page.get_by_label("text", exact=True).fill("a rose is a rose")
    page.get_by_text("Retries, limits, placement, tags").click()
    page.get_by_label("Tags").fill("by-schema")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#submit-done")).to_be_visible()
    [task] = api.ask("/api/v1/tasks?tag=by-schema")["tasks"]
    assert api.ask(f"/api/v1/tasks/{task['id']}")["payload"] == {"text": "a rose is a rose", "top": 3}
    # The next time it begins with what was used last.
    page = visit.open("/submit/?type=demo.count_words")
    expect(page.get_by_label("text", exact=True)).to_have_value("a rose is a rose")
    page.get_by_role("tab", name="as Python").click()
    expect(page.locator("#as-python")).to_contain_text('"text": "a rose is a rose"')


def test_many_rows_are_checked_by_line_and_submitted_together(visit: Visit, api: Api) -> None:
    page = visit.open("/submit/?type=demo.count_words")
    page.get_by_text("Retries, limits, placement, tags").click()
    page.get_by_label("Tags").fill("by-lines")
    page.get_by_role("tab", name="Many").click()
    rows = page.locator("#s-many")
    rows.fill('{"text": "a"}\n{"text": }\n{"text": "c"}')
    expect(page.locator("#s-many-error")).to_contain_text("Line 2: Not valid JSON")
    rows.fill("text,top\na b,2\nc,many\n")
    expect(page.locator("#many-rows li")).to_have_count(2)
    page.get_by_role("button", name="Submit 2 tasks").click()
    expect(page.locator("#submit-errors")).to_contain_text("Line 3: payload.top: must be a whole number, not text")
    [complaint] = visit.complaints
    assert "422" in complaint
    visit.complaints.clear()
    rows.fill("text,top\na b,2\nc,1\n")
    page.get_by_role("button", name="Submit 2 tasks").dblclick()
    expect(page.locator("#submit-done")).to_be_visible()
    tasks = api.ask("/api/v1/tasks?tag=by-lines")["tasks"]
    payloads = [api.ask(f"/api/v1/tasks/{task['id']}")["payload"] for task in tasks]
    assert sorted(map(json.dumps, payloads)) == ['{"text": "a b", "top": 2}', '{"text": "c", "top": 1}']


def test_times_are_meant_in_the_zone_that_is_shown(browser: Browser, installed: Installation, api: Api) -> None:
    # Neither the browser's zone nor the server's.
    far = Visit(browser, installed, timezone_id="America/New_York")
    far.sign_in()
    far.context.add_cookies([{"name": COOKIE, "value": "zone:Asia%2FTokyo", "url": installed.url}])
    page = far.open("/submit/?type=demo.noop")
    expect(page.locator("#s-run-at-hint")).to_have_text("Asia/Tokyo")
    page.get_by_label("or not before").fill("2030-01-01T09:00")
    page.keyboard.press("Control+Enter")
    page.locator("#submit-done").get_by_role("link").click()
    page.wait_for_url("**/tasks/*/")
    task_id = page.url.strip("/").rpartition("/")[2]
    assert api.task(task_id)["run_at"] == "2030-01-01T00:00:00Z"
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    assert far.complaints == []
    far.context.close()

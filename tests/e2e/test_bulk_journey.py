"""A bulk retry from the dialog to its end, in Chromium, against real processes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

TASKS = 1000


def test_a_thousand_tasks_are_cancelled_and_retried_from_the_dialog_before_ones_eyes(visit: Visit, api: Api) -> None:
    # No node runs the type: they wait, and so do their retries.
    task = {"type": "bulk.nobody", "queue": "bulk-journey"}
    api.ask("/api/v1/tasks", [task] * TASKS)
    page = visit.open("/tasks/?q=type:bulk.nobody")
    page.get_by_label("Select all tasks on this page").check()
    page.get_by_role("button", name="Select all 1,000 matching").click()
    expect(page.locator("#bulk-count")).to_have_text("All 1,000 matching")
    page.get_by_role("button", name="Cancel…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#bulk-query")).to_have_text("type:bulk.nobody")
    dialog.get_by_label("Tasks at a time").fill("1000")
    dialog.get_by_label("At most a second").fill("")
    dialog.get_by_role("button", name="Cancel 1,000 tasks").click()
    page.wait_for_url(re.compile(r"/bulk/\d+/"))
    expect(page.locator("#bulk-done")).to_have_text("1,000", timeout=60_000)

    page = visit.open("/tasks/?q=type:bulk.nobody")
    page.get_by_label("Select all tasks on this page").check()
    page.get_by_role("button", name="Select all 1,000 matching").click()
    page.get_by_role("button", name="Retry…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("At most a second").fill("500")
    dialog.get_by_role("button", name="Retry 1,000 tasks").click()
    page.wait_for_url(re.compile(r"/bulk/\d+/"))
    page.evaluate("window.sameAsBefore = true")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".page-head .state")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".page-head .state")).to_contain_text("Done", timeout=60_000)
    expect(page.locator("#bulk-handled")).to_have_text("1,000 of 1,000")
    assert visit.was_not_reloaded()
    job = page.url.rstrip("/").rpartition("/")[2]
    document = api.ask(f"/api/v1/bulk/{job}")
    assert (document["job"]["done"], document["left"]) == (TASKS, [])
    page.get_by_role("button", name="Cancel its new tasks that have not begun…").click()
    dialog.get_by_role("button", name="Cancel 1,000 tasks").click()
    page.wait_for_url(re.compile(rf"/bulk/(?!{job}/)\d+/"))
    expect(page.locator("#bulk-query, .bulk-scope").first).to_contain_text(f"tag:bulk-{job}")

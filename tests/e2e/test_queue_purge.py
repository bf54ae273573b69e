"""A queue is emptied by a bulk action, once its name was typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

QUEUE = "to-empty"


def test_what_waits_in_a_queue_is_cancelled_and_what_is_elsewhere_is_not(visit: Visit, api: Api) -> None:
    api.ask("/api/v1/queues", {"name": QUEUE})
    api.ask(f"/api/v1/queues/{QUEUE}/pause", {"reason": "wrong input"})
    waiting = api.submit(*[{"type": "demo.echo", "queue": QUEUE} for _ in range(5)])
    [planned] = api.submit({"type": "demo.echo", "queue": QUEUE, "delay_seconds": 3600})
    [elsewhere] = api.submit({"type": "demo.echo", "queue": f"{QUEUE}-not", "delay_seconds": 3600})
    page = visit.open(f"/queues/{QUEUE}/")
    page.get_by_role("button", name="Empty it…").click()
    dialog = page.get_by_role("dialog", name=f"Empty queue {QUEUE}?")
    expect(dialog).to_contain_text("6 of them now")
    sure = dialog.get_by_role("button", name="Cancel 6 tasks")
    expect(sure).to_be_disabled()
    dialog.get_by_label(f"Type {QUEUE} to confirm").fill("to-emp")
    expect(sure).to_be_disabled()
    dialog.get_by_label(f"Type {QUEUE} to confirm").fill(QUEUE)
    sure.click()
    page.wait_for_url("**/bulk/*/")
    for task_id in (*waiting, planned):
        api.await_state(task_id, "cancelled")
    assert api.task(elsewhere)["state"] == "scheduled"
    page = visit.open(f"/queues/{QUEUE}/")
    page.get_by_role("button", name="Empty it…").click()
    expect(page.locator(".toast")).to_have_text(re.compile("^Nothing waits in this queue"))
    # What cannot be counted says so, and asks nothing.
    page.route("**/api/v1/bulk/preview", lambda route: route.abort())
    page.get_by_role("button", name="Empty it…").click()
    expect(page.locator(".toast[data-tone=bad]")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    visit.complaints.clear()
    # The dialog of a pause asks for a reason again.
    api.ask(f"/api/v1/queues/{QUEUE}/resume", {})
    page = visit.open(f"/queues/{QUEUE}/")
    page.get_by_role("button", name="Pause…").click()
    expect(page.get_by_role("dialog").get_by_label("Reason")).to_be_visible()
    began = [
        change for change in api.ask("/api/v1/changes?audited=true&limit=500")["changes"] if "bulk" in change["kind"]
    ]
    assert any(QUEUE in str(change["facts"]) for change in began)

"""Who may look only: every action is there, can be reached by keyboard, does nothing, and says what it takes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

REASON = "It takes the operator role."
#: Address, place on the page, and the buttons that are refused there; None: any.
PLACES = (
    ("/tasks/{task}/", ".page-actions", ["Retry", "Clone and edit"]),
    ("/nodes/", "[data-key=local-1]", ["Drain…"]),
    ("/nodes/?view=list", "[data-key=local-1]", ["Drain…"]),
    ("/nodes/local-1/", ".page-actions", ["Drain…", "Pause intake", "Disable…"]),
    ("/queues/", "[data-key=default]", ["Pause"]),
    ("/queues/", "[data-key=looked-at]", ["Resume"]),
    ("/queues/looked-at/", ".page-actions", ["Resume", "Empty it…"]),
    ("/queues/looked-at/", "form#queue-form", ["Save"]),
    ("/submit/", "#submit-form", ["Submit"]),
    ("/bulk/{job}/", ".page-actions", None),
    ("/activity/?who=admin&about=queues", "tr:has-text('looked-at')", None),
)


def test_a_viewer_sees_every_action_and_why_it_is_not_theirs(
    browser: Browser, installed: Installation, api: Api
) -> None:
    ids = api.submit({"type": "demo.noop", "queue": "looked-at"}, {"type": "demo.noop"})
    for task_id in ids:
        api.await_state(task_id, "succeeded")
    api.ask("/api/v1/queues/looked-at/pause", {"reason": "new stamps"})
    body = {"action": "retry", "q": f"id:{ids[1]}", "per_second": 1, "batch_size": 1}
    job = api.ask("/api/v1/bulk", body)["job"]["id"]
    script = "from django.contrib.auth.models import User; User.objects.create_user('nora', password='only looks')"
    installed.manage("shell", "-c", script)
    viewer = Visit(browser, installed)
    viewer.sign_in("nora", "only looks")
    for path, area, expected in PLACES:
        page = viewer.open(path.format(task=ids[0], job=job))
        buttons = page.locator(area).locator(f"button[title='{REASON}']:visible")
        if expected:
            expect(buttons).to_have_text(expected)
        button = buttons.first
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_accessible_description(REASON)
        button.focus()
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".toast").first).to_have_text(REASON)
        expect(page.locator("dialog[open]")).to_have_count(0)
    page = viewer.open("/tasks/?queue=looked-at")
    page.locator("tbody input[type=checkbox]").first.check()
    retry = page.get_by_role("region", name="Selected tasks").get_by_role("button", name="Retry 1")
    expect(retry).to_have_accessible_description(REASON)
    retry.click(force=True)
    page.keyboard.press("r")
    expect(page.locator(".toast")).to_have_text(REASON)
    expect(page.locator("dialog[open]")).to_have_count(0)
    page = viewer.open("/queues/looked-at/")
    expect(page.locator("#queue .notice:visible")).to_contain_text("new stamps")
    api.ask("/api/v1/queues/looked-at/resume", {})
    expect(page.locator(".page-actions button:visible").first).to_have_text("Pause…")
    assert api.ask("/api/v1/tasks?queue=looked-at")["tasks"][0]["id"] == ids[0]
    viewer.context.close()
    assert viewer.complaints == []

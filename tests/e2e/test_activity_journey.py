"""Activity in Chromium: what someone else does is announced, and taken back where it stands."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]


def test_an_action_is_announced_and_taken_back_without_a_reload(visit: Visit, api: Api) -> None:
    page = visit.open("/activity/")
    page.locator("h1").hover()
    api.ask("/api/v1/nodes/local-2/drain", {"reason": "for a moment"})
    page.get_by_role("button", name="Show what is new").click()
    row = page.locator("#activity-rows tr").first
    expect(row).to_contain_text("Drained the node local-2")
    expect(row).to_contain_text("for a moment")
    expect(page.locator("#new-pill")).to_be_hidden()
    row.get_by_role("button", name="Resume the node").click()
    expect(page.locator(".toast")).to_contain_text("Taken back.")
    expect(page.locator("#activity-rows tr").first).to_contain_text("Resumed the node local-2")
    assert api.node("local-2")["intent"] == "run"
    assert page.get_by_role("button", name="Resume the node").count() == 0
    assert visit.was_not_reloaded()

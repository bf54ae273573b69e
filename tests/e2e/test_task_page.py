"""The page of a task in Chromium: what happened to it, and how it is printed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]


def test_events_follow_and_say_who(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.noop", "delay_seconds": 86_400})
    page = visit.open(f"/tasks/{task_id}/?tab=payload")
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    assert page.url.endswith("?tab=events")
    expect(page.locator("#event-rows li b")).to_have_text(["Submitted by admin"])
    page.keyboard.press("c")
    expect(page.locator("#event-rows li b")).to_have_text(["Submitted by admin", "Cancelled by admin"])
    assert visit.was_not_reloaded()
    page.reload()
    expect(page.get_by_role("tab", name="Events")).to_have_attribute("aria-selected", "true")
    page.emulate_media(media="print")
    for name in ("payload", "events", "logs"):
        expect(page.locator(f"#{name}")).to_be_visible()
    # The whole text in place of what folds, and nothing that can only be pressed.
    expect(page.locator("#payload-code")).to_be_visible()
    for hidden in ("nav.rail", "#payload-tree", ".viewer-bar", "#raw", ".page-actions"):
        expect(page.locator(hidden).first).to_be_hidden()

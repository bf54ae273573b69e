"""Saved views on the page of tasks, in Chromium, against real processes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PASSWORD = "neun-hecken-7"


@pytest.fixture
def viewer(browser: Browser, installed: Installation, api: Api) -> Visit:
    """Somebody who may only read."""
    installed.manage(
        "shell",
        "-c",
        f"""
from django.contrib.auth.models import User
User.objects.filter(username="reader").exists() or User.objects.create_user("reader", password="{PASSWORD}")
""",
    )
    made = Visit(browser, installed)
    made.sign_in("reader", PASSWORD)
    return made


def open_menu(page: Page) -> None:
    page.locator("#view-menu > summary").click()


def test_a_view_is_saved_shared_opened_by_somebody_else_and_deleted(visit: Visit, viewer: Visit, api: Api) -> None:
    (task,) = api.submit({"type": "views.nobody", "queue": "views"})
    page = visit.open("/tasks/?q=queue:views")
    open_menu(page)
    page.get_by_label("Name", exact=True).fill("Of the queue views")
    page.get_by_label("Share with everybody").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#view-menu > summary")).to_contain_text("View: Of the queue views")

    theirs = viewer.open("/tasks/")
    open_menu(theirs)
    theirs.get_by_role("link", name="Of the queue views").click()
    expect(theirs.locator(f'#task-rows [data-key="{task}"]')).to_be_visible()
    expect(theirs.locator("#view-menu > summary")).to_contain_text("View: Of the queue views")
    open_menu(theirs)
    expect(theirs.get_by_label("Share with everybody")).to_be_disabled()
    expect(theirs.get_by_role("button", name="Delete it")).to_have_count(0)

    # Narrowed, it is another one; the palette leads back.
    page.get_by_role("link", name="Failed", exact=False).first.click()
    expect(page.locator("#view-changed")).to_be_visible()
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "live")
    page.keyboard.press("Control+k")
    page.locator("#palette-field").fill("Of the queue views")
    page.get_by_role("option", name="View: Of the queue views").click()
    expect(page.locator("#view-changed")).to_have_count(0)

    open_menu(page)
    page.get_by_text("Delete this view…").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator("#view-menu > summary")).not_to_contain_text("Of the queue views")
    theirs.reload()
    expect(theirs.locator("#view-missing")).to_be_visible()
    assert viewer.complaints == []
    viewer.context.close()

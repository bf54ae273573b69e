"""What people do in the admin and the dashboard while no inline code and no inline style may run: all of it works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Api
from tests.e2e.watched import Watched
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

ADMIN = "/admin/dispatcher"


@pytest.fixture(scope="module")
def session(browser: Browser, installed: Installation, api: Api) -> Any:
    """Signed in once for all."""
    visitor = Watched(browser, installed)
    visitor.sign_in()
    state = visitor.context.storage_state()
    visitor.context.close()
    return state


@pytest.fixture
def visitor(browser: Browser, installed: Installation, session: Any, scheme: str) -> Iterator[Watched]:
    """An admin; nothing may be refused by the policy, run by itself or complain."""
    made = Watched(browser, installed, color_scheme=scheme, storage_state=session)
    yield made
    assert made.found_on(made.page) == []
    made.context.close()


@pytest.mark.parametrize("scheme", ["light"])
def test_a19_the_admin_filters_asks_acts_and_remembers(visitor: Watched, api: Api) -> None:
    page, word = visitor.page, "csp-queue"
    page.goto(f"{ADMIN}/queue/add/")
    page.get_by_label("Name").fill(word)
    page.get_by_label("Description").fill("made by hand")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    page.locator("tr", has_text=word).get_by_role("checkbox").check()
    # The counter is the work of a script.
    expect(page.locator(".action-counter").first).to_contain_text("1 of")
    act(page, "pause")
    page.get_by_label("Reason").fill("to see it")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".messagelist")).to_contain_text("1 queue paused")
    assert visitor.found_on(page) == []
    api.ask(f"/api/v1/queues/{word}/resume", {})
    page.locator("tr", has_text=word).get_by_role("link").first.click()
    page.get_by_role("link", name="History").click()
    expect(page.locator("#change-history tbody tr")).not_to_have_count(0)
    assert visitor.found_on(page) == []
    page.goto(f"{ADMIN}/node/")
    page.locator("#changelist-filter summary", has_text="state").click()
    page.locator("#changelist-filter summary", has_text="state").click()
    page.locator("#changelist-filter").get_by_role("link", name="online", exact=True).first.click()
    page.wait_for_url("**state__exact=online")
    page.locator("#searchbar").fill("local-1")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    for theme in ("dark", "light"):
        page.get_by_role("button", name=re.compile("Toggle theme")).first.click()
        expect(page.locator("html")).to_have_attribute("data-theme", theme)


@pytest.mark.parametrize("scheme", ["dark"])
def test_a19_tokens_are_issued_copied_and_revoked(visitor: Watched) -> None:
    page, word = visitor.page, "csp-token"
    page.goto(f"{ADMIN}/credential/")
    page.get_by_role("link", name="Issue enrolment token").click()
    page.get_by_label("What it is for").fill(word)
    page.get_by_role("button", name="Issue").click()
    expect(page.locator("code")).to_have_text(re.compile("^tde_"))
    assert visitor.found_on(page) == []
    page.get_by_role("link", name="Done").click()
    page.locator("tr", has_text=word).get_by_role("checkbox").check()
    act(page, "revoke")
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator(".messagelist")).to_contain_text("1 token revoked")
    assert visitor.found_on(page) == []
    visitor.open("/nodes/")
    page.get_by_role("button", name="Make an enrolment token").click()
    expect(page.locator("[data-token]").first).to_have_text(re.compile("^tde_"))
    page.locator("[data-copy=join-command]").click()
    expect(page.locator(".toast")).to_contain_text("Copied")


@pytest.mark.parametrize("scheme", ["dark"])
def test_a19_pickers_boxes_and_popups_work(visitor: Watched) -> None:
    page, word = visitor.page, "csp-group"
    page.goto("/admin/auth/user/")
    page.locator("#result_list").get_by_role("link", name="admin", exact=True).click()
    field = page.locator("#id_last_login_0")
    field.fill("")
    # Links here are buttons from Django 6.1 on.
    page.locator(".field-last_login").get_by_text("Today", exact=True).click()
    expect(field).to_have_value(re.compile(r"^\d{4}-\d\d-\d\d$"))
    page.locator(".field-last_login .date-icon").click()
    page.locator(".calendarbox:visible").get_by_text("15", exact=True).click()
    expect(field).to_have_value(re.compile("-15$"))
    page.locator(".field-last_login .clock-icon").click()
    page.locator(".clockbox:visible").get_by_text("Noon", exact=True).click()
    expect(page.locator("#id_last_login_1")).to_have_value("12:00:00")
    page.locator("#id_user_permissions_input").fill("node")
    page.locator("#id_user_permissions_from option").first.dblclick()
    expect(page.locator("#id_user_permissions_to option")).to_have_count(1)
    with page.expect_popup() as opening:
        page.locator("#add_id_groups").click()
    popup = opening.value
    popup.locator("#id_name").fill(word)
    assert visitor.found_on(popup) == []
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Save").click()
    expect(page.locator("#id_groups_to option", has_text=word)).to_have_count(1)
    page.goto("/admin/auth/group/")
    page.locator("tr", has_text=word).get_by_role("checkbox").check()
    act(page, "delete_selected")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".messagelist")).to_contain_text("Successfully deleted 1 group")


def act(page: Page, action: str) -> None:
    """Choose an action of a list and go."""
    page.locator("select[name=action]").first.select_option(action)
    # Its label is "Go", and from Django 6.1 on "Run".
    page.locator(".actions button[name=index]").first.click()

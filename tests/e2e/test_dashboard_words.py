"""The dashboard in Chinese and back, in another time zone, and with single-letter keys switched off."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PAGES = ["/", "/tasks/", "/types/", "/queues/", "/nodes/", "/nodes/local-1/", "/activity/", "/submit/", "/settings/"]
#: What stands on every page in English; none of it may be left.
ENGLISH = re.compile(r"\b(Overview|Tasks|Queues|Nodes|Submit|Settings|Sign out|Live|State|Queue|Waited|ago|Online)\b")


def test_chinese_and_back(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.echo"})
    api.await_state(task_id, "succeeded")
    page = visit.open("/queues/")
    page.get_by_role("button", name="切换到简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("队列")
    assert page.url.endswith("/queues/")
    for path in [*PAGES, f"/tasks/{task_id}/"]:
        page = visit.open(path)
        expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
        expect(page.locator("#live-pill")).to_contain_text("实时")
        said = page.locator("body").inner_text()
        assert ENGLISH.findall(said) == [], path
    page.get_by_role("button", name="Switch to English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


def test_a_zone_changes_times_alike_on_both_sides(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.echo"})
    api.await_state(task_id, "succeeded")
    page = visit.open("/settings/")
    page.get_by_label("Time zone", exact=True).fill("asia/kathmandu")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#zone-now")).to_have_text("UTC+5:45")
    first_paint = visit.context.request.get(f"/tasks/{task_id}/").text()
    visit.open(f"/tasks/{task_id}/")
    shown = page.locator("#task time[title]").first.get_attribute("title") or ""
    assert re.fullmatch(r"[\d-]{10} [\d:]{8} UTC\+5:45", shown)
    assert f'title="{shown}"' in first_paint


def test_single_letter_keys_can_be_switched_off(visit: Visit) -> None:
    page = visit.open("/settings/")
    page.get_by_role("group", name="Single-letter keys").get_by_label("Off").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page = visit.open("/settings/")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("group", name="Single-letter keys").get_by_label("On").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).not_to_have_attribute("data-keys", "off")
    page = visit.open("/settings/")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_language_and_zone_without_scripts(browser: Browser, installed: Installation, api: Api) -> None:
    reader = Visit(browser, installed, java_script_enabled=False)
    reader.sign_in()
    reader.page.goto("/settings/")
    reader.page.get_by_role("button", name="切换到简体中文").click()
    expect(reader.page.get_by_role("heading", level=1)).to_have_text("设置")
    reader.page.locator("#zone-field").fill("Asia/Tokyo")
    reader.page.get_by_role("button", name="保存").click()
    expect(reader.page.locator("#zone-now")).to_have_text("UTC+9")
    reader.context.close()

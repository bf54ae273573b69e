"""The command palette and the sheet of keys: what they offer works, and what works is offered."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]


def ask(page: Page, text: str) -> None:
    """Open the palette and type."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Go to, or do")).to_be_visible()
    page.keyboard.type(text)


def test_the_palette_leads_to_pages_nodes_types_and_tasks(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.noop"})
    page = visit.open("/")
    for text, address in {
        "queues": "/queues/",
        "local-1": "/nodes/local-1/",
        f"#{task_id}": f"/tasks/{task_id}/",
        "submit demo.echo": "/submit/?type=demo.echo",
        "drain local-1": "/nodes/local-1/#drain",
    }.items():
        ask(page, text)
        expect(page.locator("#palette-0")).to_contain_text(text.strip("#"), ignore_case=True)
        # Until the names have come, it offers to search for what was typed.
        expect(page.locator("#palette-0")).not_to_contain_text("Search for")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{visit.installed.url}{address}")
        # Its scripts are there once the connection is.
        page.locator("#live-pill[data-live=live]").wait_for()


def test_the_palette_is_a_combobox_that_the_arrows_move_in(visit: Visit) -> None:
    page = visit.open("/tasks/")
    page.locator("#jump").focus()
    ask(page, "")
    field = page.get_by_role("combobox", name="Go to, or do")
    expect(field).to_be_focused()
    for key, place in {"ArrowDown": "palette-1", "ArrowUp": "palette-0", "PageDown": None}.items():
        page.keyboard.press(key)
        at = place or field.get_attribute("aria-activedescendant") or ""
        expect(field).to_have_attribute("aria-activedescendant", at)
        expect(page.locator("#palette-list [aria-selected=true]")).to_have_id(at)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    # Back to where the focus was.
    expect(page.locator("#jump")).to_be_focused()


def test_the_palette_does_what_the_page_can_do(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.noop"})
    api.await_state(task_id, "succeeded")
    page = visit.open(f"/tasks/{task_id}/")
    ask(page, "pause or")
    page.keyboard.press("Enter")
    expect(page.locator("#live-pill")).to_have_text("Paused")
    ask(page, "continue")
    page.keyboard.press("Enter")
    page.locator("#live-pill[data-live=live]").wait_for()
    ask(page, "retry")
    page.locator("#palette-list [role=option]", has_text=re.compile("Retry")).first.click()
    expect(page.locator(".toast")).to_contain_text("Submitted again as task")
    ask(page, "light and dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    ask(page, "中文")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")


def test_what_is_nothing_else_is_searched_for(visit: Visit) -> None:
    page = visit.open("/")
    ask(page, "no.such.type")
    expect(page.locator("#palette-0")).to_contain_text("Search for “no.such.type”")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/?*no.such.type*")


@pytest.mark.parametrize("path", ["/", "/tasks/", "/submit/"])
def test_the_sheet_says_what_this_page_listens_to(visit: Visit, path: str) -> None:
    page = visit.open(path)
    heard = page.evaluate(
        """async () => {
          const { shortcuts } = await import(new URL("keys.js", document.querySelector('script[src$="shell.js"]').src));
          return shortcuts().map(({ keys, label }) => [keys, label]);
        }"""
    )
    page.locator("#main").focus()
    page.keyboard.press("?")
    sheet = page.evaluate(
        """() => [...document.querySelectorAll("#keys-list dt")].map((keys) =>
          [[...keys.children].map((key) => key.textContent).join(" "), keys.nextElementSibling.textContent])"""
    )
    assert sheet == [*heard, ["Ctrl K", "Go to, or do"]]
    # Each in words: nothing is listed by the name of its text, or by its key.
    assert [keys for keys, label in sheet if not re.fullmatch(r"[A-Z][\w, ]+", label)] == []
    assert ("j" in dict(heard)) == (path == "/tasks/")


def test_single_letters_can_be_switched_off_and_the_rest_goes_on(visit: Visit) -> None:
    page = visit.open("/queues/")
    page.keyboard.press("?")
    page.get_by_label("Shortcuts of single letters").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "live")
    ask(page, "this list")
    page.keyboard.press("Enter")
    page.get_by_label("Shortcuts of single letters").check()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("#live-pill")).to_have_text("Paused")


def test_names_that_come_late_take_the_first_place_and_are_what_enter_runs(visit: Visit) -> None:
    page = visit.open("/")
    held: list[Route] = []
    page.route("**/api/v1/types", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    ask(page, "submit demo.echo")
    expect(page.locator("#palette-0")).to_contain_text("Search for")
    with page.expect_response("**/api/v1/types"):
        held[0].continue_()
    expect(page.locator("#palette-0")).to_have_text(re.compile("^Submit demo.echo"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/submit/?type=demo.echo")

"""What people do without meaning to, and data larger than the design drew it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

LONG_QUEUE = "a-queue-with-a-name-as-long-as-they-come.europe.west.1.production.blue"
LONG_TYPE = "a_type_that." + "goes_on_and_on." * 5 + "before_it_ends"


def ended_task(api: Api) -> str:
    [task_id] = api.submit({"type": "demo.noop"})
    api.await_state(task_id, "succeeded")
    return task_id


def test_a_double_click_or_a_key_held_down_makes_one_retry(visit: Visit, api: Api) -> None:
    task_id = ended_task(api)
    page = visit.open(f"/tasks/{task_id}/")
    page.get_by_role("button", name="Retry").dblclick()
    expect(page.locator("#related-rows > *")).to_have_count(1)
    held = "dispatchEvent(new KeyboardEvent('keydown', {key: 'r', repeat: true}))"
    page.evaluate(f"for (let i = 0; i < 5; i += 1) {held}")
    expect(page.locator(".toast")).to_have_count(1)
    assert len(api.task(task_id)["retries"]) == 1


def test_whoever_signs_in_again_in_another_tab_goes_on_in_the_first(visit: Visit, api: Api) -> None:
    task_id = ended_task(api)
    page = visit.open(f"/tasks/{task_id}/")
    first, visit.page = visit.page, visit.new_page()
    visit.page.goto("/")
    visit.page.get_by_label("Account").click()
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.wait_for_url("**/login/**")
    visit.sign_in()
    first.get_by_role("button", name="Retry").click()
    expect(page.locator(".toast")).to_contain_text("Submitted again as task")


def test_a_search_is_typed_with_suggestions_and_a_mistake_is_mended_with_one_press(
    browser: Browser, installed: Installation, api: Api
) -> None:
    phone = Visit(browser, installed, viewport={"width": 390, "height": 844})
    phone.sign_in()
    page = phone.open("/tasks/")
    field, options = (
        page.get_by_role("combobox", name="Search tasks"),
        page.locator("#suggestions").get_by_role("option"),
    )
    field.press_sequentially("sta")
    expect(options.first).to_contain_text("state:")
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "suggestion-0")
    field.press("Enter")
    expect(field).to_have_value("state:")
    expect(page.get_by_role("option", name="failed")).to_be_visible()
    field.press_sequentially("faild")
    expect(options).to_have_count(0)
    field.press("Enter")
    page.wait_for_url("**/tasks/?q=state%3Afaild")
    expect(page.get_by_role("alert").first).to_contain_text("Did you mean failed?")
    expect(page.locator(".query-pointed mark")).to_have_text("faild")
    expect(page.locator("#new-pill")).to_be_hidden()
    page.get_by_role("link", name="Search for state:failed").click()
    page.wait_for_url("**/tasks/?q=state%3Afailed")
    expect(field).to_have_value("state:failed")
    page.get_by_role("link", name="Remove state:failed").click()
    expect(page.locator("#chips")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.context.close()
    assert phone.complaints == []


def sticking_out(page: Page) -> list[str]:
    """What is wider than the panel that it lies in."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".panel")].flatMap((panel) => {
          const edge = panel.getBoundingClientRect().right + 1;
          return [...panel.querySelectorAll("td, dd, h1, .type-list button, .cells, .queue-cell")]
            .filter((part) => part.checkVisibility() && part.getBoundingClientRect().right > edge)
            .map((part) => part.outerHTML.slice(0, 120));
        })"""
    )
    return found


@pytest.mark.parametrize("width", [390, 1280])
def test_long_names_stay_in_their_panels(browser: Browser, installed: Installation, api: Api, width: int) -> None:
    [task_id] = api.submit(
        {"type": LONG_TYPE, "queue": LONG_QUEUE, "tags": [f"tag-{n}-of-many" for n in range(32)], "delay_seconds": 600}
    )
    visit = Visit(browser, installed, viewport={"width": width, "height": 900})
    visit.sign_in()
    for path in ("/", "/tasks/", "/queues/", "/nodes/", f"/tasks/{task_id}/"):
        page = visit.open(path)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, path
        assert sticking_out(page) == [], path
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    visit.context.close()
    assert visit.complaints == []

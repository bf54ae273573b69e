"""The list of tasks in Chromium, against real processes: columns, order, and scrolling on through what matches."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.e2e.gate import Gate
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

#: Two pages and a part of a third.
TASKS = 120


def keys(rows: Locator) -> list[str]:
    """The ids of the rows, in their order."""
    found: list[str] = rows.evaluate_all("rows => rows.map((row) => row.dataset.key)")
    return found


def rows(page: Page) -> Locator:
    return page.locator("#task-table tbody > tr[data-key]")


def test_chosen_columns_stay_while_a_task_changes(visit: Visit, api: Api, installed: Installation) -> None:
    gate = Gate(installed, "columns")
    (task,) = api.submit(gate.task | {"priority": 7, "tags": ["columns"]})
    page = visit.open("/tasks/?q=tag:columns")
    page.locator("#column-menu > summary").click()
    menu = page.locator("#column-menu")
    for name in ("Node", "Try", "Waited", "Created"):
        menu.get_by_label(name, exact=True).uncheck()
    for name in ("Priority", "Tags"):
        menu.get_by_label(name, exact=True).check()
    menu.get_by_role("button", name="Show").click()
    heads = page.locator("#task-table th[data-col]")
    expect(heads).to_have_text(["State", "Task", "Queue", "Ran", "Priority", "Tags"])
    row = page.locator(f'#task-rows [data-key="{task}"]')
    expect(row.locator(".state")).to_contain_text("Running")
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "live")
    page.evaluate("window.sameAsBefore = true")
    gate.open()
    expect(row.locator(".state")).to_contain_text("Succeeded")
    expect(row.locator("td")).to_have_count(7)
    expect(row.get_by_role("cell", name="7", exact=True)).to_be_visible()
    assert visit.was_not_reloaded()
    # Chosen once, they are those of the list from then on.
    visit.open("/tasks/")
    expect(heads).to_have_text(["State", "Task", "Queue", "Ran", "Priority", "Tags"])
    page.locator("#column-menu > summary").click()
    page.get_by_role("link", name="As usual").click()
    expect(heads).to_have_count(8)


def test_a_head_sorts_and_what_comes_waits_behind_the_button(visit: Visit, api: Api) -> None:
    task = {"type": "sort.nobody", "queue": "sorted"}
    low, high, middle = api.submit(*({**task, "priority": priority} for priority in (1, 9, 5)))
    page = visit.open("/tasks/?q=type:sort.nobody&cols=queue,priority")
    expect(rows(page)).to_have_count(3)
    page.get_by_role("link", name="Priority").click()
    expect(page.get_by_role("columnheader", name="Priority")).to_have_attribute("aria-sort", "descending")
    assert keys(rows(page)) == [high, middle, low]
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "live")
    # Somebody points at the list: nothing in it may move.
    rows(page).last.hover()
    (second,) = api.submit(task | {"priority": 7})
    expect(page.locator("#new-pill button")).to_have_text("1 new")
    assert keys(rows(page)) == [high, middle, low]
    page.locator("#new-pill button").click()
    expect(rows(page).nth(1)).to_have_attribute("data-key", second)
    assert keys(rows(page)) == [high, second, middle, low]


def test_scrolling_goes_on_in_order_and_no_row_comes_twice_while_new_tasks_arrive(visit: Visit, api: Api) -> None:
    task = {"type": "scroll.nobody", "queue": "scrolled"}
    made = api.submit(*[task] * TASKS)
    page = visit.open("/tasks/?q=type:scroll.nobody")
    sheets = page.locator("#task-table tbody")
    expect(rows(page)).to_have_count(50)
    seen = keys(rows(page))
    for number in (2, 3):
        new = api.submit(task)
        page.locator("#pager").scroll_into_view_if_needed()
        expect(sheets).to_have_count(number)
        seen += keys(sheets.nth(number - 1).locator("tr[data-key]"))
        made += new
    assert seen == sorted(made[:TASKS], key=int, reverse=True)
    expect(page.locator("#older")).to_be_hidden()
    expect(page.locator("#new-pill button")).to_have_text("2 new")
    expect(page.locator("#task-table")).to_have_attribute("aria-rowcount", str(TASKS + 1))
    expect(sheets.nth(2).locator("tr").last).to_have_attribute("aria-rowindex", str(TASKS + 1))
    # What is far away is not in the document, and comes back where it was.
    page.keyboard.press("End")
    expect(sheets.first.locator("tr")).to_have_count(1)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.keyboard.press("Home")
    expect(sheets.first.locator("tr")).to_have_count(50)
    assert keys(sheets.first.locator("tr[data-key]")) == seen[:50]
    assert page.evaluate("document.documentElement.scrollHeight") == height
    # The button begins anew, at the top.
    page.locator("#new-pill button").click()
    expect(sheets).to_have_count(1)
    expect(rows(page).first).to_have_attribute("data-key", made[-1])
    assert keys(rows(page)) == sorted(made, key=int, reverse=True)[:50]
    assert visit.was_not_reloaded()


def test_without_scripts_a_link_leads_on(visit: Visit, api: Api) -> None:
    task = {"type": "link.nobody", "queue": "linked"}
    made = api.submit(*[task] * 60)
    context = visit.page.context.browser.new_context(  # type: ignore[union-attr]
        base_url=visit.installed.url, java_script_enabled=False, storage_state=visit.context.storage_state()
    )
    page = context.new_page()
    page.goto("/tasks/?q=type:link.nobody&sort=created")
    page.get_by_role("link", name="Next page").click()
    assert keys_in(page.content()) == made[50:]
    context.close()


def keys_in(html: str) -> list[str]:
    """The ids of rows in a page whose scripts are off."""
    return [part.partition('"')[0] for part in html.split('id="task-rows"')[1].split('data-key="')[1:]]

"""The server is away for ten seconds while tasks go on: afterwards every row shown is as the database has it."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation
from tests.launch.programs import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

AWAY_SECONDS = 10
NUM_TASKS = 40
ADDRESSES = ("/tasks/", "/queues/", "/nodes/")
#: Rows by key: those on the page, and those of the same page as the server renders it now. Ages are left out.
ROWS = """async () => {
  const told = (root) => Object.fromEntries([...root.querySelectorAll("[data-key]")].map((row) => {
    const copy = row.cloneNode(true);
    for (const one of copy.querySelectorAll("time, svg.spark, template, [hidden]")) one.remove();
    return [row.dataset.key, [row.dataset.state ?? "", copy.textContent.replace(/\\s+/g, " ").trim()]];
  }));
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  return [told(document.getElementById("main")), told(fresh.getElementById("main"))];
}"""


def test_after_ten_seconds_without_the_server_every_row_is_as_the_database_has_it(
    browser: Browser, fragile: Installation
) -> None:
    api, visit = Api(fragile), Visit(browser, fragile)
    visit.sign_in()
    seconds = [0.05 * (number % 5) for number in range(NUM_TASKS)]
    ids = api.submit(*({"type": "demo.sleep", "payload": {"seconds": each}} for each in seconds))
    tabs = [visit.new_page() for _ in ADDRESSES]
    for tab, address in zip(tabs, ADDRESSES, strict=True):
        tab.goto(address)
        tab.locator("#live-pill[data-live=live]").wait_for()
        tab.evaluate("window.sameAsBefore = true")
    ids += api.submit(*({"type": "demo.sleep", "payload": {"seconds": each}} for each in seconds))
    web = fragile.processes()["web"]
    os.kill(web, signal.SIGSTOP)
    tabs[0].wait_for_timeout(AWAY_SECONDS * 1000)
    for tab in tabs:
        expect(tab.locator("#stale-banner")).to_be_visible()
    # Another process takes its place, which knows nothing of what the tabs have been told.
    os.kill(web, signal.SIGKILL)
    assert eventually(lambda: fragile.processes().get("web", web) != web and is_ready(api), seconds=60)
    for task_id in ids:
        api.await_state(task_id, "succeeded")
    for tab, address in zip(tabs, ADDRESSES, strict=True):
        expect(tab.locator("#live-pill")).to_have_attribute("data-live", "live")
        assert eventually(lambda tab=tab: is_as_the_server_has_it(tab), seconds=30), (address, rows_of(tab))
        expect(tab.locator("#stale-banner")).to_be_hidden()
        assert tab.evaluate("window.sameAsBefore === true"), address
    states = {row["id"]: row["state"] for row in api.ask("/api/v1/tasks?limit=100")["tasks"]}
    shown, _ = rows_of(tabs[0])
    assert len(shown) >= NUM_TASKS
    assert {key: state for key, (state, _text) in shown.items()} == {key: states[key] for key in shown}
    visit.context.close()


def is_ready(api: Api) -> bool:
    """Whether the web tier answers."""
    try:
        return bool(api.ask("/api/v1/counts"))
    except OSError:
        return False


def rows_of(tab: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    shown, fresh = tab.evaluate(ROWS)
    return shown, fresh


def is_as_the_server_has_it(tab: Page) -> bool:
    shown, fresh = rows_of(tab)
    return bool(shown) and shown == fresh

"""The main things done without a pointer: by keys that the sheet lists, Tab, and Enter."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

#: More than any page needs from one end to the other.
MAX_TABS = 80
_HELD = """() => {
  const held = document.activeElement;
  const label = held.labels?.[0]?.textContent ?? held.getAttribute("aria-label") ?? held.textContent;
  // The focus is to be seen, and by itself: not below a bar, and not only a colour.
  const box = held.getBoundingClientRect();
  const on = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 10));
  const isSeen = held === on || held.contains(on) || on?.contains(held);
  const ring = getComputedStyle(held);
  const hasRing = ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) > 0;
  return { name: label.trim().replace(/\\s+/g, " "), isSeen, hasRing };
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is at what has this name; all that it passes has to be seen."""
    passed = []
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        held = page.evaluate(_HELD)
        passed.append(held["name"][:60])
        assert held["isSeen"], f"hidden while it has the focus: {held['name']}"
        assert held["hasRing"], f"shows no focus: {held['name']}"
        if re.fullmatch(name, held["name"]):
            return
    raise AssertionError(f"Tab does not lead to {name!r}: {passed}")


def press(page: Page, keys: str) -> None:
    """Press a shortcut that the page listens to, once its scripts are there."""
    page.wait_for_function(
        """async (keys) => {
          const { shortcuts } = await import(new URL("keys.js", document.querySelector('script[src$="shell.js"]').src));
          return shortcuts().some((one) => one.keys === keys);
        }""",
        arg=keys,
    )
    for key in keys.split():
        page.keyboard.press(key)


def test_submit_watch_retry_and_drain_without_a_pointer(visit: Visit) -> None:
    page = visit.open("/")
    press(page, "g s")
    page.wait_for_url("**/submit/")
    page.locator("#live-pill[data-live=live]").wait_for()
    # The field of the type has the focus from the start.
    page.keyboard.type("demo.flaky")
    tab_to(page, "probability")
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    tab_to(page, "Retries, limits, placement, tags")
    page.keyboard.press("Enter")
    tab_to(page, "Attempts at most")
    page.keyboard.type("1")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_contain_text("Submitted")
    tab_to(page, "Open")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/tasks/\d+/"))
    expect(page.locator("#task .page-head .state > span").first).to_have_text("Failed")
    press(page, "r")
    expect(page.locator(".toast")).to_contain_text("Submitted again as task")

    press(page, "g n")
    page.wait_for_url("**/nodes/")
    page.locator("#live-pill[data-live=live]").wait_for()
    tab_to(page, "local-2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes/local-2/")
    page.locator("#live-pill[data-live=live]").wait_for()
    tab_to(page, "Drain…")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    tab_to(page, "Drain( local-2)?")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.locator("#node .page-head .state").first).to_contain_text(re.compile("Drain"))
    # The focus comes back to where the dialog was opened, or near it: not to the top of the page.
    tab_to(page, "Resume.*")
    page.keyboard.press("Enter")
    expect(page.locator("#node .page-head .state").first).to_contain_text("Online")

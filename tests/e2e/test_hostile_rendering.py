"""What people and nodes supply, in Chromium: shown to the letter, run by nobody, no wider than a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.hostile_site import HostileSite, hostile_site
from tests.e2e.watched import Watched, said_on, sticks_out
from tests.security import hostile, pages

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PHONE: ViewportSize = {"width": 390, "height": 844}
#: The narrowest for which pages have to fit, and so the one at which all of them are looked at.
SMALL_PHONE: ViewportSize = {"width": 320, "height": 640}
NUM_TABS = 4
BUSY = 503
#: What the browser says of a page that is answered with an error, as some are here.
REFUSED = re.compile(r"^Failed to load resource: .* status of (40[0345]|503) ")


@pytest.fixture(scope="module")
def site(django_db_blocker: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileSite]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with django_db_blocker.unblock(), hostile_site(folder) as made:
        yield made


@pytest.fixture
def phone(browser: Browser, site: HostileSite) -> Iterator[Watched]:
    visitor = Watched(browser, site.installed, viewport=PHONE)
    visitor.sign_in_as(site.session())
    yield visitor
    visitor.context.close()
    assert [one for one in visitor.complaints if not REFUSED.search(one)] == []


def opened(visitor: Watched, addresses: list[str]) -> Iterator[tuple[str, Page]]:
    """Every page, a few at once."""
    tabs = [visitor.page, *(visitor.new_page() for _ in range(NUM_TABS - 1))]
    for tab in tabs[::2]:
        tab.emulate_media(color_scheme="dark")
    for tab in tabs:
        tab.set_viewport_size(SMALL_PHONE)
    for start in range(0, len(addresses), NUM_TABS):
        some = list(zip(addresses[start : start + NUM_TABS], tabs, strict=False))
        for address, tab in some:
            answer = tab.goto(address, wait_until="commit")
            # A busy machine: the page itself would say that it tries again.
            while answer is not None and answer.status == BUSY:
                answer = tab.reload(wait_until="commit")
        for address, tab in some:
            tab.wait_for_load_state("load")
            yield address, tab


def test_a19_nothing_that_others_supply_runs_on_any_page(phone: Watched, site: HostileSite) -> None:
    addresses = pages.for_browsers(site.world)
    assert len(addresses) > 40
    for address, page in opened(phone, addresses):
        found = [one for one in phone.found_on(page) if not REFUSED.search(one)]
        assert found == [], address
        assert sticks_out(page) <= 0, address
        assert hostile.TRACE in said_on(page) or page.locator(".error-page").count(), address


def live_tabs(visitor: Watched, world: dict[str, str]) -> dict[str, Page]:
    """Every page that follows by itself, open and live."""
    node = quote(world["node_name"], safe="")
    addresses = ["/", "/tasks/", "/queues/", "/nodes/", f"/nodes/{node}/", f"/tasks/{world['running']}/",
                 f"/tasks/{world['queued']}/"]  # fmt: skip
    tabs = {address: visitor.new_page() for address in addresses}
    for address, tab in tabs.items():
        tab.goto(address, wait_until="commit")
    for tab in tabs.values():
        tab.locator("#live-pill[data-live=live]").wait_for()
        tab.evaluate("window.sameAsBefore = true")
    return tabs


def test_a19_nor_what_arrives_while_a_page_is_open(phone: Watched, site: HostileSite) -> None:
    tabs = live_tabs(phone, site.world)
    mark = site.do(hostile.make_wave, site.world, 1)
    end = "the end "
    follows = {address: tab for address, tab in tabs.items() if address != "/tasks/"}
    for tab in follows.values():
        expect(tab.locator("body")).to_contain_text(mark)
    site.do(hostile.end_running, site.world, end)
    ending = tabs[f"/tasks/{site.world['running']}/"]
    for tab in (tabs["/tasks/"], ending):
        expect(tab.locator("body")).to_contain_text(end)
    for address, tab in tabs.items():
        tab.locator("#theme-button").click()
        assert phone.found_on(tab) == [], address
        said = said_on(tab)
        assert [text for text in (hostile.NAME, hostile.SHORT) if text not in said] == [], address
        assert sticks_out(tab) <= 0, address
        tab.set_viewport_size({"width": 1280, "height": 800})
        assert sticks_out(tab) <= 0, address
        assert tab.evaluate("window.sameAsBefore") is True, address
    assert hostile.LONG in ending.locator("#error-message").inner_text()
    assert end + hostile.LONG in said_on(ending)


def test_a19_dialogs_messages_and_answers_to_forms_repeat_it_as_text(phone: Watched, site: HostileSite) -> None:
    page = phone.open("/queues/")
    # Whatever answered, such as something between here and there: its words are only words.
    page.route("**/api/v1/**", lambda route: route.fulfill(status=400, json={"detail": hostile.LONG}))
    page.get_by_role("button", name="Resume").first.click()
    expect(page.locator(".toast")).to_contain_text(hostile.LONG)
    page = phone.open("/nodes/?view=list")
    # The node may be draining already, in which case its button is hidden, and hidden again by every heartbeat.
    page.locator("tr", has_text=hostile.NAME).first.locator("[data-act=drain]").dispatch_event("click")
    expect(page.locator("#drain-title")).to_contain_text(hostile.NAME)
    page.locator("#drain-ok").click()
    expect(page.locator("#drain-error")).to_have_text(hostile.LONG)
    page.unroute("**/api/v1/**")
    page.route("**/api/v1/**", lambda route: route.fulfill(status=200, json={}))
    page.locator("#drain-ok").click()
    expect(page.locator(".toast")).to_contain_text(hostile.NAME)
    page.unroute("**/api/v1/**")
    assert [one for one in phone.found_on(page) if not REFUSED.search(one)] == []
    assert sticks_out(page) <= 0
    page = phone.open("/submit/")
    page.get_by_role("tab", name="JSON").click()
    page.locator("#s-json").fill(json.dumps([{"type": hostile.NAME, hostile.LONG: 1, "labels": {hostile.LONG: "x"}}]))
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.locator("#submit-errors")).to_contain_text(hostile.LONG)
    assert [one for one in phone.found_on(page) if not REFUSED.search(one)] == []
    assert sticks_out(page) <= 0
    page.locator("#jump").fill(hostile.LONG)
    page.locator("#jump").press("Enter")
    page.wait_for_url("**/tasks/?type=*")
    expect(page.locator("#q")).to_have_value(re.compile("type:"))
    assert phone.found_on(page) == []


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_a19_a_form_for_strangers_repeats_it_as_text(browser: Browser, site: HostileSite, path: str) -> None:
    stranger = Watched(browser, site.installed, viewport=PHONE)
    page = stranger.page
    page.goto(f"{path}?{urlencode({'next': '/?' + hostile.LONG})}")
    page.locator("[name=username]").fill(hostile.LONG[:150])
    page.locator("[name=password]").fill(hostile.LONG)
    page.locator("[type=submit]").last.click()
    expect(page.locator("[role=alert], .errornote").first).to_be_visible()
    expect(page.locator("[name=username]")).to_have_value(hostile.LONG[:150])
    expect(page.locator("main [name=next], #content [name=next]")).to_have_value("/?" + hostile.LONG)
    assert stranger.found_on(page) == []
    assert sticks_out(page) <= 0
    stranger.context.close()


def test_a41_text_that_turns_the_direction_round_leaves_its_neighbours_alone(phone: Watched, site: HostileSite) -> None:
    page = phone.open(f"/tasks/{site.world['failed']}/")
    page.set_viewport_size({"width": 1280, "height": 800})
    lefts = page.evaluate(
        """() => {
          const [first, second] = document.querySelectorAll(".attempt-error :is(b, span)");
          first.textContent = "\u202eturned";
          second.textContent = "straight";
          return [first, second].map((part) => part.getBoundingClientRect().left);
        }"""
    )
    assert lefts == sorted(lefts)

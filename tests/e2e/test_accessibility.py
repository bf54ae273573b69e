"""Every page and every dialog by the rules of WCAG 2.2 AA, in both themes and every language there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page

from tests.e2e.axe import violations
from tests.e2e.hostile_site import HostileSite, hostile_site
from tests.e2e.watched import Watched
from tests.security import pages

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

#: The only rule that looks at colours: a theme changes nothing else.
COLOURS = ["color-contrast"]


@pytest.fixture(scope="module")
def site(django_db_blocker: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileSite]:
    folder: Path = tmp_path_factory.mktemp("accessible")
    with django_db_blocker.unblock(), hostile_site(folder) as made:
        yield made


# Django lists a hundred languages where a project names none.
LANGUAGES = [code for code, _ in settings.LANGUAGES] if settings.is_overridden("LANGUAGES") else ["en"]


@pytest.fixture(params=LANGUAGES)
def reader(browser: Browser, site: HostileSite, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Somebody who may do everything, in one language."""
    visitor = Watched(browser, site.installed, reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    visitor.sign_in_as(site.session())
    cookie = {"name": settings.LANGUAGE_COOKIE_NAME, "value": request.param, "url": site.installed.url}
    visitor.context.add_cookies([cookie])
    yield visitor
    visitor.context.close()


def wear(page: Page, theme: Literal["light", "dark"]) -> None:
    """Show the page in a theme, with no colour on its way to another one any more."""
    page.emulate_media(color_scheme=theme)
    page.evaluate(
        """async () => {
          await new Promise(requestAnimationFrame);
          for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
        }"""
    )


def in_both_themes(page: Page, where: str | None = None) -> list[str]:
    """What is wrong in the light, and with the colours in the dark."""
    wear(page, "light")
    found = violations(page, where=where)
    wear(page, "dark")
    return found + [f"dark: {one}" for one in violations(page, where=where, rules=COLOURS)]


def openers(page: Page) -> list[str]:
    """Selectors of the buttons that open dialogs, each kind once."""
    found: list[str] = page.evaluate(
        """() => [...new Set([...document.querySelectorAll("button")]
          .filter((one) => one.matches("[aria-haspopup=dialog], [data-act=drain], [data-act=pause]"))
          .filter((one) => !one.matches(":disabled, [aria-disabled=true], #bulk-job [data-act=pause]"))
          .map((one) => (one.dataset.act ? `button[data-act=${one.dataset.act}]` : `#${one.id}`)))]"""
    )
    return found


def test_every_page_and_dialog_keeps_the_rules(reader: Watched, site: HostileSite) -> None:
    # Django's own pages, downloads, and what an address brings, are not looked at here.
    found_by = [address.partition("?")[0] for address in pages.for_browsers(site.world)]
    addresses = [one for one in dict.fromkeys(found_by) if not one.startswith("/admin/") and "export" not in one]
    assert len(addresses) > 8
    found: dict[str, list[str]] = {}
    num_dialogs = 0
    for keys in ("?", "Control+k"):
        reader.open("/").keyboard.press(keys)
        found[keys] = in_both_themes(reader.page, "dialog[open]")
    for address in addresses:
        reader.page.goto(address)
        found[address] = in_both_themes(reader.page)
        for name in openers(reader.page):
            # Some are hidden while what they do has been done already.
            reader.page.locator(name).first.dispatch_event("click")
            reader.page.locator("dialog[open]").wait_for()
            found[f"{address} {name}"] = in_both_themes(reader.page, "dialog[open]")
            reader.page.keyboard.press("Escape")
            num_dialogs += 1
    assert num_dialogs >= 2
    assert "\n".join(f"{place}: {one}" for place, wrong in found.items() for one in wrong) == ""


def show_suggestions(page: Page) -> None:
    page.locator("#q").press_sequentially("sta")
    page.locator("#suggestions [role=option]").first.wait_for()


def search_in_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("queues")
    page.locator("#palette-list [role=option]").first.wait_for()


def make_token(page: Page) -> None:
    page.locator("#make-token").click()
    page.locator("#join-waiting").wait_for()


def unfold(selector: str) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).first.click()


#: Address → what is done there, one after the other, and what that shows beside dialogs.
OPENED = {
    "/": [
        (unfold("#user-menu summary"), "#user-menu"),
        (unfold("#range-menu summary"), "#range-menu"),
        (unfold(".zone-menu summary"), ".zone-menu"),
        (unfold(".chart-toggle"), ".chart"),
        (search_in_palette, "#palette"),
    ],
    "/tasks/": [
        (unfold(".query-help summary"), ".query-help"),
        (unfold("#column-menu > summary"), "#column-menu"),
        (unfold("#view-menu > summary"), "#view-menu"),
        (show_suggestions, "#query"),
    ],
    "/nodes/": [(make_token, "#join")],
}


def test_what_opens_on_a_page_keeps_the_rules(reader: Watched) -> None:
    found: list[str] = []
    for address, acts in OPENED.items():
        page = reader.open(address)
        for act, where in acts:
            act(page)
            found += [f"{address} {where}: {one}" for one in in_both_themes(page, where)]
    assert "\n".join(found) == ""


def test_the_admin_keeps_the_rules(browser: Browser, site: HostileSite) -> None:
    visitor = Watched(browser, site.installed, reduced_motion="reduce")
    visitor.sign_in_as(site.session())
    found: list[str] = []
    for address in ("/admin/", "/admin/dispatcher/node/", "/admin/dispatcher/credential/"):
        visitor.page.goto(address)
        found += [f"{address}: {one}" for one in in_both_themes(visitor.page)]
    assert "\n".join(found) == ""
    visitor.context.close()


def test_the_login_keeps_the_rules(browser: Browser, site: HostileSite) -> None:
    stranger = Watched(browser, site.installed, reduced_motion="reduce")
    stranger.page.goto("/login/")
    assert in_both_themes(stranger.page) == []
    stranger.context.close()


def test_what_is_wrong_is_found(reader: Watched) -> None:
    reader.page.goto("/queues/")
    reader.page.evaluate("document.querySelector('#jump').labels[0].remove()")
    reader.page.evaluate("document.querySelector('#jump').removeAttribute('placeholder')")
    assert [one for one in violations(reader.page) if one.startswith("label")]

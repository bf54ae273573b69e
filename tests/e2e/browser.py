"""A person at a browser: Debian's Chromium, signed in, with an eye on everything the page complains about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.launch.installation import Installation

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update")
#: How long a page may take to show a change; generous, as the tests of other processes run beside it.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; nothing is downloaded."""
    path = shutil.which("chromium")
    assert path, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), timeout=4 * PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visitor: a browser context and what went wrong in it."""

    #: All visitors of the test that runs now; conftest.py looks at what each of them came across.
    of_this_test: ClassVar[list[Visit]] = []

    def __init__(self, browser: Browser, installed: Installation, **options: Any) -> None:
        self.installed = installed
        self.context: BrowserContext = browser.new_context(base_url=installed.url, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        #: What no page may do, whatever a test lets pass: leave the origin, or run into the security policy.
        self.breaches: list[str] = []
        self.context.on("console", lambda said: self._note_refusal(said.text))
        self.context.on("request", lambda request: self._note_origin(request.url))
        self.of_this_test.append(self)
        self.page = self.new_page()

    def new_page(self) -> Page:
        """A tab that is listened to."""
        page = self.context.new_page()
        page.on("console", lambda said: said.type in {"error", "warning"} and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", lambda socket: self._note_origin(socket.url))
        return page

    def sign_in(self, user: str = "admin", password: str | None = None) -> None:
        """Sign in by the form."""
        self.page.goto("/login/")
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password").fill(password or self.installed.password())
        self.page.get_by_role("button", name="Sign in").click()
        # The address of the login also ends with a slash: the next page asked for would cut the login short.
        self.page.wait_for_url(f"{self.installed.url}/")

    def open(self, path: str) -> Page:
        """Open a page and wait until it is live; mark it, so that a reload would be noticed."""
        self.page.goto(path)
        self.page.locator("#live-pill[data-live=live]").wait_for()
        self.page.evaluate("window.sameAsBefore = true")
        return self.page

    def was_not_reloaded(self) -> bool:
        """Whether the page is still the one that was opened."""
        return bool(self.page.evaluate("window.sameAsBefore === true"))

    def _note_origin(self, url: str) -> None:
        own = (self.installed.url, self.installed.url.replace("http:", "ws:"), "data:", "blob:")
        if not url.startswith(own):
            self.breaches.append(f"asked for {url}")

    def _note_refusal(self, text: str) -> None:
        if "content security policy" in text.lower():
            self.breaches.append(text)

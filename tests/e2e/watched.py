"""A visitor whose browser notes whatever runs, loads or is refused on a page that should only show text."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Dialog, Page

from tests.e2e.browser import Visit

#: Runs before any script of a page, in every frame.
_LISTEN = """
  window.refused = [];
  addEventListener("securitypolicyviolation", (event) =>
    window.refused.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile} ${event.sample}`));
"""
#: What became of text that somebody supplied: elements, attributes and addresses that none of our pages has.
_FOUND = """() => {
  const found = window.refused.map((one) => `refused ${one}`);
  if ("pwned" in window) found.push("something ran");
  const own = (address) => address.startsWith(`${location.origin}/`)
    || (/^([/#?.]|icons[.]svg|$)/.test(address.trim()) && !address.startsWith("//"));
  for (const element of document.querySelectorAll("*")) {
    const bad = element.matches("iframe, object, embed, base, style, script:not([src], [type='application/json'])")
      || [...element.attributes].some(({ name, value }) => /^on/.test(name) || name === "srcdoc"
        || (/^(href|src|action|formaction|xlink:href)$/.test(name) && !own(value)));
    if (bad) found.push(element.outerHTML.slice(0, 200));
  }
  return found;
}"""
_SAID = """() => [document.title, document.body.textContent,
  ...[...document.querySelectorAll("input, textarea, option")].map((field) => field.value),
  ...[...document.querySelectorAll("[title], [aria-label]")].map((one) => one.title + one.ariaLabel)].join("\\n")"""
_WIDEST = "document.documentElement.scrollWidth - window.innerWidth"


class Watched(Visit):
    """Somebody at a browser; dialogs, refusals of the security policy and errors of scripts are complaints."""

    def new_page(self) -> Page:
        """A tab that is listened to, also for what opens by itself."""
        if not self.context.pages:
            self.context.add_init_script(_LISTEN)
        page = super().new_page()
        page.on("dialog", self._note_dialog)
        return page

    def sign_in_as(self, session: str) -> None:
        """Take over a session instead of filling in the form."""
        self.context.add_cookies([{"name": "taskdist_session", "value": session, "url": self.installed.url}])

    def found_on(self, page: Page) -> list[str]:
        """All that should not be on a page, or should not have happened; forgets the complaints."""
        said, self.complaints[:] = list(self.complaints), []
        found: list[str] = page.evaluate(_FOUND)
        return said + found

    def _note_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


def said_on(page: Page) -> str:
    """All text of a page, that of hidden parts, fields and hints included."""
    said: Any = page.evaluate(_SAID)
    return str(said)


def sticks_out(page: Page) -> int:
    """How far a page is wider than the window, in px; not above 0 if it is not."""
    # A form's answer may be read before its style sheets have come.
    page.wait_for_load_state("load")
    return int(page.evaluate(_WIDEST))

"""What axe-core, brought along in tests/vendor, finds wrong with a page for those who do not see it or use no mouse."""

from __future__ import annotations

from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.architecture.sources import ROOT

_FILE = ROOT / "tests" / "vendor" / "axe-core-4.14.1" / "axe.min.js"
#: WCAG 2.2 AA and what it stands on, and good practice.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async ([where, run]) => {
  const options = { runOnly: run, resultTypes: ["violations"], preload: false, iframes: false };
  const { violations } = await axe.run(where ?? document, options);
  return violations.map(({ id, help, nodes }) => [id, help, ...nodes.slice(0, 4).map(({ html, any, all, none }) =>
    `${html.slice(0, 200)} — ${[...any, ...all, ...none].map(({ message }) => message).join("; ")}`)].join("\\n  "));
}"""


@cache
def _source() -> str:
    return _FILE.read_text()


def violations(page: Page, *, where: str | None = None, rules: list[str] | None = None) -> list[str]:
    """What is wrong with the page, or with the part of it that the selector names; by all rules, or by some."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    run = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": _TAGS}
    found: Any = page.evaluate(_RUN, [where, run])
    return [str(one) for one in found]

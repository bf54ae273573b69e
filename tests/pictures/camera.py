"""One browser that goes through the pages, and what was wrong with them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize

from tests.e2e.watched import Watched
from tests.launch.installation import Installation
from tests.pictures.scene import Scene
from tests.pictures.shots import NOT_FOUND, Shot

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
#: px; a page that is longer is cut there.
TALLEST = 2600
#: As wide as this or narrower is a phone.
PHONE = 640
ZONE = "Europe/Berlin"
_HEIGHT = "Math.max(document.documentElement.scrollHeight, innerHeight)"
_SETTLE = """async () => {
  await document.fonts.ready;
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}"""


@dataclass
class Camera:
    """Takes pictures of an installation into a folder. ``wrong`` has what no page may do."""

    browser: Browser
    installed: Installation
    folder: Path
    themes: Sequence[Theme] = THEMES
    wrong: list[str] = field(default_factory=list)

    def take(self, shots: Iterable[Shot], scene: Scene, width: int) -> None:
        """Every shot at one width."""
        is_phone = width <= PHONE
        options = {"viewport": _window(width), "timezone_id": ZONE, "locale": "en-GB", "reduced_motion": "reduce"}
        options |= {"is_mobile": is_phone, "has_touch": is_phone}
        stranger = Watched(self.browser, self.installed, **options)
        visitor = Watched(self.browser, self.installed, **options)
        visitor.sign_in()
        for shot in shots:
            try:
                self._take(visitor if shot.is_signed_in else stranger, shot, scene, width)
            except Exception as error:  # noqa: BLE001 (the other pictures are wanted all the same)
                self.wrong.append(f"{shot.name} at {width} px: {str(error).splitlines()[0]}")
        for one in (visitor, stranger):
            one.context.close()

    def _take(self, visitor: Watched, shot: Shot, scene: Scene, width: int) -> None:
        page = visitor.page
        visitor.context.clear_cookies(name="taskdist_language")
        if shot.language:
            url = self.installed.url
            visitor.context.add_cookies([{"name": "taskdist_language", "value": shot.language, "url": url}])
        page.emulate_media(color_scheme="light")
        answer = page.goto(shot.address(scene))
        status = answer.status if answer else 0
        if status != shot.status:
            self.wrong.append(f"{shot.name}: answered {status}")
        if shot.is_live:
            page.locator("#live-pill[data-live=live]").wait_for()
        if shot.act:
            shot.act(page)
        for theme in self.themes:
            self._expose(page, shot, self.folder / f"{shot.name}-{width}-{theme}.png", theme)
        # A phone makes its window as wide as the page, so the page is compared with what the window should be.
        if (over := int(page.evaluate("document.documentElement.scrollWidth")) - width) > 0:
            self.wrong.append(f"{shot.name}: scrolls sideways by {over} px at {width} px")
        page.set_viewport_size(_window(width))
        found = visitor.found_on(page) + visitor.breaches
        visitor.breaches.clear()
        self.wrong += [f"{shot.name} at {width} px: {one}" for one in found if not _is_expected(one, shot)]

    def _expose(self, page: Page, shot: Shot, file: Path, theme: Theme) -> None:
        page.emulate_media(color_scheme=theme)
        page.evaluate(_SETTLE)
        if not shot.is_window:
            size = page.viewport_size or {"width": 0, "height": 0}
            # A taller window rather than the whole page: what sticks to its edges is where people see it.
            page.set_viewport_size({"width": size["width"], "height": min(int(page.evaluate(_HEIGHT)), TALLEST)})
            page.evaluate(_SETTLE)
        page.screenshot(path=file)


def _window(width: int) -> ViewportSize:
    return {"width": width, "height": 844 if width <= PHONE else 900}


def _is_expected(found: str, shot: Shot) -> bool:
    """What the browser says of a page that is not there."""
    return shot.status == NOT_FOUND and f"status of {NOT_FOUND} " in found


def write_gallery(folder: Path, names: Sequence[str], widths: Sequence[int]) -> Path:
    """A page that shows all pictures of the folder, side by side."""
    parts = ["<!doctype html><meta charset=utf-8><title>Pictures</title><style>",
             "body{font:14px system-ui;margin:2rem;background:#888}div{display:flex;gap:1rem;align-items:start;",
             "overflow-x:auto;margin-bottom:3rem}img{max-height:70vh;box-shadow:0 2px 12px #0006}</style>"]  # fmt: skip
    for name in names:
        files = [f"{name}-{width}-{theme}.png" for width in widths for theme in THEMES]
        there = [html.escape(file) for file in files if (folder / file).exists()]
        parts.append(f"<h2>{html.escape(name)}</h2><div>")
        parts += [f'<a href="{file}"><img loading=lazy src="{file}" alt="{file}"></a>' for file in there]
        parts.append("</div>")
    index = folder / "index.html"
    index.write_text("\n".join(parts))
    return index

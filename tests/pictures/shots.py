"""What is photographed: every page of the dashboard, and what opens on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from playwright.sync_api import Page

from tests.pictures.scene import DEAD, DRAINING, Scene

NOT_FOUND = 404
#: Rows that are selected for the pictures of the list's own actions.
SELECTED = 3


@dataclass(frozen=True)
class Shot:
    """One picture in each theme and width. ``act`` does on the open page what has to be seen."""

    name: str
    address: Callable[[Scene], str]
    act: Callable[[Page], None] | None = None
    #: Only what a window shows, as for dialogs; else the page down to a bound.
    is_window: bool = False
    is_live: bool = True
    is_signed_in: bool = True
    status: int = 200
    language: str = ""


def at(address: str) -> Callable[[Scene], str]:
    """An address that is the same in every scene."""
    return lambda _scene: address


def asked(query: str) -> Callable[[Scene], str]:
    """The list of tasks that match."""
    return at(f"/tasks/?q={quote(query)}")


def select_some(page: Page) -> None:
    """Select the first rows of the list."""
    for box in page.locator("#task-rows .check").all()[:SELECTED]:
        box.check()
    page.locator("#bulk-bar").wait_for()


def open_bulk_dialog(page: Page) -> None:
    """All that match, to be retried."""
    page.locator("#select-all").check()
    page.locator("#bulk-matching button").click()
    page.locator("#bulk-retry").click()
    page.locator("#bulk-ok:enabled").wait_for()


def press(selector: str, until: str = "dialog[open]") -> Callable[[Page], None]:
    """Press a button, and wait for what that opens."""

    def act(page: Page) -> None:
        page.locator(selector).first.click()
        page.locator(until).first.wait_for()

    return act


def type_key(keys: str) -> Callable[[Page], None]:
    """A shortcut that opens a dialog."""

    def act(page: Page) -> None:
        page.keyboard.press(keys)
        page.locator("dialog[open]").wait_for()

    return act


def type_in_palette(page: Page) -> None:
    """The palette with what it found."""
    page.keyboard.press("Control+k")
    page.locator("#palette-field").fill("no")
    page.locator("#palette-list [role=option]", has_text="nova-gpu").first.wait_for()


def suggest(page: Page) -> None:
    """The search with its suggestions open."""
    page.locator("#q").press_sequentially("state:failed ty")
    page.locator("#suggestions [role=option]").first.wait_for()


def open_drain_dialog(page: Page) -> None:
    """What draining a node would touch."""
    page.locator("[data-act=drain]:visible").first.click()
    page.locator("#drain-tasks li").first.wait_for()


def make_join_token(page: Page) -> None:
    """The instructions with a token in them, as seen when one is made."""
    page.locator("#make-token").click()
    page.locator("#join-waiting").wait_for()
    page.locator("#join").scroll_into_view_if_needed()


def make_api_token(page: Page) -> None:
    """A token of one's own, as it is shown this once."""
    page.get_by_label("What it is for").fill("nightly import")
    page.locator("[name=scopes]").first.check()
    page.locator("form.panel [type=submit]").click()
    page.locator("#new-token").wait_for()
    page.locator("#live-pill[data-live=live]").wait_for()


SHOTS = [
    Shot("login", at("/login/"), is_live=False, is_signed_in=False),
    Shot("overview", at("/")),
    Shot("overview-chinese", at("/"), language="zh-hans"),
    Shot("tasks", at("/tasks/")),
    Shot("tasks-query", asked("state:failed created:<1h")),
    Shot("tasks-selected", asked("queue:mail"), select_some, is_window=True),
    Shot("tasks-suggestions", at("/tasks/"), suggest, is_window=True),
    Shot("tasks-error", asked("state:faild queue:mail")),
    Shot("tasks-none", asked("type:nothing.like.this")),
    Shot("task-running", lambda scene: f"/tasks/{scene.running}/?tab=logs"),
    Shot("task-failed", lambda scene: f"/tasks/{scene.failed}/"),
    Shot("task-succeeded", lambda scene: f"/tasks/{scene.succeeded}/?tab=result"),
    Shot("task-value", lambda scene: f"/tasks/{scene.succeeded}/result/?at=4"),
    Shot("task-waiting", lambda scene: f"/tasks/{scene.waiting}/"),
    Shot("types", at("/types/")),
    Shot("type", at("/types/media.thumbnail/")),
    Shot("queues", at("/queues/")),
    Shot("queue", at("/queues/media/")),
    Shot("queue-paused", at("/queues/nightly/")),
    Shot("nodes", at("/nodes/")),
    Shot("nodes-list", at("/nodes/?view=list")),
    Shot("nodes-lines", at("/nodes/?shape=lines")),
    Shot("nodes-squares", at("/nodes/?shape=squares")),
    Shot("nodes-join", at("/nodes/"), make_join_token),
    Shot("node", at("/nodes/atlas-1/")),
    Shot("node-draining", at(f"/nodes/{DRAINING}/")),
    Shot("node-offline", at(f"/nodes/{DEAD}/")),
    Shot("bulk", at("/bulk/")),
    Shot("bulk-running", lambda scene: f"/bulk/{scene.bulk_running}/"),
    Shot("bulk-done", lambda scene: f"/bulk/{scene.bulk_done}/"),
    Shot("activity", at("/activity/")),
    Shot("settings", at("/settings/")),
    Shot("tokens", at("/tokens/"), make_api_token),
    Shot("submit", at("/submit/")),
    Shot("submit-by-schema", at("/submit/?type=media.transcode")),
    Shot("submit-clone", lambda scene: f"/submit/?from={scene.failed}"),
    Shot("submit-many", at("/submit/"), press("#tab-many", "#mode-many:visible")),
    Shot("missing", at("/tasks/999999999999/"), status=NOT_FOUND, is_live=False),
    Shot("no-such-page", at("/no-such-page/"), status=NOT_FOUND, is_live=False),
    Shot("palette", at("/"), type_in_palette, is_window=True),
    Shot("keys", at("/tasks/"), type_key("?"), is_window=True),
    Shot("account-menu", at("/"), press("#user-menu summary", "#user-menu .menu-panel"), is_window=True),
    Shot("range-menu", at("/"), press("#range-menu summary", "#range-menu .menu-panel"), is_window=True),
    Shot("dialog-drain", at("/nodes/atlas-1/"), open_drain_dialog, is_window=True),
    Shot("dialog-pause", at("/queues/media/"), press("[data-act=pause]:visible"), is_window=True),
    Shot("dialog-purge", at("/queues/nightly/"), press("#purge"), is_window=True),
    Shot("dialog-bulk", asked("state:failed"), open_bulk_dialog, is_window=True),
    Shot("admin", at("/admin/"), is_live=False),
    Shot("admin-nodes", at("/admin/dispatcher/node/"), is_live=False),
]
#: Before there are nodes and tasks.
FIRST_RUN = Shot("first-run", at("/"))

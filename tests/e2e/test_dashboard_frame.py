"""What holds on every page: keys, widths, themes, a lost connection, a reader without rights or without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PAGES = ["/", "/tasks/", "/queues/", "/nodes/", "/nodes/local-1/", "/submit/"]
SOCKET = "**/ws/v1/live"


@pytest.fixture(scope="module")
def task_id(api: Api) -> str:
    [task_id] = api.submit({"type": "demo.echo", "payload": {"text": "x" * 500}})
    api.await_state(task_id, "succeeded")
    return task_id


def widest(page: Page) -> int:
    """How far the page sticks out beyond the window, in px; not above 0 if it does not."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_small_phone(
    browser: Browser, installed: Installation, task_id: str, scheme: str
) -> None:
    phone = Visit(browser, installed, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    phone.sign_in()
    for path in [*PAGES, f"/tasks/{task_id}/"]:
        assert widest(phone.open(path)) <= 0, path
    phone.context.close()
    assert phone.complaints == []


def test_keys_lead_from_page_to_page_and_keep_out_of_fields(visit: Visit) -> None:
    page = visit.open("/")
    for key, path in {"t": "/tasks/", "q": "/queues/", "n": "/nodes/", "s": "/submit/", "o": "/"}.items():
        page.locator("#main").focus()
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"{visit.installed.url}{path}")
    page.locator("#live-pill[data-live=live]").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("gt?")
    expect(page.get_by_role("searchbox")).to_have_value("gt?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("searchbox").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_rows_are_walked_selected_and_opened_by_keys(visit: Visit, task_id: str) -> None:
    page = visit.open("/tasks/?type=demo.echo")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Selected tasks")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Selected tasks")).to_be_hidden()
    first = page.locator("#task-rows tr").first.get_attribute("data-key")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tasks/{first}/")


def test_the_theme_is_kept(visit: Visit) -> None:
    page = visit.open("/queues/")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_pause_stops_all_traffic_and_shows_the_present_afterwards(visit: Visit, api: Api) -> None:
    sockets: list[WebSocket] = []
    asked: list[str] = []
    visit.page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright takes no methods of lists
    [task_id] = api.submit({"type": "demo.noop", "delay_seconds": 600})
    page = visit.open(f"/tasks/{task_id}/")
    state = page.locator("#task .page-head .state > span").first
    page.keyboard.press("p")
    expect(page.locator("#live-pill")).to_have_text("Paused")
    page.on("request", lambda request: asked.append(request.url))
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    with pytest.raises(AssertionError):
        expect(state).to_have_text("Cancelled", timeout=1_500)
    assert asked == []
    assert sockets[-1].is_closed()
    page.keyboard.press("p")
    expect(state).to_have_text("Cancelled")


def test_after_a_lost_connection_the_page_catches_up(visit: Visit, api: Api) -> None:
    sockets: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    visit.page.route_web_socket(SOCKET, through)
    [task_id] = api.submit({"type": "demo.noop", "delay_seconds": 600})
    page = visit.open(f"/tasks/{task_id}/")
    sockets[0].close(code=1012, reason="restart")
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    expect(page.locator("#task .page-head .state > span").first).to_have_text("Cancelled")
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "live")
    assert len(sockets) == 2
    assert visit.was_not_reloaded()


def test_without_a_websocket_the_page_asks_instead(visit: Visit, api: Api) -> None:
    visit.page.route_web_socket(SOCKET, lambda route: route.close(code=1012, reason="no"))
    [task_id] = api.submit({"type": "demo.noop", "delay_seconds": 600})
    page = visit.page
    page.goto(f"/tasks/{task_id}/")
    expect(page.locator("#live-pill")).to_have_attribute("data-live", "polling")
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    expect(page.locator("#task .page-head .state > span").first).to_have_text("Cancelled")


def test_an_ended_session_leads_to_the_login(visit: Visit) -> None:
    sockets: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    visit.page.route_web_socket(SOCKET, through)
    visit.open("/queues/")
    visit.context.clear_cookies(name="taskdist_session")
    sockets[0].close(code=4401, reason="signed out")
    visit.page.wait_for_url("**/login/?next=%2Fqueues%2F")
    # Asked once for each connection that was refused before the login was there.
    assert visit.complaints
    assert all("401 (Unauthorized)" in complaint for complaint in visit.complaints)
    visit.complaints.clear()


def test_a_viewer_looks_and_is_offered_nothing_else(browser: Browser, installed: Installation, task_id: str) -> None:
    script = "from django.contrib.auth.models import User; User.objects.create_user('vera', password='only looks')"
    installed.manage("shell", "-c", script)
    viewer = Visit(browser, installed)
    viewer.sign_in("vera", "only looks")
    page = viewer.open("/queues/")
    expect(page.locator("[data-act]")).to_have_count(0)
    page = viewer.open(f"/tasks/{task_id}/")
    retry = page.get_by_role("button", name="Retry")
    expect(retry).to_have_attribute("aria-disabled", "true")
    retry.click(force=True)
    page.keyboard.press("r")
    expect(page.locator(".toast")).to_have_text("It takes the operator role.")
    viewer.context.close()
    assert viewer.complaints == []


def test_pages_can_be_read_without_scripts(browser: Browser, installed: Installation, task_id: str) -> None:
    reader = Visit(browser, installed, java_script_enabled=False)
    reader.sign_in()
    for path in PAGES:
        reader.page.goto(path)
        expect(reader.page.get_by_role("heading", level=1)).to_be_visible()
    reader.page.goto(f"/tasks/{task_id}/")
    for name in ("payload", "result", "logs", "related"):
        expect(reader.page.locator(f"#{name}")).to_be_visible()
    expect(reader.page.get_by_text("demo.echo").first).to_be_visible()
    reader.context.close()

"""The charts of one queue, type or node: the range of the top bar, zoom, and what they say when there is nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

SERIES = "**/api/v1/series?*"


def choose(page: Page, name: str) -> None:
    page.locator("#range-menu summary").click()
    page.locator("#range-menu").get_by_role("link", name=name).click()


@pytest.fixture
def done(api: Api) -> str:
    """A task that has ended, so that there is something to draw."""
    [task_id] = api.submit({"type": "demo.echo", "queue": "charted"})
    api.await_state(task_id, "succeeded")
    return task_id


@pytest.mark.parametrize(
    ("path", "chart"), [("/queues/charted/", "flow"), ("/types/demo.echo/", "throughput"), ("/nodes/local-1/", "ended")]
)
def test_charts_follow_the_range_of_the_top_bar(visit: Visit, done: str, path: str, chart: str) -> None:
    page = visit.open(path)
    label = page.locator("#main [data-range-label]")
    expect(label).to_have_text("The last hour")
    choose(page, "The last 15 minutes")
    expect(label).to_have_text("The last 15 minutes")
    assert page.url.endswith("?range=15m")
    figure = page.locator(f"#chart-{chart}")
    expect(figure).to_have_attribute("aria-busy", "false")
    figure.get_by_role("button", name="Show as table").click()
    expect(figure.locator("tbody tr")).to_have_count(15)
    # The address leads to the same.
    page = visit.open(f"{path}?range=15m")
    expect(label).to_have_text("The last 15 minutes")
    choose(page, "The last hour")
    assert visit.was_not_reloaded()


def test_a_zoom_by_keys_is_of_all_charts_and_can_be_taken_back(visit: Visit, done: str) -> None:
    page = visit.open("/queues/charted/?range=1h")
    plots = page.locator("#chart-flow .chart-plot")
    plots.focus()
    page.keyboard.press("ArrowRight")
    # The cursor stands at the same time in every chart that is drawn: a task ended, so both lines of this one are.
    expect(page.locator("#chart-flow .chart-legend b").first).to_be_visible()
    page.keyboard.press("+")
    expect(page.locator("#main [data-range-label]")).to_contain_text("UTC")
    assert "from=" in page.url
    expect(page.locator("#zoom-back")).to_be_visible()
    plots.focus()
    page.keyboard.press("Escape")
    expect(page.locator("#main [data-range-label]")).to_have_text("The last hour")
    expect(page.locator("#zoom-back")).to_be_hidden()


def test_a_chart_that_cannot_be_read_says_so_and_the_page_lives_on(visit: Visit, api: Api, done: str) -> None:
    page = visit.open("/types/demo.echo/?range=1h")
    page.route(SERIES, lambda route: route.fulfill(status=503, json={"title": "x", "detail": "The database is busy."}))
    choose(page, "The last 24 hours")
    for name in ("throughput", "wait", "run"):
        figure = page.locator(f"#chart-{name}")
        expect(figure).to_have_attribute("data-state", "error")
        expect(figure.get_by_text("The database is busy.")).to_be_visible()
        expect(figure.get_by_role("button", name="Try again")).to_be_visible()
    told = page.locator("[data-bind='text:type.succeeded_last_hour|count']")
    before = told.inner_text()
    [task_id] = api.submit({"type": "demo.echo", "queue": "charted"})
    api.await_state(task_id, "succeeded")
    expect(told).not_to_have_text(before)
    page.unroute(SERIES)
    page.locator("#chart-wait").get_by_role("button", name="Try again").click()
    for name in ("throughput", "wait", "run"):
        expect(page.locator(f"#chart-{name}")).not_to_have_attribute("data-state", "error")
    expect(page.locator("#chart-throughput .chart-empty")).to_be_hidden()
    # The browser notes every answer that is no success.
    visit.complaints.clear()


def test_a_chart_that_waits_is_busy_and_one_without_figures_says_that(visit: Visit, api: Api, done: str) -> None:
    page = visit.open("/queues/charted/?range=1h")
    expect(page.locator("#chart-flow .chart-empty")).to_be_hidden()
    held: list[Route] = []
    page.route(SERIES, lambda route: held.extend([route]))
    choose(page, "The last 7 days")
    expect(page.locator("#chart-flow")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(page.locator("#chart-flow")).to_have_attribute("aria-busy", "false")
    api.ask("/api/v1/queues", {"name": "never-used"})
    page.unroute(SERIES)
    page = visit.open("/queues/never-used/")
    expect(page.locator("#chart-depth")).to_contain_text("No task had to wait in this time")
    expect(page.locator("#chart-flow")).to_contain_text("Nothing happened in this time")

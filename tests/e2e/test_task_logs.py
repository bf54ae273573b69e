"""The log of a task in Chromium: very long, followed, left alone, searched, pointed at, paused."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

#: Writes the log of a task as its node would have: attempts of so many lines, from a line on.
_WRITE = """
import json
from django.utils import timezone
from dispatcher.events import TasksLogged
from dispatcher.models import Change, LogChunk
def level(n): return "error" if n % 997 == 0 else "warning" if n % 101 == 0 else "info"
def text(n):
    more = " and on" * (n % 60 if n % 9 == 0 else 0) + "y" * (6000 if n == 4000 else 0)
    return f"line {{n}}, \\x1b[32mdone\\x1b[0m" + more
for attempt in {attempts}:
    for first in range({first}, {last} + 1, 500):
        top = min(first + 499, {last})
        lines = [[n, 1795800000000 + n, level(n), text(n)] for n in range(first, top + 1)]
        LogChunk.objects.create(task_id={task}, attempt=attempt, first_n=first, last_n=top, lines=json.dumps(lines))
    Change.objects.append(TasksLogged(rows=[({task}, attempt, {first}, {last})]), now=timezone.now())
"""
_FROM_END = """() => {
  const box = document.getElementById("log-lines");
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}"""


def write(installed: Installation, task: str, last: int, *, first: int = 1, attempts: tuple[int, ...] = (1,)) -> None:
    """Lines from ``first`` to ``last`` of each attempt."""
    installed.manage("shell", "-c", _WRITE.format(task=task, first=first, last=last, attempts=attempts))


def settled(page: Page) -> None:
    """Wait until everything before the end of the log has been read."""
    expect(page.locator("#log-lines")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".log-line").first).to_be_visible()


@pytest.fixture
def task_id(api: Api) -> str:
    """A task that waits for long: it stays live, and no node writes its log."""
    [made] = api.submit({"type": "demo.noop", "delay_seconds": 86_400})
    return made


def test_twenty_thousand_lines_are_few_elements_and_open_at_the_end(
    visit: Visit, installed: Installation, task_id: str
) -> None:
    write(installed, task_id, 10_000, attempts=(1, 2))
    page = visit.open(f"/tasks/{task_id}/?tab=logs")
    settled(page)
    expect(page.locator("#logs-count")).to_have_text("20k")
    expect(page.locator(".log-line").last).to_contain_text("line 10000")
    assert page.evaluate(_FROM_END) < 3
    most = page.evaluate(
        """async () => {
          const box = document.getElementById("log-lines");
          let most = 0;
          for (let part = 0; part <= 40; part += 1) {
            box.scrollTop = (box.scrollHeight - box.clientHeight) * part / 40;
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            const rows = [...box.querySelectorAll(".log-line")];
            most = Math.max(most, rows.length);
            const edge = box.getBoundingClientRect();
            const seen = rows.map((row) => row.getBoundingClientRect());
            // No hole at either edge: what is in sight is drawn.
            if (Math.min(...seen.map((one) => one.top)) > edge.top + 1) throw new Error("a hole above");
            if (Math.max(...seen.map((one) => one.bottom)) < edge.bottom - 1) throw new Error("a hole below");
          }
          return most;
        }"""
    )
    assert most < 100
    page.locator("#log-attempt").select_option("1")
    page.locator("#log-level").select_option("error")
    expect(page.locator(".log-line")).to_have_count(10)
    expect(page.locator(".log-line .log-n").last).to_have_text("9970")


def test_new_lines_are_followed_at_the_end_only(visit: Visit, installed: Installation, task_id: str) -> None:
    write(installed, task_id, 500)
    page = visit.open(f"/tasks/{task_id}/?tab=logs")
    settled(page)
    write(installed, task_id, 510, first=501)
    expect(page.locator(".log-line").last).to_contain_text("line 510")
    assert page.evaluate(_FROM_END) < 3
    page.locator("#log-lines").hover()
    page.mouse.wheel(0, -3000)
    pill = page.locator("#log-pill")
    expect(page.locator("#log-follow")).to_have_attribute("aria-pressed", "false")
    top = page.locator(".log-line").nth(15)
    words, before = top.inner_text(), top.bounding_box()
    # More than a frame carries: what is missing is asked for.
    write(installed, task_id, 1010, first=511)
    expect(pill).to_have_text("500 new lines")
    after = page.locator(".log-line", has_text=words.splitlines()[-1]).bounding_box()
    assert before
    assert after
    assert after["y"] == before["y"]
    pill.click()
    expect(page.locator(".log-line").last).to_contain_text("line 1010")
    expect(pill).to_be_hidden()
    page.locator("#log-find").fill("line 600,")
    expect(page.locator(".log-line.is-target")).to_contain_text("line 600")
    assert visit.was_not_reloaded()


def test_lines_are_found_pointed_at_and_jumped_to(visit: Visit, installed: Installation, task_id: str) -> None:
    write(installed, task_id, 6_000, attempts=(1, 2))
    page = visit.open(f"/tasks/{task_id}/?tab=logs&attempt=1#L4000")
    target = page.locator(".log-line.is-target")
    expect(target.locator(".log-n")).to_have_text("1.4000")
    expect(target).to_be_in_viewport()
    whole = target.get_by_role("link", name="the whole line")
    answer = page.context.request.get(whole.get_attribute("href") or "")
    assert answer.text().count("y") == 6000
    settled(page)
    find = page.locator("#log-find")
    find.fill("LINE 77,")
    found = page.locator("#log-found")
    # From where the reader is.
    expect(found).to_have_text("2 of 2")
    find.press("Enter")
    expect(found).to_have_text("1 of 2")
    expect(target).to_have_text(re.compile("1.77.*line 77, done", re.DOTALL))
    expect(target.locator("mark")).to_have_text("line 77,")
    expect(target.locator(".ansi-green")).to_have_text("done")
    find.press("Shift+Enter")
    expect(found).to_have_text("2 of 2")
    page.locator("#log-error").click()
    expect(target.locator(".log-n")).to_have_text("1.997")
    target.locator(".log-n").click()
    assert page.url.endswith("?tab=logs&attempt=1#L997")


def test_pause_means_no_traffic_for_logs_either(visit: Visit, installed: Installation, task_id: str) -> None:
    write(installed, task_id, 3_000)
    page = visit.open(f"/tasks/{task_id}/?tab=payload")
    expect(page.locator("#logs-count")).to_have_text("3,000")
    page.keyboard.press("p")
    expect(page.locator("#live-pill")).to_have_text("Paused")
    asked: list[str] = []
    # A new address makes Chromium look at the icon again.
    page.on("request", lambda request: "/favicon.svg" in request.url or asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.get_by_role("tab", name="Logs").click()
    expect(page.locator(".log-line").last).to_contain_text("line 3000")
    write(installed, task_id, 3_010, first=3_001)
    page.locator("#log-find").fill("line 1,")
    expect(page.locator("#log-found")).to_have_text("Not found")
    assert asked == []
    page.locator("#log-lines").focus()
    page.keyboard.press("p")
    expect(page.locator(".log-line").last).to_contain_text("line 3010")
    settled(page)
    page.locator("#log-find").fill("line 1, ")
    expect(page.locator("#log-found")).to_have_text("1 of 1")

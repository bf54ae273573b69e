"""The dashboard in Chinese and back, in another time zone, and with single-letter keys switched off."""

from __future__ import annotations

import re
import socket

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PAGES = (
    "/", "/?range=9x", "/tasks/", "/tasks/?q=state:faild", "/types/", "/types/demo.echo/", "/queues/",
    "/queues/held/", "/nodes/",
    "/nodes/?view=list", "/nodes/?q=stat:x", "/nodes/local-1/", "/activity/", "/bulk/", "/submit/",
    "/submit/?type=demo.sleep",
    "/settings/", "/tokens/",
)  # fmt: skip
#: Every text on the page, hidden or not, that is not marked as code, as another language or as what somebody supplied:
#: a binding without a format shows a value as it is.
TEXTS = """() => {
  const data = "code, pre, kbd, samp, bdi, script, style, noscript, template, time, [lang]:not(html), #error";
  const plain = /(^|;\\s*)TARGET:[^|;]+(\\|(labels|or_dash|labels_or_dash|log_text|moment|moment_or_dash))?(;|$)/;
  const isPlain = (element, target) =>
    new RegExp(plain.source.replace("TARGET", target)).test(element.getAttribute("data-bind") ?? "");
  const found = [];
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!element.closest(data) && !isPlain(element, "text")) found.push(walker.currentNode.data.trim());
  }
  for (const name of ["title", "aria-label", "placeholder", "alt", "data-label"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      if (!element.closest(data) && !isPlain(element, name)) found.push(element.getAttribute(name));
    }
  }
  return found.filter((text) => /[A-Za-z]{2}/.test(text));
}"""
#: What is called the same in Chinese: names, keys, formats, values that people type.
SAME = re.compile(
    r"""(?<![A-Za-z])(null|range|ms|stat|faild|seconds|taskdist(-python)?|Python|Node\.js|curl|Django|SQLite|PostgreSQL|JSONL?|CSV|REST|API|ID|URL|UTC|CPU|Schema|SHA|PNG|
    Shift|Esc|Escape|Enter|Tab|Ctrl|pid|p50|p95|p99|(POST\ )?/api/v1/tasks|docs/\w+\.md|English|EN|
    state:\w*|state|failed|status:?(problem)?|label:(gpu=yes)?|queue:(gpu)?|type:|version:|created:<1h|gpu=yes|zone=eu|nightly|import|Asia/Shanghai|
    fastest|affinity|binpack|least_loaded|power_of_two|round_robin|spread|tasks:(read|write)|nodes:read|operate|admin)(?![A-Za-z])""",
    re.VERBOSE,
)


def latin(texts: list[str], data: list[str]) -> list[str]:
    """What stands in Latin letters and is neither data nor called the same in Chinese."""
    left = []
    for text in texts:
        rest = text
        for value in sorted(data, key=len, reverse=True):
            rest = rest.replace(value, "")
        if re.search(r"[A-Za-z]{2}", SAME.sub("", rest)):
            left.append(text)
    return left


def test_no_page_says_a_word_of_english_in_chinese(visit: Visit, api: Api) -> None:
    [done, failed, blocked, unknown, planned] = api.submit(
        {"type": "demo.echo"},
        {"type": "demo.flaky", "payload": {"probability": 1.0}, "max_attempts": 1},
        {"type": "demo.echo", "queue": "held", "labels": {"gpu": "yes"}},
        {"type": "nobody.runs"},
        {"type": "demo.echo", "delay_seconds": 3600},
    )
    api.ask("/api/v1/queues/held/pause", {"reason": "SMTP moves"})
    api.await_state(done, "succeeded")
    api.await_state(failed, "failed")
    job = api.ask("/api/v1/bulk", {"action": "retry", "q": f"id:{failed}"})["job"]["id"]
    offered = api.ask("/api/v1/types")["types"]
    data = ["held", "default", "local-1", "local-2", "nobody.runs", "SMTP moves", socket.gethostname()]
    # Those of tests that ran before.
    data += [queue["name"] for queue in api.ask("/api/v1/queues")["queues"]]
    data += [text for one in offered for text in (one["name"], one["description"]) if text]
    page = visit.open("/queues/")
    page.get_by_role("button", name="切换到简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    tasks = [f"/tasks/{task}/?tab=events" for task in (done, failed, blocked, unknown, planned)]
    found = {}
    for path in [*PAGES, *tasks, f"/bulk/{job}/"]:
        page = visit.open(path)
        found[path] = latin(page.evaluate(TEXTS), data)
    assert [(path, text) for path, texts in found.items() for text in texts] == []


def test_what_a_page_is_refused_it_is_told_in_chinese(visit: Visit) -> None:
    page = visit.open("/settings/")
    page.get_by_role("button", name="切换到简体中文").click()
    page = visit.open("/submit/?type=demo.sleep")
    page.locator("#s-queue").fill("a b")
    page.get_by_role("button", name="提交").last.click()
    expect(page.locator("#s-queue-error")).to_contain_text("只能含字母、数字和")
    # The browser notes every answer that is no success.
    visit.complaints.clear()


def test_chinese_and_back(visit: Visit) -> None:
    page = visit.open("/queues/")
    page.get_by_role("button", name="切换到简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("队列")
    assert page.url.endswith("/queues/")
    expect(page.locator("#live-pill")).to_contain_text("实时")
    page.get_by_role("button", name="Switch to English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


def test_the_language_is_within_reach_on_a_phone(visit: Visit) -> None:
    page = visit.open("/queues/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#user-menu summary").click()
    page.get_by_role("button", name="切换到简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("队列")
    assert page.url.endswith("/queues/")
    page.locator("#user-menu summary").click()
    page.get_by_role("button", name="Switch to English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")


def test_a_zone_changes_times_alike_on_both_sides(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.echo"})
    api.await_state(task_id, "succeeded")
    page = visit.open("/settings/")
    page.get_by_label("Time zone", exact=True).fill("asia/kathmandu")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#zone-now")).to_have_text("UTC+5:45")
    first_paint = visit.context.request.get(f"/tasks/{task_id}/").text()
    visit.open(f"/tasks/{task_id}/")
    shown = page.locator("#task time[title]").first.get_attribute("title") or ""
    assert re.fullmatch(r"[\d-]{10} [\d:]{8} UTC\+5:45", shown)
    assert f'title="{shown}"' in first_paint


def test_single_letter_keys_can_be_switched_off(visit: Visit) -> None:
    page = visit.open("/settings/")
    page.get_by_role("group", name="Single-letter keys").get_by_label("Off").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page = visit.open("/settings/")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("group", name="Single-letter keys").get_by_label("On").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).not_to_have_attribute("data-keys", "off")
    page = visit.open("/settings/")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_language_and_zone_without_scripts(browser: Browser, installed: Installation, api: Api) -> None:
    reader = Visit(browser, installed, java_script_enabled=False)
    reader.sign_in()
    reader.page.goto("/settings/")
    reader.page.get_by_role("button", name="切换到简体中文").click()
    expect(reader.page.get_by_role("heading", level=1)).to_have_text("设置")
    reader.page.locator("#zone-field").fill("Asia/Tokyo")
    reader.page.get_by_role("button", name="保存").click()
    expect(reader.page.locator("#zone-now")).to_have_text("UTC+9")
    reader.context.close()

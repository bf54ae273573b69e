"""Payload and result on the page of a task: as a tree, as text, as a program that runs, and changed and sent again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.launch.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

HOSTILE = '<img src=x onerror=alert(1)> it\'s "q" $HOME `x` \\ \n é 任 \u202e'


def clipboard(page: Page) -> str:
    """What was copied; waits for the page to say so."""
    expect(page.locator(".toast").last).to_contain_text("Copied.")
    page.evaluate("document.querySelectorAll('.toast').forEach((one) => one.remove())")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_the_tree_is_walked_by_keys_and_its_parts_are_copied(visit: Visit, api: Api) -> None:
    payload = {"frames": list(range(250)), "big": 2**63 - 1, "odd key": {"text": HOSTILE}}
    [task_id] = api.submit({"type": "demo.noop", "payload": payload, "delay_seconds": 86_400})
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.open(f"/tasks/{task_id}/?tab=payload")
    tree = page.locator("#payload-tree")
    summaries = tree.locator("summary")
    summaries.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    big = tree.locator("div.j-part", has_text="big")
    expect(big).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert clipboard(page) == "$.big"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert clipboard(page) == str(2**63 - 1)
    big.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    text = tree.locator("div.j-part", has_text="onerror")
    expect(text).to_be_focused()
    expect(tree.locator("img")).to_have_count(0)
    text.get_by_role("button", name="Copy path").click()
    assert clipboard(page) == '$["odd key"].text'
    text.get_by_role("button", name="Copy value").click()
    assert clipboard(page) == HOSTILE
    text.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(text).to_be_hidden()
    # What the page left out is fetched in place.
    tree.get_by_text("frames").click()
    tree.get_by_role("link", name="150 more: show").click()
    expect(tree.locator('[data-places="0.199"]')).to_be_visible()
    tree.get_by_role("link", name="50 more: show").click()
    expect(tree.locator('[data-places="0.249"]')).to_be_visible()
    tree.locator('[data-places="0.249"]').click()
    tree.get_by_role("button", name="Copy path").click()
    assert clipboard(page) == "$.frames[249]"
    page.get_by_role("radio", name="Raw").check()
    expect(tree).to_be_hidden()
    expect(page.locator("#payload-code")).to_contain_text(str(2**63 - 1))
    page.get_by_role("tab", name="Raw").click()
    expect(page.locator("#raw-code")).to_contain_text(f'"big": {2**63 - 1}')
    assert visit.was_not_reloaded()


def test_a_task_is_submitted_watched_read_and_sent_again_with_another_payload(visit: Visit, api: Api) -> None:
    page = visit.open("/submit/?type=demo.primes")
    page.get_by_label("below", exact=True).fill("100")
    page.get_by_label("Start after").fill("1")
    page.keyboard.press("Control+Enter")
    page.locator(".toast").get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(r"/tasks/\d+/"))
    first = page.url.strip("/").rpartition("/")[2]
    page.evaluate("window.sameAsBefore = true")
    page.get_by_role("tab", name=re.compile("^Logs")).click()
    state = page.locator("#task .page-head .state > span").first
    expect(state).to_have_text("Succeeded")
    expect(page.locator("#log-lines .log-line")).to_contain_text("25 primes below 100")
    assert visit.was_not_reloaded()
    # Not before the scripts of the page run.
    page.locator("#live-pill[data-live=live]").wait_for()
    page.keyboard.press("e")
    page.wait_for_url(f"**/submit/?from={first}")
    page.locator("#live-pill[data-live=live]").wait_for()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Clone of task {first}")
    expect(page.get_by_label("below", exact=True)).to_have_value("100")
    page.get_by_role("button", name="Edit as JSON").click()
    page.get_by_label("Payload", exact=True).fill('{"below": 1000}')
    page.keyboard.press("Control+Enter")
    page.locator(".toast").get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(r"/tasks/\d+/"))
    second = page.url.strip("/").rpartition("/")[2]
    assert second != first
    expect(state).to_have_text("Succeeded")
    facts = page.get_by_role("region", name="Facts")
    expect(facts.get_by_role("link", name=f"#{first}")).to_be_visible()
    expect(page.locator("#payload-tree")).to_contain_text("below: 1000")
    expect(page.locator("#result-tree")).to_contain_text("168")
    page.get_by_role("tab", name=re.compile("^Related")).click()
    expect(page.locator("#related-rows")).to_contain_text(f"This is a clone of #{first}")
    # Both say so.
    page = visit.open(f"/tasks/{first}/?tab=related")
    row = page.locator("#related-rows tr")
    expect(row).to_contain_text(f"Cloned as #{second}")
    expect(row.locator(".state")).to_have_text("Succeeded")
    assert api.task(first)["clones"] == [second]
    assert api.task(second)["clone_of"] == first


def test_a_result_that_comes_while_one_looks_has_a_tree(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.echo", "payload": {"exact": 2**53 + 1}, "delay_seconds": 1})
    page = visit.open(f"/tasks/{task_id}/?tab=result")
    expect(page.locator("#result-tree .j-number")).to_have_text(str(2**53 + 1))
    expect(page.locator("#no-result")).to_be_hidden()
    assert visit.was_not_reloaded()


def test_without_scripts_there_are_tree_text_and_table(browser: Browser, installed: Installation, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.echo", "payload": {"frames": list(range(150))}})
    api.await_state(task_id, "succeeded")
    reader = Visit(browser, installed, java_script_enabled=False)
    reader.sign_in()
    page = reader.page
    page.goto(f"/tasks/{task_id}/")
    expect(page.locator("#attempts-table tbody tr")).to_have_count(1)
    tree = page.locator("#payload-tree")
    expect(tree).to_be_visible()
    expect(page.locator("#payload-code")).to_be_hidden()
    page.locator("#payload-viewer").get_by_text("Raw").click()
    expect(page.locator("#payload-code")).to_be_visible()
    page.locator("#payload-viewer").get_by_text("Tree").click()
    tree.get_by_text("frames").click()
    tree.get_by_role("link", name="50 more: show").click()
    expect(page.locator("h1")).to_have_text(f"Payload of task {task_id}")
    expect(page.locator("#tree > details > .j-parts > .j-part")).to_have_count(50)
    reader.context.close()


@pytest.mark.parametrize("program", ["curl", "Python"])
def test_what_is_copied_runs_and_submits_the_same_task(visit: Visit, api: Api, program: str) -> None:
    payload = {"big": 2**63 - 1, "text": HOSTILE, "list": [1.5, None, True]}
    task = {
        "type": "demo.noop",
        "payload": payload,
        "tags": ["it's", program],
        "priority": 7,
        "labels": {"no": "where"},
    }
    [task_id] = api.submit(task)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.open(f"/tasks/{task_id}/")
    page.locator("#task-menu summary").click()
    page.get_by_role("button", name=f"Copy as {program}").click()
    text = clipboard(page)
    command = ["bash", "-c", text + " --fail --silent"] if program == "curl" else [sys.executable, "-c", text]
    environment = {**os.environ, "TASKDIST_TOKEN": api.token, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    made = re.search(r"['\"]id['\"]: ?['\"](\d+)", done.stdout)
    assert made, done.stdout
    again, first = api.task(made[1]), api.task(task_id)
    assert again["id"] != task_id
    assert {name: again[name] for name in task} == task
    for name in ("max_attempts", "backoff_seconds", "backoff_cap_seconds", "timeout_seconds", "queue"):
        assert again[name] == first[name]
    for one in (task_id, again["id"]):
        api.ask(f"/api/v1/tasks/{one}/cancel", {})
    assert json.dumps(again["payload"], sort_keys=True) == json.dumps(payload, sort_keys=True)

"""What people do in the dashboard, in Chromium, against real processes: no page is reloaded to see what happened."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Visit
from tests.e2e.conftest import Api
from tests.e2e.gate import Gate
from tests.launch.installation import Installation
from tests.launch.programs import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]


def shown_state(visit: Visit, word: str) -> None:
    """Wait until the page of a task shows the state."""
    expect(visit.page.locator("#task .page-head .state > span").first).to_have_text(word)


def test_a_task_goes_through_the_form_to_success_before_ones_eyes(visit: Visit, installed: Installation) -> None:
    gate = Gate(installed, "form")
    page = visit.open("/submit/")
    page.get_by_label("Type", exact=True).fill(gate.task["type"])
    # The fields are those of the type's schema.
    page.get_by_label("file", exact=True).fill(gate.task["payload"]["file"])
    page.get_by_role("button", name="Submit", exact=True).dblclick()
    toast = page.locator(".toast")
    expect(toast).to_have_count(1)
    toast.get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(r"/tasks/\d+/"))
    page.evaluate("window.sameAsBefore = true")
    shown_state(visit, "Running")
    gate.open()
    shown_state(visit, "Succeeded")
    expect(page.locator("#attempt-rows .state")).to_have_text("Succeeded")
    page.get_by_role("tab", name="Result").click()
    expect(page.locator("#result-tree")).to_be_visible()
    assert visit.was_not_reloaded()


def test_submitting_the_same_form_twice_makes_one_task(visit: Visit, api: Api) -> None:
    page = visit.open("/submit/?type=demo.echo")
    page.get_by_text("Retries, limits, placement, tags").click()
    page.get_by_label("Tags").fill("twice")
    page.get_by_label("Payload", exact=True).fill("9007199254740993")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#submit-done")).to_be_visible()
    with page.expect_response("**/api/v1/tasks") as again:
        page.keyboard.press("Control+Enter")
    assert again.value.status == 200
    tasks = api.ask("/api/v1/tasks?tag=twice")["tasks"]
    assert len(tasks) == 1
    page.goto(f"/tasks/{tasks[0]['id']}/")
    expect(page.locator("#payload-code")).to_have_text("9007199254740993")


def test_errors_stand_where_they_belong_and_nothing_is_submitted(visit: Visit) -> None:
    page = visit.open("/submit/?type=demo.echo")
    page.get_by_label("Payload", exact=True).fill("{")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.locator("#s-payload-error")).to_contain_text("Not valid JSON")
    page.get_by_role("tab", name="JSON").click()
    page.locator("#s-json").fill('[{"type": "demo.echo"}, {"type": "demo.echo", "priority": 101}]')
    page.get_by_role("button", name="Submit 2 tasks").click()
    expect(page.locator("#submit-errors")).to_contain_text("Item 2: priority")
    [complaint] = visit.complaints
    assert "400 (Bad Request)" in complaint
    visit.complaints.clear()


def test_a_running_task_is_cancelled_by_a_key(visit: Visit, api: Api) -> None:
    [task_id] = api.submit({"type": "demo.sleep", "payload": {"seconds": 60}})
    page = visit.open(f"/tasks/{task_id}/")
    shown_state(visit, "Running")
    expect(page.locator("#task progress").first).to_be_visible()
    facts = page.get_by_role("region", name="Facts")
    expect(facts).to_contain_text(re.compile(r"Slots in use there\s*[1-9]\d*/\d+"))
    expect(facts.get_by_text(re.compile(r"^(just now|\d+s ago)$")).first).to_be_visible()
    page.keyboard.press("c")
    page.get_by_role("dialog").get_by_role("button", name="Cancel task").click()
    shown_state(visit, "Cancelled")
    expect(facts.get_by_text("Slots in use there")).to_be_hidden()
    assert visit.was_not_reloaded()
    page.keyboard.press("r")
    expect(page.locator(".toast").last).to_contain_text("Submitted again as task")
    expect(page.locator("#related-rows a")).to_have_count(1)
    retry = page.locator("#related-rows a").get_attribute("href") or ""
    api.ask(f"/api/v1/tasks/{retry.strip('/').rpartition('/')[2]}/cancel", {})


def test_a_queue_is_paused_with_a_reason_and_resumed(visit: Visit, api: Api) -> None:
    [first] = api.submit({"type": "demo.noop", "queue": "mail"})
    api.await_state(first, "succeeded")
    page = visit.open("/queues/")
    row = page.locator("tr[data-key=mail]")
    row.get_by_role("button", name="Pause").click()
    page.get_by_label("Reason").fill("SMTP <b>moves</b>")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("SMTP <b>moves</b>")
    page.mouse.move(0, 0)
    [waiting] = api.submit({"type": "demo.noop", "queue": "mail"})
    expect(row.locator("td[data-label=Waiting]")).to_have_text("1")
    assert api.task(waiting)["state"] == "queued"
    row.get_by_role("button", name="Resume").click()
    expect(row.locator("td[data-label=Waiting]")).to_have_text("0")
    api.await_state(waiting, "succeeded")
    assert visit.was_not_reloaded()


def test_a_waiting_task_says_why_until_it_need_not_wait(visit: Visit, api: Api) -> None:
    [first] = api.submit({"type": "demo.noop", "queue": "letters"})
    api.await_state(first, "succeeded")
    api.ask("/api/v1/queues/letters/pause", {"reason": "no stamps"})
    [waiting] = api.submit({"type": "demo.noop", "queue": "letters", "labels": {"colour": "red"}})
    page = visit.open(f"/tasks/{waiting}/")
    why = page.locator("#why-waiting")
    expect(why).to_contain_text("Queue letters is paused (no stamps); somebody has to act")
    api.ask("/api/v1/queues/letters/resume", {})
    expect(why).to_contain_text("2 without label colour=red; no node that is known can ever run it")
    why.get_by_text("Node by node").click()
    expect(why.get_by_role("listitem")).to_have_text(
        [re.compile(f"^{name}: without label colour=red$") for name in ("local-1", "local-2")]
    )
    api.ask(f"/api/v1/tasks/{waiting}/cancel", {})
    shown_state(visit, "Cancelled")
    expect(why).to_be_hidden()
    assert visit.was_not_reloaded()


def test_a_node_is_drained_by_a_deadline_and_resumed(visit: Visit, api: Api, installed: Installation) -> None:
    gate = Gate(installed, "drained")
    tasks = api.submit(*[gate.task] * 8)
    for task_id in tasks:
        api.await_state(task_id, "running")
    page = visit.open("/nodes/?view=list")
    row = page.locator("tr[data-key=local-2]")
    row.get_by_role("button", name="Drain").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#drain-tasks li")).not_to_have_count(0)
    dialog.get_by_label("Reason").fill("new kernel")
    dialog.get_by_role("button", name="Drain").click()
    expect(row.locator(".state").first).to_have_text("Draining")
    expect(row).to_contain_text(re.compile(r"\d left, \d+m"))
    expect(row).to_contain_text("new kernel")
    assert api.node("local-2")["drain_until"]
    gate.open()
    expect(row.locator(".state").first).to_have_text("Drained")
    row.get_by_role("button", name="Resume").click()
    expect(row.locator(".state").first).to_have_text("Online")
    assert visit.was_not_reloaded()


def test_the_join_panel_says_when_the_node_has_come(browser: Browser, fragile: Installation) -> None:
    # Not the shared installation: a node cannot be taken out again.
    visit = Visit(browser, fragile)
    visit.sign_in()
    page = visit.open("/nodes/")
    page.get_by_role("button", name="Make an enrolment token").click()
    expect(page.locator("#join-waiting")).to_be_visible()
    token = page.locator("[data-token]").first.text_content() or ""
    body = {"name": "w-13", "url": "http://127.0.0.1:9", "boot_id": "b", "slots": 1}
    enrolling = Api.__new__(Api)
    enrolling._url, enrolling.token = fragile.url, token
    enrolling.ask("/api/v1/nodes/register", body)
    expect(page.get_by_role("link", name="w-13 connected")).to_be_visible()
    expect(page.locator("li[data-key=w-13]")).to_be_visible()
    assert visit.was_not_reloaded()
    assert visit.complaints == []
    visit.context.close()


def test_exactly_the_selected_tasks_are_steered(visit: Visit, api: Api) -> None:
    done = api.submit(*[{"type": "demo.noop", "tags": ["chosen"]}] * 2)
    for task_id in done:
        api.await_state(task_id, "succeeded")
    later = api.submit(*[{"type": "demo.noop", "tags": ["chosen"], "delay_seconds": 600}] * 2)
    page = visit.open("/tasks/?tag=chosen")
    page.get_by_label("Select all tasks on this page").check()
    bar = page.get_by_role("region", name="Selected tasks")
    expect(bar.get_by_role("button", name="Retry 2")).to_be_enabled()
    bar.get_by_role("button", name="Cancel 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel 2").click()
    for task_id in later:
        expect(page.locator(f"tr[data-key='{task_id}'] .state")).to_have_text("Cancelled")
    assert {api.task(task_id)["state"] for task_id in done} == {"succeeded"}
    assert visit.was_not_reloaded()


def test_new_tasks_are_offered_and_rows_under_the_pointer_stay(visit: Visit, api: Api) -> None:
    [first] = api.submit({"type": "demo.noop", "tags": ["steady"], "delay_seconds": 600})
    page = visit.open("/tasks/?tag=steady")
    row = page.locator(f"tr[data-key='{first}']")
    row.hover()
    before = row.bounding_box()
    # A page that has just been loaded does not load itself again, whatever the pointer does.
    assert eventually(lambda: page.evaluate("performance.now()") > 2_500, seconds=10)
    api.submit({"type": "demo.noop", "tags": ["steady"], "delay_seconds": 600})
    pill = page.locator("#new-pill button")
    expect(pill).to_have_text("1 new")
    assert page.locator("#task-rows tr").count() == 1
    after = row.bounding_box()
    assert before
    assert after
    assert after["height"] == before["height"]
    pill.click()
    expect(page.locator("#task-rows tr")).to_have_count(2)
    assert visit.was_not_reloaded()


def test_a_crash_its_log_line_and_the_second_attempt_show_as_they_happen(visit: Visit, api: Api) -> None:
    task = {"type": "demo.crash", "payload": {"until_attempt": 2}, "backoff_seconds": 0, "delay_seconds": 1}
    [task_id] = api.submit(task)
    page = visit.open(f"/tasks/{task_id}/?tab=logs")
    expect(page.locator("#log-lines .log-line[data-level=warning]")).to_contain_text("ends itself")
    shown_state(visit, "Succeeded")
    expect(page.locator("#attempt-rows .state")).to_have_text(["Crashed", "Succeeded"])
    expect(page.locator("#timeline .tl-run")).to_have_count(2)
    assert visit.was_not_reloaded()


def test_a_task_that_waits_for_its_next_attempt_says_so(visit: Visit, api: Api) -> None:
    # The wait is drawn from [0, backoff): a day leaves next to no chance that it is over before a person could see it.
    [task_id] = api.submit({"type": "demo.crash", "backoff_seconds": 86_400, "backoff_cap_seconds": 86_400})
    visit.open(f"/tasks/{task_id}/")
    shown_state(visit, "Retrying")
    expect(visit.page.locator("#attempt-rows .state")).to_have_text(["Crashed"])
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    shown_state(visit, "Cancelled")
    assert visit.was_not_reloaded()


def test_the_overview_follows(visit: Visit, installed: Installation, api: Api) -> None:
    gate = Gate(installed, "overview")
    page = visit.open("/")
    figure = page.locator("#kpi-nodes .kpi-note")
    expect(figure).to_have_text(re.compile(r"^0% of \d+ slots busy$"))
    ids = api.submit(*[gate.task] * 3)
    expect(figure).to_have_text(re.compile(r"^[1-9]\d*% of \d+ slots busy$"))
    gate.open()
    for task_id in ids:
        api.await_state(task_id, "succeeded")
    expect(figure).to_have_text(re.compile(r"^0% of \d+ slots busy$"))
    expect(page.locator(".chart canvas")).to_have_count(5)
    page.locator("#chart-throughput").get_by_role("button", name="Show as table").click()
    expect(page.locator("#chart-throughput tbody tr")).to_have_count(60)
    assert visit.was_not_reloaded()


def test_charts_zoom_by_dragging_and_by_keys_and_go_back(visit: Visit) -> None:
    page = visit.open("/?range=6h")
    title = page.locator(".page-sub [data-range-label]")
    expect(title).to_have_text("The last 6 hours")
    over = page.locator("#chart-wait .u-over")
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"\?from=.*&to="))
    expect(title).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d .* UTC"))
    page.get_by_role("button", name="Back").click()
    expect(page).to_have_url(re.compile(r"\?range=6h$"))
    expect(title).to_have_text("The last 6 hours")
    page.locator("#chart-wait .chart-plot").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#chart-wait .chart-said")).to_contain_text("p95")
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile(r"\?from="))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"\?range=6h$"))
    page.locator("#range-menu summary").click()
    page.get_by_role("link", name="The last 24 hours").click()
    expect(title).to_have_text("The last 24 hours")
    page.locator("#chart-throughput").get_by_role("button", name="Show as table").click()
    expect(page.locator("#chart-throughput tbody tr")).to_have_count(96)
    assert visit.was_not_reloaded()
    # Remembered, and shown without a parameter.
    expect(visit.open("/").locator(".page-sub [data-range-label]")).to_have_text("The last 24 hours")

"""A node that is lost while somebody looks, and what viewers see of what they may not do."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dispatcher.launch.programs import Address, worker_program
from tests.architecture.sources import ROOT
from tests.e2e.browser import Visit
from tests.e2e.conftest import api_of
from tests.e2e.gate import Gate
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

#: Long enough that a busy machine does not lose a node that lives, short enough to wait for.
SHORT_LEASES = {
    "TASKDIST_HEARTBEAT_SECONDS": "2",
    "TASKDIST_SUSPECT_AFTER_SECONDS": "5",
    "TASKDIST_LEASE_SECONDS": "10",
    "TASKDIST_SWEEP_SECONDS": "0.5",
}


@pytest.fixture
def fragile(tmp_path: Path, empty_database_url: str) -> Iterator[Installation]:
    """An installation of its own that gives a silent node up soon."""
    with installation(tmp_path / "var", database_url=empty_database_url, **SHORT_LEASES) as made:
        made.start()
        yield made


@pytest.fixture
def lone(fragile: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that nobody brings back, beside the two that the supervisor keeps."""
    token_file = fragile.var / "lone.token"
    token_file.write_text(fragile.manage("node_token", "create", "lone").stdout.strip())
    program = worker_program(
        name="lone",
        address=Address(host="127.0.0.1", port=fragile.port),
        slots=2,
        node_dir=fragile.var / "nodes" / "lone",
        token_file=token_file,
        environment=fragile.environment,
    )
    worker = subprocess.Popen(program.command, cwd=ROOT, env=program.environment, start_new_session=True)
    yield worker
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(20)


def opened(visit: Visit, path: str) -> Page:
    """One more tab that is live, marked so that a reload would be noticed."""
    visit.page = visit.new_page()
    return visit.open(path)


def test_a_killed_node_is_suspected_and_lost_and_its_tasks_move_before_ones_eyes(
    browser: Browser, fragile: Installation, lone: subprocess.Popen[bytes]
) -> None:
    api = api_of(fragile)
    assert eventually(lambda: api.node("lone")["state"] == "online"), lone.poll()
    for name in ("local-1", "local-2"):
        api.ask(f"/api/v1/nodes/{name}/drain", {"reason": "so that the lone one gets all"})
    gate = Gate(fragile, "held")
    held = api.submit(*[gate.task | {"backoff_seconds": 0.1}] * 2)
    for task_id in held:
        assert api.await_state(task_id, "running")["node"] == "lone"
    for name in ("local-1", "local-2"):
        api.ask(f"/api/v1/nodes/{name}/resume", {})
    visit = Visit(browser, fragile)
    visit.sign_in()
    node, task = opened(visit, "/nodes/lone/"), opened(visit, f"/tasks/{held[0]}/")
    squares, pool = opened(visit, "/nodes/?shape=squares"), opened(visit, "/nodes/")
    # Tabs in the background are silent: each is looked at in turn.
    card = pool.locator("li[data-key=lone]")
    expect(card.locator(".state")).to_have_text("Online")
    os.killpg(lone.pid, signal.SIGKILL)
    expect(card.locator(".state")).to_have_text("Silent")
    expect(pool.locator("#node-rows li").first).to_have_attribute("data-key", "lone")
    expect(card.locator(".state")).to_have_text("Offline")
    node.bring_to_front()
    expect(node.locator(".page-head .state")).to_have_text("Offline")
    expect(node.get_by_text("It has not been heard from for longer than its lease.")).to_be_visible()
    expect(node.locator("#no-running")).to_be_visible()
    told = node.locator("#event-rows")
    expect(told).to_contain_text("Fell silent")
    expect(told).to_contain_text("Was lost; what it held went to others")
    task.bring_to_front()
    expect(task.locator("#attempt-rows .state")).to_have_text(["Lost", "Running"])
    expect(task.locator("#attempt-rows")).to_contain_text("local-")
    squares.bring_to_front()
    expect(squares.locator("#node-cells li").first.get_by_role("link")).to_have_accessible_name(
        "lone, Offline, 0 of 2 slots busy"
    )
    gate.open()
    task.bring_to_front()
    expect(task.locator("#task .page-head .state > span").first).to_have_text("Succeeded")
    for task_id in held:
        assert api.await_state(task_id, "succeeded")["node"] in {"local-1", "local-2"}
    for page in (node, task, squares, pool):
        assert page.evaluate("window.sameAsBefore === true")
    assert visit.complaints == []
    visit.context.close()


def test_another_filter_keeps_how_nodes_are_drawn(visit: Visit) -> None:
    page = visit.open("/nodes/?view=list")
    page.get_by_label("Filter", exact=True).fill("local-1")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**/nodes/?view=list&q=local-1")
    expect(page.locator("tr[data-key]")).to_have_count(1)
    page.get_by_role("link", name="Online", exact=False).click()
    page.wait_for_url("**/nodes/?view=list&q=status%3Aonline")
    expect(page.locator("tr[data-key=local-2]")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/nodes/?view=list")
    page.goto("/nodes/?shape=squares&q=nobody")
    page.get_by_role("link", name="Show all nodes").click()
    page.wait_for_url("**/nodes/?shape=squares")

"""Tabs that watch while tasks change: frames, long tasks and memory in the browser; then tabs that come and go.

``python -m benchmarks.dashboard.live`` starts a whole installation and Chromium, opens tabs on the pages that follow by
themselves, and submits no-op tasks at an even pace. A no-op task is three changes: made, handed out, ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.probes import ApiClient, cpu_seconds
from tests.e2e.browser import Visit, chromium
from tests.launch.installation import Installation, installation
from tests.postgres_server import PostgresServer

PAGES = ("/", "/tasks/", "/queues/", "/nodes/", "/nodes/local-1/", "/tasks/?state=failed")
CHANGES_PER_TASK = 3
SUBMITS_PER_SECOND = 10
#: Frames a second and tab that the server may send, with one for the clock of the measurement.
MAX_HZ, LONG_TASK_MS, HEAP_MB = 4.0, 50.0, 20.0
_WATCH = """
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
  }).observe({ entryTypes: ["longtask"] });
"""


def main() -> int:
    """Print a line per tab and what the server did; exit status 1 if a bound was passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard.live", description=__doc__)
    parser.add_argument("--db", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--changes", type=float, default=2000.0, help="task changes a second (default: 2000)")
    parser.add_argument("--cycles", type=int, default=200, help="tabs opened and closed afterwards (default: 200)")
    parser.add_argument("--trace", action="store_true", help="also tell the longest tasks by processor time")
    parser.add_argument("--page", help="the page that all tabs are on (default: six of them in turn)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskdist-bench-") as scratch:
        if options.db == "sqlite":
            return _measure(Path(scratch) / "var", "", options)
        with PostgresServer(durable=True) as server:
            return _measure(Path(scratch) / "var", server.url, options)


def _measure(var: Path, database_url: str, options: argparse.Namespace) -> int:
    with installation(var, database_url=database_url) as installed, chromium() as browser:
        installed.start("--workers", "2", "--slots", "4")
        visit = Visit(browser, installed)
        visit.context.add_init_script(_WATCH)
        visit.sign_in()
        # It would be one tab more than a session may have.
        visit.page.goto("about:blank")
        complaints = _storm(installed, visit, options) + _come_and_go(installed, visit, options.cycles)
        installed.stop()
    for complaint in complaints:
        print(f"<-- {complaint}")
    return 1 if complaints else 0


def _pages(options: argparse.Namespace) -> Iterator[str]:
    return cycle([options.page] if options.page else PAGES)


class Tab:
    """One open page and what is counted on it."""

    def __init__(self, visit: Visit, address: str) -> None:
        self.address = address
        self.page = visit.new_page()
        self.frames: Counter[str] = Counter()
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        self.page.goto(address)
        self.page.locator("#live-pill[data-live=live]").wait_for()
        self._session = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _count(self, payload: Any) -> None:
        frame = json.loads(payload)
        if frame.get("type") in ("delta", "snapshot"):
            self.frames[frame["topic"]] += 1

    def heap_mb(self) -> float:
        """Megabytes in use after a collection."""
        self._session.send("HeapProfiler.collectGarbage")
        return float(self._session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    def cpu_ms(self) -> float:
        """Processor time of the main thread's tasks since the page was made, without what they waited for a core."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration") * 1000

    def longest_ms(self) -> float:
        """The longest task of the main thread since the last call."""
        return float(self.page.evaluate("(() => { const was = longest; longest = 0; return was; })()"))


def _storm(installed: Installation, visit: Visit, options: argparse.Namespace) -> list[str]:
    tabs = [Tab(visit, address) for address, _ in zip(_pages(options), range(options.tabs), strict=False)]
    token = installed.manage("api_token", "create", "admin").stdout.strip()
    pump = Pump(ApiClient(installed.port, token), options)
    _rest(tabs[0].page, 3)
    for tab in tabs:
        tab.longest_ms()
    before = [(tab.heap_mb(), tab.cpu_ms()) for tab in tabs]
    cpu, fed = cpu_seconds(installed.processes()), _changes(installed.port, token)
    for tab in tabs:
        tab.frames.clear()
    browser = visit.context.browser
    assert browser is not None
    if options.trace:
        browser.start_tracing(categories=["toplevel"])
    started = time.monotonic()
    pump.start()
    while pump.is_alive():
        # Playwright hands out what the sockets received only while it is called.
        _rest(tabs[0].page, 1)
    took = time.monotonic() - started
    if options.trace:
        _tell_longest(browser.stop_tracing())
    changed = _changes(installed.port, token) - fed
    used = {name: after - cpu[name] for name, after in cpu_seconds(installed.processes()).items()}
    print(f"{changed / took:,.0f} task changes a second for {took:.0f} s, {options.tabs} tabs")
    print("cores used: " + ", ".join(f"{name} {seconds / took:.2f}" for name, seconds in used.items()))
    complaints = [] if changed / took >= options.changes * 0.95 else ["too few changes"]
    print(f"{'frames/s':>9} {'longest ms':>11} {'CPU ms/s':>9} {'heap MB':>8} {'grown':>7}  page")
    for tab, (heap, spent) in zip(tabs, before, strict=True):
        hz, longest, now = max(tab.frames.values(), default=0) / took, tab.longest_ms(), tab.heap_mb()
        share = (tab.cpu_ms() - spent) / took
        print(f"{hz:9.2f} {longest:11.0f} {share:9.1f} {now:8.1f} {now - heap:7.1f}  {tab.address}")
        if hz > MAX_HZ or longest >= LONG_TASK_MS or now - heap >= HEAP_MB:
            complaints.append(f"{tab.address}: {hz:.2f} frames/s, {longest:.0f} ms, {now - heap:.1f} MB")
        tab.page.close()
    return complaints


def _tell_longest(trace: bytes) -> None:
    """Of the main threads of all tabs: what a task took of a processor, without what it waited for one."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        (event.get("tdur", 0) / 1000, event["dur"] / 1000)
        for event in events
        if event["ph"] == "X" and (event["pid"], event["tid"]) in mains and event["name"].endswith("RunTask")
    ]
    by_cpu = ", ".join(f"{cpu:.0f} ({wall:.0f})" for cpu, wall in sorted(tasks, reverse=True)[:8])
    above = sum(wall >= LONG_TASK_MS for _, wall in tasks)
    print(f"{len(tasks):,} tasks of {len(mains)} main threads, {above} of {LONG_TASK_MS:.0f} ms or more by the clock")
    print(f"longest by processor time, and by the clock, in ms: {by_cpu}")


class Pump(threading.Thread):
    """Submits no-op tasks at an even pace."""

    def __init__(self, client: ApiClient, options: argparse.Namespace) -> None:
        super().__init__(name="pump", daemon=True)
        self._client, self._seconds = client, float(options.seconds)
        each = round(options.changes / CHANGES_PER_TASK / SUBMITS_PER_SECOND)
        self._body = json.dumps({"tasks": [{"type": "demo.noop", "payload": n} for n in range(each)]}).encode()

    def run(self) -> None:
        """Until the time is over."""
        pause, started = threading.Event(), time.monotonic()
        for turn in range(round(self._seconds * SUBMITS_PER_SECOND)):
            pause.wait(max(0.0, started + turn / SUBMITS_PER_SECOND - time.monotonic()))
            self._client.post("/api/v1/tasks", self._body)


def _changes(port: int, token: str) -> int:
    """Changes of tasks so far: each was made, and those that have ended were handed out as well."""
    # By a new connection: one that has been idle for a minute is closed.
    counts = ApiClient(port, token).get("/api/v1/counts")
    return int(sum(counts.values()) + 2 * counts["succeeded"])


def _come_and_go(installed: Installation, visit: Visit, cycles: int) -> list[str]:
    """Open and close tabs, and look at the web tier's memory: after the first quarter, and at the end."""
    if not cycles:
        return []
    warm = 0.0
    for number, address in zip(range(cycles), cycle(PAGES), strict=False):
        Tab(visit, address).page.close()
        if number == cycles // 4:
            warm = _rss_mb(installed)
    last = _rss_mb(installed)
    print(f"web tier: {warm:.1f} MB after {cycles // 4} tabs had come and gone, {last:.1f} MB after {cycles}")
    return ["the web tier grows"] if last > warm * 1.05 + 2 else []


def _rss_mb(installed: Installation) -> float:
    status = Path(f"/proc/{installed.processes()['web']}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _rest(page: Page, seconds: float) -> None:
    page.wait_for_timeout(seconds * 1000)


if __name__ == "__main__":
    sys.exit(main())

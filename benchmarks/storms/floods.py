"""T12: ten times as many requests as can be worked on. T16: connections that say nothing."""

from __future__ import annotations

import argparse
import http.client
import json
import select
import socket
import threading
import time
from collections import Counter
from contextlib import closing, suppress

from benchmarks.storms.site import Figure, Site, percentile, say

HALF = b"GET /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
NORMAL_SECONDS = 20.0


class Clients:
    """Threads that submit single tasks one after the other over kept connections, and time the answers."""

    def __init__(self, made: Site, count: int) -> None:
        self._made = made
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        self.statuses: Counter[int] = Counter()
        self.accepted: list[float] = []

    def run(self, seconds: float) -> None:
        """Submit for so long."""
        for thread in self._threads:
            thread.start()
        threading.Event().wait(seconds)
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self._made.token}", "Content-Type": "application/json"}
        body = json.dumps({"type": "demo.noop"})
        with closing(http.client.HTTPConnection("127.0.0.1", self._made.installed.port, timeout=60)) as connection:
            while not self._stop.is_set():
                began = time.perf_counter()
                try:
                    connection.request("POST", "/api/v1/tasks", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    self.statuses[0] += 1
                    continue
                self.statuses[answer.status] += 1
                if answer.status in (200, 201):
                    self.accepted.append(time.perf_counter() - began)


def overload(made: Site, options: argparse.Namespace) -> list[Figure]:
    """Clients that send again at once whatever they are answered, ten times as many as there are places."""
    Clients(made, 4).run(5.0)
    memory = made.memory()
    flood = Clients(made, 120)
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.2):
            most = max(most, made.threads())

    watching = threading.Thread(target=watch)
    watching.start()
    flood.run(options.overload_seconds)
    done.set()
    watching.join()
    growth = (made.memory() - memory) / 1e6
    drained = made.await_quiet()
    acknowledged = len(flood.accepted)
    late = percentile(flood.accepted, 99)
    return [
        Figure("answers by status", ", ".join(f"{k or 'none'}: {v}" for k, v in sorted(flood.statuses.items())),
               "2xx, 429, 503", set(flood.statuses) <= {0, 200, 201, 429, 503}),
        Figure("accepted, p99 s", f"{late:.2f}", "< 1", late < 1.0),
        Figure("accepted / s", f"{acknowledged / options.overload_seconds:.0f}"),
        Figure("threads of the web tier at most", str(most), "bounded", most < 40),
        Figure("memory of the web tier, + MB", f"{growth:.0f}", "< 100", growth < 100),
        Figure("acknowledged and lost", str(max(0, acknowledged - made.count())), "0", acknowledged <= made.count()),
        Figure("all done afterwards", str(drained), "True", drained),
    ]  # fmt: skip


def half_open_sockets(made: Site, options: argparse.Namespace) -> list[Figure]:
    """So many connections are held open, and opened again when they are closed, while two clients work."""
    before = Clients(made, 2)
    before.run(NORMAL_SECONDS)
    stop = threading.Event()
    opened = [0]
    attack = threading.Thread(target=_hold_open, args=(made.installed.port, options.sockets, stop, opened))
    attack.start()
    threading.Event().wait(5.0)
    during = Clients(made, 2)
    during.run(NORMAL_SECONDS)
    stop.set()
    attack.join(60)
    quiet, stormy = percentile(before.accepted, 99), percentile(during.accepted, 99)
    refused = sum(count for status, count in during.statuses.items() if status not in (200, 201))
    say(f"{opened[0]} connections were opened")
    return [
        Figure("half-open connections, opened in all", f"{options.sockets}, {opened[0]}"),
        Figure("p99 before, ms", f"{quiet * 1000:.1f}"),
        Figure("p99 meanwhile, ms", f"{stormy * 1000:.1f}", "at most twice", stormy <= 2 * quiet),
        Figure("accepted before, meanwhile", f"{len(before.accepted)}, {len(during.accepted)}"),
        Figure("requests refused or cut off", str(refused), "few", refused <= 0.01 * len(during.accepted)),
    ]


def _hold_open(port: int, count: int, stop: threading.Event, opened: list[int]) -> None:
    """Keep ``count`` connections that have sent half a request, dripping a byte into each every few seconds."""
    held: list[socket.socket] = []
    dripped = time.monotonic()
    while not stop.wait(0.02):
        # A hundred at a time: faster than any browser, slower than a flood of handshakes.
        for _ in range(min(100, count - len(held))):
            with suppress(OSError):
                peer = socket.create_connection(("127.0.0.1", port), timeout=2)
                peer.settimeout(0)
                peer.send(HALF)
                held.append(peer)
                opened[0] += 1
        look = select.poll()
        for peer in held:
            look.register(peer, select.POLLIN | select.POLLHUP)
        gone = {number for number, _ in look.poll(0)}
        for peer in [peer for peer in held if peer.fileno() in gone]:
            held.remove(peer)
            peer.close()
        if time.monotonic() - dripped > 3.0:
            dripped = time.monotonic()
            for peer in held:
                with suppress(OSError):
                    peer.send(b"a")
    for peer in held:
        peer.close()

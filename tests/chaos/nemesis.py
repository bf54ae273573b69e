"""What goes wrong, when, and to whom: a schedule from one seed, and the hands that carry it out."""

from __future__ import annotations

import heapq
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import NamedTuple

import psycopg

from tests.chaos.proxy import MODES
from tests.chaos.rig import LEASE_SECONDS, Rig

EVERY_SECONDS = 2.0
#: Before the first fault and after the last one began, in seconds.
QUIET_SECONDS = 2.0

#: How often each kind comes in a deck of cards. Most are kills: that is what the promise is about.
DECK = {
    "kill_worker": 6,
    "kill_web": 3,
    "kill_engine": 4,
    "kill_child": 2,
    "kill_backend": 3,
    "stop_database": 1,
    "pause_worker": 3,
    "pause_engine": 1,
    "pause_web": 1,
    "network_to": 3,
    "network_from": 3,
    "network_client": 1,
    "partition": 4,
    # What a node reports arrives after its attempts were given up and claimed again: only the fence tells them apart.
    "lag": 2,
}
#: A lag lasts so many times its delay. A heartbeat of the first comes with the second, and the node counts as alive and
#: is given the tasks again that it was thought to have lost; their results are on their way until the third.
LAGS = 2.5
ON_POSTGRES = frozenset({"kill_backend", "stop_database"})


class Fault(NamedTuple):
    """One thing that goes wrong, ``at`` seconds after the begin, for ``seconds``: the killed stay down so long."""

    at: float
    kind: str
    target: str
    seconds: float
    mode: str = ""


def plan(seed: int, seconds: float, *, nodes: list[str], engines: list[str], postgres: bool) -> list[Fault]:
    """The faults of a run of ``seconds``: the same for the same arguments."""
    rng = random.Random(f"nemesis {seed}")
    faults: list[Fault] = []
    deck: list[str] = []
    at = QUIET_SECONDS
    while at < seconds - QUIET_SECONDS:
        if not deck:
            # Dealt, not drawn: a run of little more than a minute has met every kind, whatever its seed.
            deck = [kind for kind, number in DECK.items() for _ in range(number) if postgres or kind not in ON_POSTGRES]
            rng.shuffle(deck)
        faults.append(_draw(rng, at, deck.pop(), nodes, engines))
        at += EVERY_SECONDS * rng.uniform(0.75, 1.25)
    return faults


def _draw(rng: random.Random, at: float, kind: str, nodes: list[str], engines: list[str]) -> Fault:
    node = rng.choice(nodes)
    # As often shorter as longer than a lease.
    length = rng.choice((rng.uniform(0.3, 1.2), rng.uniform(LEASE_SECONDS + 0.5, 2 * LEASE_SECONDS)))
    mode = rng.choice(MODES)
    down = rng.choice((0.0, 0.0, length))
    return {
        "kill_worker": Fault(at, kind, node, down),
        "kill_web": Fault(at, kind, "web", 0.0),
        "kill_engine": Fault(at, kind, rng.choice(engines), down),
        "kill_child": Fault(at, kind, node, 0.0),
        "kill_backend": Fault(at, kind, "database", 0.0),
        "stop_database": Fault(at, kind, "database", rng.uniform(0.0, 2.0)),
        "pause_worker": Fault(at, kind, node, length),
        "pause_engine": Fault(at, kind, rng.choice(engines), length),
        "pause_web": Fault(at, kind, "web", length),
        "network_to": Fault(at, kind, node, length, mode),
        "network_from": Fault(at, kind, node, length, mode),
        "network_client": Fault(at, kind, "client", min(length, 3.0), mode),
        "partition": Fault(at, kind, node, rng.uniform(LEASE_SECONDS + 0.5, 2 * LEASE_SECONDS), "blackhole"),
        "lag": Fault(at, kind, node, LAGS * rng.uniform(1.1 * LEASE_SECONDS, 1.5 * LEASE_SECONDS), "delay"),
    }[kind]


@dataclass
class Nemesis:
    """Carries out a plan. Call ``step`` often, from the rig's thread."""

    rig: Rig
    faults: list[Fault]
    begun: float = field(default_factory=monotonic)
    done: int = 0
    #: What ends later: (monotonic time, number, what to do).
    _undo: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    @property
    def is_over(self) -> bool:
        """Whether everything went wrong that should, and was mended."""
        return self.done == len(self.faults) and not self._undo

    def step(self) -> None:
        """Do what is due."""
        while self._undo and monotonic() >= self._undo[0][0]:
            heapq.heappop(self._undo)[2]()
        while self.done < len(self.faults) and monotonic() - self.begun >= self.faults[self.done].at:
            self.strike(self.faults[self.done])
            self.done += 1

    def strike(self, fault: Fault) -> None:
        """Do one thing now; its end follows in a later ``step``."""
        number = next(self._numbers)
        self.rig.journal.write("fault", n=number, **fault._asdict() | {"at": monotonic()})
        undo = getattr(self, f"_{fault.kind}")(fault)

        def end() -> None:
            if undo is not None:
                undo()
            self.rig.journal.write("healed", n=number)

        heapq.heappush(self._undo, (monotonic() + fault.seconds, number, end))

    def _kill_worker(self, fault: Fault) -> None:
        self.rig.keeper.kill(fault.target, down_seconds=fault.seconds)

    _kill_web = _kill_engine = _kill_worker

    def _kill_child(self, fault: Fault) -> None:
        for pid in self.rig.keeper.children(fault.target)[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _kill_backend(self, fault: Fault) -> None:
        sql = """SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3) AS some"""
        with suppress(psycopg.Error), psycopg.connect(self.rig.database, autocommit=True, connect_timeout=2) as link:
            link.execute(sql)

    def _stop_database(self, fault: Fault) -> Callable[[], None]:
        server = self.rig.server
        assert server is not None
        server.crash()
        return lambda: None if server.is_running else server.revive()

    def _pause_worker(self, fault: Fault) -> Callable[[], None]:
        pid = self.rig.keeper.send(fault.target, signal.SIGSTOP)

        def resume() -> None:
            if pid is not None and self.rig.keeper.pid(fault.target) == pid:
                os.kill(pid, signal.SIGCONT)

        return resume

    _pause_engine = _pause_web = _pause_worker

    def _network_to(self, fault: Fault) -> Callable[[], None]:
        return self._network([f"to-{fault.target}"], fault)

    def _network_from(self, fault: Fault) -> Callable[[], None]:
        return self._network([f"from-{fault.target}"], fault)

    def _partition(self, fault: Fault) -> Callable[[], None]:
        return self._network([f"to-{fault.target}", f"from-{fault.target}"], fault)

    def _lag(self, fault: Fault) -> Callable[[], None]:
        names = [f"to-{fault.target}", f"from-{fault.target}"]
        return self._network(names, fault, delay_seconds=fault.seconds / LAGS)

    def _network_client(self, fault: Fault) -> Callable[[], None]:
        return self._network(["client"], fault)

    def _network(self, names: list[str], fault: Fault, *, delay_seconds: float | None = None) -> Callable[[], None]:
        for name in names:
            self.rig.proxies[name].set_mode(fault.mode, delay_seconds=delay_seconds or fault.seconds)

        def heal() -> None:
            for name in names:
                # Another fault may have changed it since.
                if self.rig.proxies[name].mode == fault.mode:
                    self.rig.proxies[name].set_mode("pass")

        return heal

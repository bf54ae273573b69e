"""An installation to be stormed, and what is asked of it."""

from __future__ import annotations

import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually
from tests.storms.stores import Postgres, Sqlite, database

SLOTS = 4
WORKERS = 2
#: Longest wait for an end, in seconds.
PATIENCE = 600.0


class Figure(NamedTuple):
    """One measured figure. ``wanted`` says in words what it should be; empty: nothing in particular."""

    name: str
    value: str
    wanted: str = ""
    is_met: bool = True


class Site(NamedTuple):
    """A running installation with its database."""

    installed: Installation
    store: Postgres | Sqlite
    token: str

    def count(self, condition: str = "1 = 1") -> int:
        """Tasks of which the condition is true."""
        return int(self.store.query(f"SELECT count(*) FROM dispatcher_task WHERE {condition}")[0][0])  # noqa: S608 - ours

    def await_quiet(self) -> bool:
        """Wait until no task is waiting or active."""
        return eventually(lambda: _pausing(lambda: self.count("state IN (0, 1, 2, 3)") == 0), seconds=PATIENCE)

    def memory(self) -> int:
        """Resident bytes of the web tier."""
        pid = self.installed.processes()["web"]
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096

    def threads(self) -> int:
        """Threads of the web tier."""
        pid = self.installed.processes()["web"]
        return int(Path(f"/proc/{pid}/status").read_text().partition("Threads:")[2].split()[0])


@contextmanager
def site(kind: str, folder: Path) -> Iterator[Site]:
    """A fresh one with durable settings, whose nodes are online."""
    var = folder / "var"
    with (
        database(kind, var, durable=True) as store,
        installation(var, database_url=store.url) as installed,
    ):
        installed.start("--workers", str(WORKERS), "--slots", str(SLOTS))
        token = installed.manage("api_token", "create", "admin").stdout.strip()
        made = Site(installed, store, token)
        online = "SELECT count(*) FROM dispatcher_node WHERE state = 'online'"
        assert eventually(lambda: store.query(online)[0][0] == WORKERS, seconds=60)
        yield made


def percentile(values: Sequence[float], percent: int) -> float:
    """Of at least two values."""
    return statistics.quantiles(values, n=100)[percent - 1]


def say(text: Any) -> None:
    """Tell whoever watches."""
    print(text, file=sys.stderr, flush=True)


def _pausing(look: Callable[[], bool]) -> bool:
    threading.Event().wait(0.2)
    return look()

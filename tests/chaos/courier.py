"""Brings reports that nobody may believe: of an attempt that another has taken over from, and of somebody else's.

Zombies do that, but seldom just when it would do harm. This one is always in time: it watches the handlers' journals,
and as soon as a later attempt of a task has begun, it reports for an earlier one, or in the name of another node, with
true credentials. A dispatcher that does not compare attempts and nodes records a result that no handler made.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import records
from tests.chaos.journal import Journal
from tests.chaos.rig import Rig

PATH = "/api/v1/nodes/results"
LOOK_SECONDS = 0.1
TIMEOUT_SECONDS = 5.0


class Courier:
    """A thread of its own between ``start`` and ``stop``; past the proxies, so that it is not late itself."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._journal = Journal(rig.folder / "courier.jsonl")
        self._offsets: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        #: Verdicts, or statuses where there was none.
        self.answers: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(2 * TIMEOUT_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            again = [line for line in self._new_lines() if line["e"] == "start" and line["attempt"] > 1]
            for line in again:
                self._deliver(line["node"], line, line["attempt"] - 1)
                others = [name for name in self._rig.nodes if name != line["node"]]
                self._deliver(others[line["task"] % len(others)], line, line["attempt"])

    def _new_lines(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self._rig.folder.glob("runs-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                whole, _, _ = (text := file.read()).rpartition(b"\n")
            self._offsets[path] = self._offsets.get(path, 0) + (len(whole) + 1 if b"\n" in text else 0)
            found += [json.loads(line) for line in whole.split(b"\n") if line]
        return found

    def _deliver(self, node: str, line: dict[str, Any], attempt: int) -> None:
        """In the name of ``node``: this attempt of the task has succeeded."""
        result = {"nonce": line["nonce"], "digest": "made up"}
        item = {"task_id": str(line["task"]), "attempt": attempt, "outcome": "succeeded", "result": result}
        try:
            sql = "SELECT name, boot_id FROM dispatcher_node"
            boots = dict(records.query(self._rig.database, sql))
            status, answer = self._rig.post(
                PATH, self._rig.tokens[node], {"boot_id": boots[node], "results": [item]}, timeout=TIMEOUT_SECONDS
            )
        except (OSError, ValueError, http.client.HTTPException, psycopg.Error, sqlite3.Error):
            status, answer = 0, None
        verdict = answer["verdicts"][0]["verdict"] if status == 200 else str(status or "none")
        self.answers[verdict] += 1
        self._journal.write("forged", task=line["task"], attempt=attempt, node=node, verdict=verdict)

"""The submitter: a steady stream over REST, every request with a key, every answer on record."""

from __future__ import annotations

import http.client
import json
import random
import secrets
import threading
import time
from collections import Counter
from typing import Any

from tests.chaos.journal import Journal

TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 0.3
#: Of requests whose outcome is unknown, the share that is never tried again: such tasks may or may not exist.
GIVE_UP_SHARE = 0.02
#: Of single tasks: asked to be cancelled right after they were acknowledged.
CANCEL_SHARE = 0.15
FAILING_SHARE = 0.03
#: Of those: allowed no more attempts than fail, so that the task fails for good.
DOOMED_SHARE = 0.3
SHORT_MS = (20, 200)
CHILD_SHARE = 0.05
#: Tasks that only one node may run, and that take longer: their next attempt runs on the node that still knows the one
#: before, when its late result arrives.
BOUND_SHARE = 0.3
BOUND_MS = (500, 1500)


class Client:
    """Submits ``count`` tasks within ``seconds``, from a thread; ``is_done`` once all are answered for."""

    def __init__(
        self, journal: Journal, *, port: int, token: str, nodes: list[str], count: int, seconds: float, seed: int
    ) -> None:
        self._journal = journal
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._nodes = nodes
        self.count = count
        self._seconds = seconds
        self._random = random.Random(f"client {seed}")
        self._connection: http.client.HTTPConnection | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        #: Answers by status; 0: no answer.
        self.statuses: Counter[int] = Counter()
        self.submitted = 0
        #: What a good submit was refused with, if one was.
        self.refusal = ""
        #: Goes with every task, as a password that nobody may see.
        self.canary = f"canary-{secrets.token_hex(12)}"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, whatever is left."""
        self._stop.set()
        self._thread.join(TIMEOUT_SECONDS + 1)

    @property
    def is_done(self) -> bool:
        """Whether every submit has its answer or was given up."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        begun = time.monotonic()
        while self.submitted < self.count and not self._stop.is_set():
            due = begun + self._seconds * self.submitted / self.count
            self._stop.wait(max(0.0, due - time.monotonic()))
            size = min(self._random.choice((1, 1, 1, 5, 10, 50)), self.count - self.submitted)
            tasks = [self._task() for _ in range(size)]
            if size == 1 and self._random.random() < CANCEL_SHARE:
                tasks[0]["delay_seconds"] = self._random.choice((0, 1, 3))
                self._cancel(self._submit(tasks))
            else:
                self._submit(tasks)
            self.submitted += size

    def _task(self) -> dict[str, Any]:
        draw = self._random.random()
        key = f"{self._random.getrandbits(64):016x}"
        fails = self._random.choice((1, 2)) if self._random.random() < FAILING_SHARE else 0
        is_doomed = fails and self._random.random() < DOOMED_SHARE
        is_bound = self._random.random() < BOUND_SHARE
        length = self._random.randint(*(BOUND_MS if is_bound else SHORT_MS))
        return {
            "labels": {"at": self._random.choice(self._nodes)} if is_bound else {},
            "type": "chaos.child" if draw < CHILD_SHARE else "chaos.work",
            "payload": {"nonce": key, "ms": length, "fails": fails, "password": self.canary},
            "idempotency_key": key,
            "max_attempts": fails if is_doomed else 8,
            "backoff_seconds": 0.5,
            "backoff_cap_seconds": 2.0,
            "timeout_seconds": 10.0,
        }

    def _submit(self, tasks: list[dict[str, Any]]) -> list[str]:
        """Try until it is answered for; the ids of the tasks, or none if it was given up."""
        keys = [task["idempotency_key"] for task in tasks]
        body = json.dumps({"tasks": tasks})
        self._journal.write("invoked", keys=keys)
        while not self._stop.is_set():
            status, answer = self._post("/api/v1/tasks", body)
            if status in (200, 201):
                self._journal.write("acked", keys=keys, ids=[int(number) for number in answer["ids"]], status=status)
                return list(answer["ids"])
            self._journal.write("failed" if status else "unknown", keys=keys, status=status)
            if 400 <= status < 500 and status != 429:
                self.refusal = f"{status} {answer}"
                return []
            if not status and self._random.random() < GIVE_UP_SHARE:
                self._journal.write("given_up", keys=keys)
                return []
            self._stop.wait(RETRY_SECONDS)
        return []

    def _cancel(self, ids: list[str]) -> None:
        """Ask once; only a clear yes is held against the system."""
        for number in ids:
            status, answer = self._post(f"/api/v1/tasks/{number}/cancel", "{}")
            outcome = answer.get("outcome") if isinstance(answer, dict) else None
            self._journal.write("cancel", task=int(number), status=status, outcome=outcome)

    def _post(self, path: str, body: str) -> tuple[int, Any]:
        """(status, decoded answer); status 0 if there was none, so that nobody knows what came of it."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
            self._connection.request("POST", path, body=body, headers=self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self.statuses[0] += 1
            return 0, None
        self.statuses[response.status] += 1
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, {"text": text[:300].decode(errors="replace")}

"""Clients that submit tasks until they are told to stop, and keep what they were promised."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from typing import Any, Self

#: What a client waits after a request that came to nothing, in seconds.
PAUSE_SECONDS = 0.05


class Load:
    """``clients`` threads submit batches of ``batch`` tasks; a batch that is not acknowledged is sent again as it is.

    ``acknowledged`` has the ids of tasks that were answered 200 or 201, with the time of the answer. Use it as a
    context manager: the end waits until nobody has an open batch.
    """

    def __init__(
        self, port: int, token: str, *, clients: int = 3, batch: int = 5, task: dict[str, Any] | None = None
    ) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._batch = batch
        self._task = task or {"type": "demo.noop"}
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._run, name=f"client {n}") for n in range(clients)]
        self.acknowledged: dict[int, float] = {}
        #: Answers by status; 0 for requests without any.
        self.statuses: Counter[int] = Counter()
        #: Answers that were not as they should be.
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, seconds: float = 60.0) -> None:
        """Begin no new batch and wait for those that are open."""
        self._stop.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def acknowledged_since(self, moment: float) -> int:
        """How many tasks were acknowledged after this (monotonic)."""
        with self._guard:
            return sum(at > moment for at in self.acknowledged.values())

    def _run(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            while not self._stop.is_set():
                tasks = [{**self._task, "idempotency_key": uuid.uuid4().hex} for _ in range(self._batch)]
                body = json.dumps({"tasks": tasks})
                # An open batch is brought to its end: only then is it known what became of it.
                while not self._submit(connection, body):
                    threading.Event().wait(PAUSE_SECONDS)

    def _submit(self, connection: http.client.HTTPConnection, body: str) -> bool:
        try:
            return self._send(connection, body)
        except (OSError, http.client.HTTPException):
            # The next request opens it again.
            connection.close()
            self.statuses[0] += 1
            return False

    def _send(self, connection: http.client.HTTPConnection, body: str) -> bool:
        connection.request("POST", "/api/v1/tasks", body, self._headers)
        response = connection.getresponse()
        answer = response.read()
        with self._guard:
            self.statuses[response.status] += 1
            if response.status in (200, 201):
                moment = time.monotonic()
                self.acknowledged |= {int(pk): moment for pk in json.loads(answer)["ids"]}
                return True
            is_problem = response.headers.get("Content-Type") == "application/problem+json"
            if response.status not in (429, 503) or not is_problem or not response.headers.get("Retry-After"):
                self.faults.append(f"{response.status} {dict(response.headers)} {answer[:300]!r}")
        return False

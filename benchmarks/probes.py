"""What a measurement needs of a running installation: a client with one kept-alive connection, and CPU times."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import Any

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ApiClient:
    """Requests with a token over one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def get(self, path: str) -> Any:
        """GET; the decoded answer. ``SystemExit`` with the answer's text if it is an error."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: bytes) -> Any:
        """POST JSON; the decoded answer. ``SystemExit`` with the answer's text if it is an error."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        self._connection.request(method, path, body=body, headers=self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{path}: {response.status} {answer[:500]!r}")
        return json.loads(answer)


def cpu_seconds(processes: dict[str, int]) -> dict[str, float]:
    """CPU time used so far by the web tier, the engine and the workers; ``processes`` by name."""
    found = {"web": 0.0, "engine": 0.0, "workers": 0.0}
    for name, pid in processes.items():
        kind = "workers" if name.startswith("local-") else name
        if kind in found:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[kind] += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return found

"""The REST API of an installation, as a program calls it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.launch.installation import Installation
from tests.launch.programs import eventually


class Api:
    """The REST API with a token of a user."""

    def __init__(self, installed: Installation, user: str = "admin") -> None:
        self._url = installed.url
        self.token = installed.manage("api_token", "create", user).stdout.strip()

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """GET, or POST where there is a body; the decoded answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def node(self, name: str) -> dict[str, Any]:
        """One node, as the API shows it."""
        found: dict[str, Any] = self.ask(f"/api/v1/nodes/{name}")["node"]
        return found

    def submit(self, *tasks: dict[str, Any]) -> list[str]:
        """Submit tasks; their ids."""
        ids: list[str] = self.ask("/api/v1/tasks", {"tasks": list(tasks)})["ids"]
        return ids

    def task(self, task_id: str) -> dict[str, Any]:
        """One task with everything."""
        found: dict[str, Any] = self.ask(f"/api/v1/tasks/{task_id}")
        return found

    def await_state(self, task_id: str, *states: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a task is in one of the states."""
        assert eventually(lambda: self.task(task_id)["state"] in states, seconds=seconds), self.task(task_id)
        return self.task(task_id)

"""Real processes: the web tier, the engine and two worker nodes, as ``make run`` starts them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.conftest import new_installation_database
from tests.e2e.browser import Visit, chromium
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually


class Api:
    """The REST API with a token."""

    def __init__(self, installed: Installation) -> None:
        self._url = installed.url
        self.token = installed.manage("api_token", "create", "admin").stdout.strip()

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


@contextmanager
def running(var: Path, database_url: str) -> Iterator[Installation]:
    """An installation of its own, running, with both nodes online."""
    with installation(var, database_url=database_url) as made:
        made.start()
        yield made


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all tests that leave it as they found it."""
    with new_installation_database() as url, running(tmp_path_factory.mktemp("shared") / "var", url) as made:
        yield made


@pytest.fixture(scope="session")
def api(installed: Installation) -> Api:
    """The REST API of the shared installation; returns when both nodes are online."""
    return api_of(installed)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for the tests of a module: no longer, because its event loop is that of the thread."""
    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def no_breaches() -> Iterator[None]:
    """No page that anybody opens in a test asks another origin for anything, or is refused something by the policy."""
    Visit.of_this_test.clear()
    yield
    breaches = [breach for visit in Visit.of_this_test for breach in visit.breaches]
    assert breaches == []


@pytest.fixture
def visit(browser: Browser, installed: Installation, api: Api) -> Iterator[Visit]:
    """Someone who is signed in; nothing that they open may complain."""
    made = Visit(browser, installed)
    made.sign_in()
    yield made
    made.context.close()
    assert made.complaints == []


@pytest.fixture
def fragile(tmp_path: Path, empty_database_url: str) -> Iterator[Installation]:
    """An installation for one test that breaks things."""
    with running(tmp_path / "var", empty_database_url) as made:
        api_of(made)
        yield made


def api_of(installed: Installation) -> Api:
    """The REST API of an installation; returns when both nodes are online."""
    found = Api(installed)
    assert eventually(lambda: all(found.node(name)["state"] == "online" for name in ("local-1", "local-2")))
    return found

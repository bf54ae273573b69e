"""Real processes: the web tier, the engine and two worker nodes, as ``make run`` starts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import new_installation_database
from tests.e2e.browser import Visit, chromium
from tests.e2e.rest import Api
from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually


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

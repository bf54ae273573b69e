"""One web tier with small limits for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import new_installation_database
from tests.launch.installation import Installation
from tests.storms.web_tier import web_tier


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation with the limits of ``web_tier.LIMITS``."""
    with new_installation_database() as url, web_tier(tmp_path_factory.mktemp("limited") / "var", url) as made:
        yield made


@pytest.fixture(scope="module")
def token(limited: Installation) -> str:
    """An API token of it."""
    return limited.manage("api_token", "create", "admin").stdout.strip()

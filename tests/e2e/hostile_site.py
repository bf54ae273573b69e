"""A web tier over a database of its own, where every field is filled with what attackers write."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import Client

from taskdist_site.env import postgresql_settings
from tests.architecture.sources import ROOT
from tests.conftest import new_installation_database
from tests.launch.installation import Installation
from tests.launch.programs import eventually
from tests.security.hostile import make_world

Result = TypeVar("Result")


class HostileSite:
    """The site, and a hand in its database."""

    def __init__(self, installed: Installation, hand: ThreadPoolExecutor) -> None:
        self.installed = installed
        # A thread of its own: in Playwright's an event loop runs, so that Django lets nobody ask a database there.
        self._hand = hand
        self.world = self.do(make_world)

    def do(self, work: Callable[..., Result], *args: Any) -> Result:
        """Do something in the database."""
        return self._hand.submit(work, *args).result(60)

    def session(self) -> str:
        """The session of somebody who may do everything."""
        return self.do(_session_of, self.world["username"])


def _session_of(name: str) -> str:
    client = Client()
    client.force_login(get_user_model().objects.get(username=name))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _connect(installed: Installation) -> None:
    """Point this thread's connection at the site's database, and make the tables."""
    url = installed.environment["TASKDIST_DATABASE_URL"]
    own = postgresql_settings("the test", url) if url else {"NAME": str(installed.var / "taskdist.sqlite3")}
    if url:
        own["OPTIONS"]["pool"] = None
    connection.settings_dict = {**connection.settings_dict, **own}
    ContentType.objects.clear_cache()
    call_command("migrate", verbosity=0, interactive=False)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _leave() -> None:
    ContentType.objects.clear_cache()
    connection.close()


@contextmanager
def hostile_site(folder: Path) -> Iterator[HostileSite]:
    """One, with its web tier running. Call where tests may use databases."""
    var = folder / "var"
    var.mkdir(mode=0o700)
    with new_installation_database() as url:
        limits = {"TASKDIST_SECRET_KEY": settings.SECRET_KEY}
        installed = Installation(var, database_url=url, **limits)
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(installed.port)]
        with ThreadPoolExecutor(1) as hand, installed.console.open("wb") as log:
            process = subprocess.Popen(
                [*command, "taskdist_site.asgi:application"],
                cwd=ROOT,
                env=installed.environment,
                stdout=log,
                stderr=log,
            )
            try:
                hand.submit(_connect, installed).result(120)
                site = HostileSite(installed, hand)
                assert eventually(lambda: _answers(installed.port) or process.poll() is not None)
                assert process.poll() is None, installed.said()
                yield site
            finally:
                process.terminate()
                process.wait(20)
                hand.submit(_leave).result(60)

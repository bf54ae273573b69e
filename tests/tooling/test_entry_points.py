from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.urls import reverse

from taskdist_site.asgi import application
from tests.architecture.sources import ROOT


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/tasks", "/task", "/live/snapshot", "/", "/login/", "/admin/login/"]
)
def test_every_part_has_its_addresses(path: str) -> None:
    response = Client().get(path)
    response.close()
    assert response.status_code != 404


@pytest.mark.django_db
def test_whoever_is_not_signed_in_is_sent_to_the_login() -> None:
    response = Client().get("/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("dashboard:login"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", ""])
async def test_a_websocket_from_elsewhere_is_refused(origin: str) -> None:
    headers = [(b"host", b"localhost"), (b"origin", origin.encode())]
    socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
    connected, _ = await socket.connect()
    assert not connected


@pytest.mark.django_db(transaction=True)
async def test_a_websocket_from_our_own_page_gets_through() -> None:
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
    connected, _ = await socket.connect()
    assert connected
    # Let in far enough to be told that nobody is signed in.
    assert (await socket.receive_output(5)) == {"type": "websocket.close", "code": 4401}


def test_manage_py_can_be_read_by_pythons_that_are_too_old() -> None:
    # `from __future__ import annotations` came with 3.7, which the feature version here does not refuse.
    source = (ROOT / "manage.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "__future__" not in source


def manage(*words: str, var: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TASKDIST_VAR": str(var), "TASKDIST_SECRET_KEY": "k" * 50}
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [("node_token", "enrol"), ("demo", "--tasks", "1")])
def test_a_database_without_tables_is_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = manage(*words, var=tmp_path)
    assert ran.returncode == 1
    assert "no such table" in ran.stderr
    assert "manage.py doctor" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taskdist.sqlite3").write_bytes(b"not a database at all " * 100)
    ran = manage("node_token", "enrol", var=tmp_path)
    assert ran.returncode == 1
    assert "file is not a database" in ran.stderr
    assert "Traceback" not in ran.stderr

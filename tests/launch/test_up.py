from __future__ import annotations

import http.client
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.launch.installation import Installation, installation
from tests.launch.programs import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

PROGRAMS = {"up", "keeper", "web", "engine", "local-1", "local-2"}


@pytest.fixture
def installed(tmp_path: Path, empty_database_url: str) -> Iterator[Installation]:
    with installation(tmp_path / "var", database_url=empty_database_url) as made:
        yield made


def node_levels(installed: Installation) -> list[str]:
    return [finding["level"] for finding in installed.doctor().get("nodes", [])]


def test_a_stranger_starts_it_stops_it_and_starts_it_again(installed: Installation) -> None:
    installed.start()
    assert installed.programs() == PROGRAMS
    assert len(installed.password()) >= 12
    assert installed.password() not in _everything_below(installed.var)
    # The engine and the nodes may take longer than the web tier.
    assert eventually(lambda: installed.manage("doctor", check=False).returncode == 0), installed.doctor()
    assert node_levels(installed) == ["ok", "ok"]
    assert _open_to_others(installed.var) == []

    # SIGTERM to the whole group, as a service manager or `make` sends it, perhaps twice.
    os.killpg(installed.pid, signal.SIGTERM)
    assert installed.stop() == 0
    assert installed.processes() == {}

    printed = len(installed.said())
    installed.start("--workers", "1", "--slots", "2")
    assert "password" not in installed.said(printed)
    assert installed.programs() == PROGRAMS - {"local-2"}
    assert installed.stop(signal.SIGINT) == 0
    assert installed.processes() == {}


def test_a_killed_process_comes_back_and_a_killed_supervisor_takes_all_with_it(installed: Installation) -> None:
    installed.start()
    before = installed.processes()
    for name in ("local-1", "engine", "web"):
        os.kill(before[name], signal.SIGKILL)

    def all_new() -> bool:
        now = installed.processes()
        is_new = all(now.get(name) not in (None, before[name]) for name in ("local-1", "engine", "web"))
        return is_new and installed.programs() == PROGRAMS

    assert eventually(all_new), installed.said()
    assert "local-1 | ended with signal SIGKILL" in installed.said()
    assert eventually(lambda: _answers(installed)), installed.said()

    # A second one on the same folder is told who holds it.
    second = installed.manage("up", check=False)
    assert second.returncode == 1
    assert f"process {installed.pid}" in second.stderr

    os.kill(installed.pid, signal.SIGKILL)
    assert eventually(lambda: not installed.processes()), installed.processes()


def _answers(installed: Installation) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", installed.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _everything_below(folder: Path) -> str:
    texts = []
    for path in folder.rglob("*"):
        # Running processes also delete files.
        with suppress(FileNotFoundError):
            texts += [path.read_text(errors="replace")] if path.is_file() else []
    return "".join(texts)


def _open_to_others(folder: Path) -> list[Path]:
    found = []
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode
            found += [path] if stat.S_IMODE(mode) & 0o077 and not stat.S_ISSOCK(mode) else []
    return found

from __future__ import annotations

import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError

from dispatcher import credentials
from dispatcher.launch import preparation, reachability
from dispatcher.launch.logs import LogFile
from dispatcher.launch.programs import KEPT_FROM_WORKERS, Address, base_environment, worker_program
from tests.launch.installation import free_port

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def keep_umask():
    import os

    before = os.umask(0o022)
    yield
    os.umask(before)


def test_folders_are_private_also_where_they_were_not(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir(mode=0o755)
    preparation.prepare_folders(var)
    assert [mode(path) for path in (var, var / "log", var / "nodes")] == [0o700] * 3
    (var / "new").touch()
    assert mode(var / "new") == 0o600


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file in the way")
    with pytest.raises(CommandError, match="TASKDIST_VAR"):
        preparation.prepare_folders(tmp_path / "var")


@pytest.mark.django_db
def test_the_first_admin_can_log_in_and_is_made_once() -> None:
    password = preparation.make_first_admin()
    assert len(password) >= 12
    assert authenticate(username="admin", password=password) is not None
    assert preparation.make_first_admin() == ""
    assert get_user_model().objects.filter(is_superuser=True).count() == 1


@pytest.mark.django_db
def test_a_workers_credential_is_kept_from_start_to_start(tmp_path: Path) -> None:
    path = preparation.ensure_worker_token(tmp_path / "local-1", name="local-1", now=NOW)
    token = path.read_text().strip()
    assert mode(path) == 0o600
    credential = credentials.authenticate(token, now=NOW)
    assert credential is not None
    assert credential.node is not None
    assert credential.node.name == "local-1"

    preparation.ensure_worker_token(tmp_path / "local-1", name="local-1", now=NOW)
    assert path.read_text().strip() == token

    credentials.revoke(credential, actor="test", now=NOW)
    preparation.ensure_worker_token(tmp_path / "local-1", name="local-1", now=NOW)
    assert path.read_text().strip() != token


def test_workers_get_neither_the_database_nor_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEPT_FROM_WORKERS:
        monkeypatch.setenv(name, "secret")
    program = worker_program(
        name="local-1",
        address=Address(host="0.0.0.0", port=8000),
        slots=4,
        node_dir=tmp_path,
        token_file=tmp_path / "token",
        environment=base_environment(tmp_path, Address(host="0.0.0.0", port=8000)),
    )
    assert not set(KEPT_FROM_WORKERS) & set(program.environment)
    assert "http://127.0.0.1:8000" in program.command


def test_a_port_in_use_is_a_sentence_with_another_port() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(CommandError, match=f"PORT={port + 1}"):
            reachability.check_free(Address(host="127.0.0.1", port=port))
        assert not reachability.answers(Address(host="127.0.0.1", port=port))
    reachability.check_free(Address(host="127.0.0.1", port=port))


def test_an_address_that_is_not_ours_is_a_sentence() -> None:
    with pytest.raises(CommandError, match="--host"):
        reachability.check_free(Address(host="192.0.2.1", port=8000))


@pytest.mark.parametrize("option", ["--port=0", "--port=70000", "--workers=-1", "--slots=many"])
def test_up_refuses_bad_numbers(option: str) -> None:
    with pytest.raises(CommandError, match="whole number"):
        call_command("up", option)


def test_a_long_log_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.launch.logs.MAX_LOG_BYTES", 100)
    log = LogFile(tmp_path / "web.log")
    with log.open_for_process() as stream:
        stream.write(b"x" * 200 + b"\n")
        stream.flush()
        log.keep_bounded()
        stream.write(b"later ERROR\n")
    assert log.problems(0.0) == ["later ERROR"]
    assert (tmp_path / "web.log").read_bytes() == b"later ERROR\n"
    assert (tmp_path / "web.log.1").stat().st_size == 201


def test_many_problems_at_once_are_counted_not_shown(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    log.path.write_text("".join(f"ERROR no {'x' * number}\n" for number in range(50)))
    shown = log.problems(0.0)
    assert len(shown) == 6
    assert "45 more" in shown[-1]
    assert log.problems(0.0) == []


def test_a_problem_that_comes_again_is_shown_once_a_minute(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    shown = []
    for second in range(0, 130, 10):
        with log.open_for_process() as stream:
            stream.write(f"12:00:{second} ERROR no disk\n".encode())
        shown += log.problems(float(second))
    assert shown == [f"12:00:{second} ERROR no disk" for second in (0, 60, 120)]

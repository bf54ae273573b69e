"""Options and their errors: sentences, exit status 2, no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workers.node_process import REPOSITORY, node_environment
from workers.config import parse
from workers.options import ConfigError

ENOUGH = ["--dispatcher", "http://127.0.0.1:9", "--token", "tdn_12345678", "--name", "n"]


def test_what_is_needed_is_little() -> None:
    config = parse(["--dispatcher", "https://d.example/x/", "--name", "n"], {"TASKDIST_TOKEN": "tdn_12345678"})
    assert (config.dispatcher, config.token, config.bind, config.port) == (
        "https://d.example/x", "tdn_12345678", "127.0.0.1", 0,
    )  # fmt: skip
    assert config.slots >= 1
    assert config.url(4321) == "http://127.0.0.1:4321"


def test_everything_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("tde_abcdefgh\n")
    config = parse(
        ["--dispatcher", "http://d", "--token-file", str(tmp_path / "token"), "--slots", "8", "--import", "a",
         "--import", "b.c", "--label", "gpu=yes", "--label", "empty=", "--queue", "q", "--name", "n", "--bind", "::1",
         "--port", "81", "--state-dir", str(tmp_path), "--executor", "process", "--allow-commands",
         "--command", 'c.ls=["ls", "{dir}"]', "--drain-seconds", "1.5", "--log-level", "debug"], {},
    )  # fmt: skip
    assert (config.token, config.slots, config.imports) == ("tde_abcdefgh", 8, ["a", "b.c"])
    assert (config.labels, config.queues, config.executor) == ({"gpu": "yes", "empty": ""}, ["q"], "process")
    assert config.commands["c.ls"].argv[0].startswith("/")
    assert config.url(81) == "http://[::1]:81"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dispatcher", "ftp://x"], "no address"),
        (["--dispatcher", "http://user:pw@x"], "no address"),
        (["--dispatcher", "http://x:99999"], "no address"),
        (["--slots", "0"], "--slots '0': give a whole number from 1"),
        (["--slots", "many"], "--slots"),
        (["--label", "gpu"], "KEY=VALUE"),
        (["--label", "a=1", "--label", "a=2"], "twice"),
        (["--name", "a/b"], "--name"),
        (["--token-file", "/nowhere"], "not both"),
        (["--token", "with blank"], "The token"),
        (["--port", "70000"], "--port"),
        (["--bind", "0.0.0.0"], "--advertise-url"),
        (["--advertise-url", "http://me:5000"], "give the same --port"),
        (["--command", 'x=["ls"]'], "--allow-commands"),
        (["--allow-commands", "--command", "x=ls -l"], "NAME="),
        (["--allow-commands", "--command", 'x=["ls", "-d{dir}"]'], "argument of its own"),
        (["--allow-commands", "--command", 'x=["no-such-program-here"]'], "no program"),
        (["--allow-commands", "--command", 'x=["{program}"]'], "no program"),
        (["--allow-commands", "--command", "x=[]"], "program first"),
        (["--allow-commands", "--command", 'bad name=["ls"]'], "no name"),
        (["--allow-commands", "--commands-file", "/nowhere"], "No such file"),
        (["--ca-file", "/nowhere"], "no such file"),
        (["--drain-seconds", "-1"], "drain-seconds"),
        (["--no-such-option"], "--help"),
        (["--executor", "gpu"], "--executor"),
    ],
)
def test_bad_options_are_told_in_sentences(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse([*ENOUGH, *options], {})


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers", *options],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        env=node_environment(TASKDIST_TOKEN="") | environment,
        check=False,
    )


def refused(*options: str, **environment: str) -> str:
    """The one line that the program says when it does not start."""
    ended = run(*options, **environment)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.fixture
def usable(tmp_path: Path) -> list[str]:
    return [*ENOUGH, "--state-dir", str(tmp_path / "state"), "--import", "workers.handlers.demo"]


def test_help_explains() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    for word in ("--dispatcher", "TASKDIST_TOKEN", "DJANGO_SETTINGS_MODULE", "SIGTERM"):
        assert word in ended.stdout


def test_without_a_dispatcher() -> None:
    assert "--dispatcher URL" in refused()


def test_without_a_token(tmp_path: Path) -> None:
    options = ["--dispatcher", "http://d", "--state-dir", str(tmp_path), "--import", "workers.handlers.demo"]
    assert "no token" in refused(*options)


def test_without_handlers(tmp_path: Path) -> None:
    assert "--import" in refused(*ENOUGH, "--state-dir", str(tmp_path))


def test_with_a_module_that_is_not_there(usable: list[str]) -> None:
    assert "--import no.such: there is no such module" in refused(*usable, "--import", "no.such")


def test_with_two_handlers_of_one_name(usable: list[str], tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text("from workers import task\n@task(name='demo.echo')\ndef x(): pass\n")
    said = refused(*usable, "--import", "twice", PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert "'demo.echo' is defined twice" in said


@pytest.mark.parametrize("module", ["", ".tasks", "tasks.py", "app/tasks", "my app"])
def test_with_a_module_that_has_no_such_name(usable: list[str], module: str) -> None:
    assert "such as myapp.tasks" in refused(*usable, "--import", module)


@pytest.mark.parametrize(
    ("source", "words"),
    [("x = y", "NameError: name 'y'"), ("def x(:", "SyntaxError"), ("import no_such", "No module named 'no_such'")],
)
def test_with_a_module_that_fails(usable: list[str], tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "faulty.py").write_text(source)
    ended = run(*usable, "--import", "faulty", PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    *trace, line = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert "--import faulty: the module cannot be loaded" in line
    assert words in line
    assert any("faulty.py" in text for text in trace)


def test_with_django_settings_that_are_not_there(usable: list[str]) -> None:
    assert "DJANGO_SETTINGS_MODULE=no.such" in refused(*usable, DJANGO_SETTINGS_MODULE="no.such")


@pytest.mark.parametrize("name", ["outbox", "commands"])
def test_with_a_state_directory_that_holds_something_else(usable: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).touch()
    commands = ["--allow-commands", "--command", 'x=["true"]']
    assert f"{name}: File exists. Give another by --state-dir" in refused(*usable, *commands)


def test_with_a_state_directory_that_cannot_be(usable: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(*usable, "--state-dir", str(tmp_path / "file" / "below"))
    assert "state directory" in said


def test_with_a_port_in_use(usable: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Cannot listen on 127.0.0.1 port {port}" in refused(*usable, "--port", str(port))


def test_the_program_does_not_load_django() -> None:
    code = "import sys, workers.lifetime, workers.handlers.demo, workers.executor.child; print('django' in sys.modules)"
    ended: Any = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=node_environment(), check=True
    )
    assert ended.stdout.strip() == "False"

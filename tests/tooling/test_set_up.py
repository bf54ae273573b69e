"""What the first minute of a stranger stands on: locks, the search for a Python, the rule against skips."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

FIND_PYTHON = ROOT / "scripts" / "find_python.sh"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted_names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement).group()) for requirement in requirements}


def pins(lock: str) -> dict[str, list[str]]:
    """Return the lines of each pinned package, by its normal name."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if match := re.match(r"([\w.-]+)(\[[\w,]+\])?==", line):
            found.setdefault(normal(match.group(1)), []).append(line)
    return found


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
def test_locks_pin_versions_and_hashes_and_name_no_host(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    entries = re.split(r"\n(?=\w)", text.strip())
    assert len(entries) > 20
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry or "==" not in entry] == []


def test_locks_hold_what_the_project_asks_for() -> None:
    runs_on = wanted_names(PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["demo"])
    assert runs_on <= set(pins("run.lock"))
    assert runs_on | wanted_names(PROJECT["dependency-groups"]["dev"]) <= set(pins("dev.lock"))


def test_tests_run_with_the_versions_that_people_run() -> None:
    dev = pins("dev.lock")
    assert {name: lines for name, lines in pins("run.lock").items() if dev.get(name) != lines} == {}


def test_the_newest_python_gets_the_newest_django() -> None:
    versions = {line.split(" ; ")[1].rstrip(" \\"): line.split(" ; ")[0] for line in pins("run.lock")["django"]}
    assert versions["python_full_version < '3.12'"].startswith("django==5.2.")
    assert versions["python_full_version >= '3.12'"].startswith("django==6.")


def find_python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", FIND_PYTHON, *words],
        env={"PATH": "/nowhere", "HOME": "/nowhere", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "echo 'no such version' >&2; exit 127")
    fake_python(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    found = find_python(PATH=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).samefile(sys.executable)


def test_no_python_is_a_sentence_that_says_what_to_do() -> None:
    found = find_python()
    assert found.returncode == 2
    assert found.stdout == ""
    assert "make run PYTHON=" in found.stderr


def test_a_python_without_venv_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    script = f'case "$2" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac'
    fake_python(tmp_path, "python3", script)
    found = find_python(PATH=str(tmp_path))
    assert found.returncode == 2
    assert "apt install python3-venv" in found.stderr


def test_no_newest_python_is_said_by_the_status_alone() -> None:
    found = find_python("newest")
    assert (found.returncode, found.stdout) == (1, "")


SKIPPING = {
    "inside": "import pytest\ndef test_it():\n    pytest.skip('not today')\n",
    "marked": "import pytest\n@pytest.mark.skip\ndef test_it():\n    pass\n",
    "whole": "import pytest\npytest.skip('not at all', allow_module_level=True)\n",
}


@pytest.mark.parametrize("option", ["--no-skips", "--strict-markers"])
def test_a_skip_fails_where_skips_are_forbidden(tmp_path: Path, option: str) -> None:
    for name, source in SKIPPING.items():
        (tmp_path / f"test_{name}.py").write_text(source)
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    plugins = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, option, tmp_path],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "CI"},
        capture_output=True,
        text=True,
        check=False,
    )
    closing = run.stdout.splitlines()[-1]
    if option == "--no-skips":
        assert run.returncode == 1
        assert re.search(r"1 failed, 1 passed, 2 errors", closing), run.stdout
    else:
        assert run.returncode == 0
        assert re.search(r"1 passed, 3 skipped", closing), run.stdout

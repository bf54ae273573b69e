"""A57, A32: what is installed is no older than the releases that closed known holes."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.architecture.sources import ROOT

#: (package, series, first release of it without known holes): CVE-2026-3902, CVE-2026-5766, CVE-2026-35192 and before
#: (Django); CVE-2026-44545 and CVE-2026-44546 (daphne); CVE-2025-66418, CVE-2026-21441 (urllib3); CVE-2024-47081
#: (requests); CVE-2024-21520 (DRF).
FLOORS = [
    ("django", "5.2", "5.2.16"),
    ("django", "6.0", "6.0.7"),
    ("daphne", "", "4.2.3"),
    ("urllib3", "", "2.6.3"),
    ("requests", "", "2.32.4"),
    ("djangorestframework", "", "3.15.2"),
]


def pinned(lock: str, name: str) -> list[Version]:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return [Version(found[1]) for line in lines if (found := re.match(rf"{name}(?:\[[\w,]+\])?==([^ ;]+)", line))]


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
@pytest.mark.parametrize(("name", "series", "floor"), FLOORS)
def test_a57_locks_pin_nothing_older_than_the_floors(lock: str, name: str, series: str, floor: str) -> None:
    found = pinned(lock, name)
    assert found
    for version in found:
        if not series or f"{version.major}.{version.minor}" == series:
            assert version >= Version(floor)


@pytest.mark.parametrize(("name", "series", "floor"), FLOORS)
def test_a57_whoever_installs_without_locks_gets_nothing_older_either(name: str, series: str, floor: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {found.name.lower(): found for found in map(Requirement, project["dependencies"])}
    assert name in wanted
    minor = int(floor.rpartition(".")[2])
    for patch in range(minor):
        assert not wanted[name].specifier.contains(f"{floor.rpartition('.')[0]}.{patch}"), patch


def test_a57_the_locks_hold_hashes_and_no_source() -> None:
    for lock in ("run.lock", "dev.lock"):
        entries = re.split(r"\n(?=\w)", (ROOT / "requirements" / lock).read_text().strip())
        assert all("==" in entry and "--hash=sha256:" in entry and "://" not in entry for entry in entries)


def test_a57_nothing_unpickles_evaluates_or_starts_a_shell() -> None:
    banned = re.compile(
        r"\b(pickle|marshal|shelve|dill)\b|yaml\.load|(?<![.\w])(eval|exec)\(|shell=True|os\.(system|popen)\("
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("dispatcher", "workers", "taskdist_site")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if banned.search(line.partition("#")[0]) and '"""' not in line
    ]
    assert found == []

"""The pages of documentation: links lead somewhere, every page is found, commands and variables exist."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class

from dispatcher.launch.variables import known_names
from tests.architecture.sources import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
#: Read by the worker, or set by it for what tasks start.
WORKER_VARIABLES = {"TASKDIST_DISPATCHER", "TASKDIST_TOKEN", "TASKDIST_RUN"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Links within the repository: the file and the heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield (page.parent / file).resolve() if file else page, anchor


def anchors(page: Path) -> set[str]:
    """Headings as they are linked to: lower case, blanks as dashes, no other signs."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        assert file.exists(), f"{name_of(page)} links to {file}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to #{anchor} of {file.name}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, fresh = set[Path](), {ROOT / "README.md"}
    while fresh:
        reached |= fresh
        targets = {file for page in fresh for file, _ in links(page)}
        folders = {page for file in targets if file.is_dir() for page in file.glob("*.md")}
        fresh = {file for file in targets | folders if file.suffix == ".md"} - reached
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_variables_exist() -> None:
    known = known_names() | WORKER_VARIABLES
    for page in PAGES:
        named = set(re.findall(r"\bTASKDIST_[A-Z_]+\b", page.read_text()))
        assert named - known == set(), name_of(page)


def test_commands_of_manage_py_exist() -> None:
    own = {path.stem for path in (ROOT / "dispatcher/management/commands").glob("[a-z]*.py")}
    for page in PAGES:
        for command, action in re.findall(r"manage\.py (\w+)(?: (\w+))?", page.read_text()):
            if command in own:
                assert is_understood(command, action), f"{name_of(page)}: manage.py {command} {action}"
            else:
                assert command in {"check", "migrate", "createsuperuser", "changepassword"}, name_of(page)


def is_understood(command: str, action: str) -> bool:
    """Whether the command has that action, if it has actions at all."""
    parser: ArgumentParser = load_command_class("dispatcher", command).create_parser("manage.py", command)
    choices = [set(found.choices) for found in parser._actions if found.choices and not found.option_strings]
    return not choices or not action or action in choices[0]


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert named - targets == set(), name_of(page)


def test_files_of_the_project_exist() -> None:
    for page in PAGES:
        for path in re.findall(r"`((?:dispatcher|workers|tests|taskdist_site)/[\w./*]*)", page.read_text()):
            assert any(ROOT.glob(path.rstrip("/"))), f"{name_of(page)}: {path}"

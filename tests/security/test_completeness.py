"""The table of attacks in docs/security.md: each has a test that exists, or a reason why it cannot occur."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

ROWS = range(1, 58)
#: Rows that nothing proves yet. It may only shrink.
UNPROVED: set[int] = set()

_TABLE_ROW = re.compile(r"^\| A(\d+) \|(.*)\|$", re.MULTILINE)
_REFERENCE = re.compile(r"`(tests/[\w/.]+\.py)(?:::([\w:]+))?`")
_NAMED = re.compile(r"test_a(\d\d)_(?:a(\d\d)_)?")


def rows() -> dict[int, str]:
    """The last column of every row, by number."""
    found = _TABLE_ROW.findall((ROOT / "docs" / "security.md").read_text())
    assert [int(number) for number, _ in found] == list(ROWS)
    return {int(number): cells.rpartition("|")[2] for number, cells in found}


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of a file's tests, those of classes as ``Class::test``."""
    return frozenset(_tests(ast.parse(path.read_text()).body))


def _tests(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name


def named(number: int, names: frozenset[str]) -> list[str]:
    """Those of the tests that carry the number of the row: ``test_a22_…``, or within ``test_a22_a26_…``."""
    found = []
    for name in names:
        match = _NAMED.match(name.rpartition("::")[2])
        if match and int(match[1]) <= number <= int(match[2] or match[1]):
            found.append(name)
    return found


@pytest.mark.parametrize("number", ROWS)
def test_what_the_table_names_exists(number: int) -> None:
    for path, name in _REFERENCE.findall(rows()[number]):
        names = names_in(ROOT / path)
        assert name in names if name else named(number, names), f"A{number}: {path} has no {name or 'test of this row'}"


def test_every_row_is_proved() -> None:
    everywhere = frozenset().union(*(names_in(path) for path in (ROOT / "tests").rglob("test_*.py")))
    table = rows()
    missing = {number for number in ROWS if not _REFERENCE.search(table[number]) and not named(number, everywhere)}
    assert missing <= UNPROVED

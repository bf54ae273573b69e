from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ALSO_OURS, PACKAGES, name, python_files, script_files

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "managers", "stuff", "base_utils"}


def long_functions(source: str) -> Iterator[str]:
    """Yield the functions over the budget, decorators and docstring included, as `name (N lines)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name} ({length} lines)"


def banned_part(path: Path) -> str | None:
    """Return the part of a path that names nothing, if there is one."""
    return next((part for part in path.parts if part.partition(".")[0] in BANNED_NAMES), None)


def test_files_fit_the_budget() -> None:
    # A table of words is as long as the dashboard is talkative.
    scripts = [path for path in script_files() if path.parent.name != "words"]
    files = [*python_files(*PACKAGES, *ALSO_OURS), *scripts]
    lengths = {name(path): len(path.read_text().splitlines()) for path in files}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_fit_the_budget() -> None:
    found = [
        f"{name(path)}: {function}"
        for path in python_files(*PACKAGES, *ALSO_OURS)
        for function in long_functions(path.read_text())
    ]
    assert found == []


def test_a_long_function_is_found() -> None:
    body = "\n".join(f"    x = {number}" for number in range(MAX_FUNCTION_LINES))
    assert list(long_functions(f"async def far_too_long():\n{body}")) == ["far_too_long (51 lines)"]
    assert list(long_functions("def short():\n    return 1")) == []


def test_files_are_named_for_their_role() -> None:
    files = [*python_files(*PACKAGES, *ALSO_OURS), *script_files()]
    assert [name(path) for path in files if banned_part(Path(name(path)))] == []


@pytest.mark.parametrize("path", ["dispatcher/utils.py", "dispatcher/common/x.py", "static/js/helpers.js"])
def test_a_name_without_meaning_is_found(path: str) -> None:
    assert banned_part(Path(path))

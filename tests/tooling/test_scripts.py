"""What the scripts of the pages are checked with: the compiler's lock, and the types made from Python classes."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest

from dispatcher.live.topics import NodesTopic
from dispatcher.queries import shapes
from tests.architecture.sources import ROOT

FIND_NODE = ROOT / "scripts" / "find_node.sh"
WRITE_TYPES = ROOT / "scripts" / "write_types.py"


def test_the_compilers_lock_has_hashes_and_names_no_host() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    own, others = packages.pop(""), packages
    assert "node_modules/typescript" in others
    assert [name for name, entry in others.items() if not entry["integrity"].startswith("sha512-")] == []
    assert [name for name, entry in others.items() if not entry["dev"]] == []
    asked = json.loads((ROOT / "package.json").read_text())
    assert set(asked) & {"dependencies", "scripts", "peerDependencies"} == set()
    assert own["devDependencies"] == asked["devDependencies"]
    assert all(version[0].isdigit() for version in asked["devDependencies"].values())


def test_the_types_of_scripts_are_what_the_classes_say() -> None:
    done = subprocess.run([sys.executable, WRITE_TYPES, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def types() -> Callable[[], str]:
    written: Callable[[], str] = runpy.run_path(str(WRITE_TYPES))["types"]
    return written


class Grown(TypedDict):
    """A shape."""

    #: What is
    #: new.
    fresh: list[str | None]
    more: dict[str, tuple[int, bool]]


def test_a_shape_that_changes_changes_the_types(types: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = types()
    assert before == (ROOT / "static/js/types.d.ts").read_text()
    monkeypatch.setattr(shapes, "Counts", Grown)
    after = types()
    assert "interface Counts" not in after
    assert (
        "  /** What is\n   * new. */\n  fresh: (string | null)[];\n  more: Record<string, [number, boolean]>;\n"
        in after
    )


def test_a_topic_without_a_shape_is_refused(types: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NodesTopic, "shape", None)
    with pytest.raises(SystemExit, match="NodesTopic has no pattern or no shape"):
        types()


@pytest.mark.parametrize(("version", "found"), [("v20.11.1", 0), ("v22.0.0", 0), ("v18.20.0", 1), ("", 1)])
def test_a_node_that_is_too_old_counts_as_none(tmp_path: Path, version: str, found: int) -> None:
    for name, says in {"node": version, "npm": "10"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {says}\n")
        program.chmod(0o755)
    looked = subprocess.run(
        ["/bin/sh", FIND_NODE], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True, check=False
    )
    assert (looked.returncode, looked.stdout + looked.stderr) == (found, "")


def test_no_node_is_said_by_the_status_alone() -> None:
    looked = subprocess.run(
        ["/bin/sh", FIND_NODE], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert (looked.returncode, looked.stdout + looked.stderr) == (1, "")

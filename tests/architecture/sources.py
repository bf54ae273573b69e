"""The project's own source files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dispatcher", "taskdist_site", "workers")
ALSO_OURS = ("tests", "benchmarks", "docs")


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below the folders, without migrations, which are generated."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    )


def script_files() -> list[Path]:
    """Return the JavaScript written here; vendored files are others' work."""
    return sorted(path for path in (ROOT / "static").rglob("*.js") if "vendor" not in path.parts)


def name(path: Path) -> str:
    """Return a file's name below the project's root."""
    return path.relative_to(ROOT).as_posix()

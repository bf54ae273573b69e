"""The version of this program, as it is installed or as its project file says, and what tells its builds apart."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django.conf import settings


def _version() -> str:
    try:
        return version("taskdist")
    except PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])


VERSION = _version()


def build() -> str:
    """The version and the edition of the files of pages, which addresses of files hold: ``0.1.0+9f0c2a51d7e8``."""
    edition = settings.STATIC_URL.strip("/").rpartition("/")[2]
    return f"{VERSION}+{edition}"

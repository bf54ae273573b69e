"""What `manage.py doctor` looks at on this machine: versions, settings, files, disk."""

from __future__ import annotations

import difflib
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import django
from django.conf import settings
from django.db import connection

from dispatcher import checks
from dispatcher.launch.findings import Finding, fail, ok, warn
from dispatcher.launch.variables import PREFIX, known_names

OLDEST_PYTHON = (3, 11)
OLDEST_DJANGO = (5, 2)
LITTLE_DISK_BYTES = 1 << 30
NO_DISK_BYTES = 100 << 20


def versions(_now: datetime) -> Iterator[Finding]:
    """Look at the versions of Python and Django."""
    seen = f"Python {platform.python_version()}, Django {django.get_version()}"
    if sys.version_info < OLDEST_PYTHON or django.VERSION[:2] < OLDEST_DJANGO:
        yield fail("versions", seen, "Python 3.11 and Django 5.2 are the oldest that work. `make run` installs both.")
    else:
        yield ok("versions", seen)


def variables(_now: datetime) -> Iterator[Finding]:
    """Look for environment variables that nobody reads: most are slips of the keyboard."""
    known = known_names()
    # The worker has variables of its own, which may be set for the whole machine.
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if not unknown:
        yield ok("settings", f"{len(settings.TASKDIST)} changed from their defaults")
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/settings.md lists the names."
        yield warn(
            "settings", f"{name} is set, but the dispatcher does not read it", f"Unless it is for a worker: {hint}"
        )


def folder(_now: datetime) -> Iterator[Finding]:
    """Look at `var/`: there, writable, and closed to other users, with its secrets."""
    var = Path(settings.VAR_DIR)
    if not var.exists() and not _needs_var():
        yield ok("files", f"{var} is not used: database and secret key are elsewhere")
        return
    if not var.is_dir():
        yield fail("files", f"{var} does not exist", "`make run` makes it.")
        return
    if not os.access(var, os.W_OK):
        yield fail("files", f"{var} cannot be written by this user", f"Let this user own it: chown -R USER {var}")
        return
    if locked := [path for path in var.glob("*.sqlite3*") if not os.access(path, os.W_OK)]:
        names = " ".join(str(path) for path in locked)
        yield fail("files", f"this user cannot write {names}", f"chown USER {names}")
        return
    open_files = [path for path in (var, *checks.private_files(var)) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_files:
        names = " ".join(str(path) for path in open_files)
        yield fail("files", f"other users of this machine can reach {names}", f"chmod go-rwx {names}")
    else:
        yield ok("files", f"{var} is private")


def disk(_now: datetime) -> Iterator[Finding]:
    """Look at the space left where `var/` lies."""
    if not Path(settings.VAR_DIR).exists():
        return
    free = shutil.disk_usage(settings.VAR_DIR).free
    seen = f"{free / (1 << 30):.1f} GiB free for {settings.VAR_DIR}"
    advice = "Make room there: when the disk is full, no task can be taken or finished."
    if free < NO_DISK_BYTES:
        yield fail("disk", seen, advice)
    elif free < LITTLE_DISK_BYTES:
        yield warn("disk", seen, advice)
    else:
        yield ok("disk", seen)


def _needs_var() -> bool:
    return connection.vendor == "sqlite" or not os.environ.get("TASKDIST_SECRET_KEY")

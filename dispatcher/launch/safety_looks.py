"""What `manage.py doctor` says of safety: the list of `dispatcher.checks`, in the doctor's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.conf import settings

from dispatcher import checks
from dispatcher.checks import Weakness
from dispatcher.launch.findings import Finding, fail, ok, warn

NAME = "safety"


def surroundings(_now: datetime) -> Iterator[Finding]:
    """Look at settings: keys, hosts, TLS, networks. Files are looked at by `host_looks.folder`."""
    found = [weakness for look in checks.LOOKS if look is not checks.files for weakness in look()]
    yield from _told(found)
    if not found:
        yield ok(NAME, "settings hold no weak secret, and let nobody in by mistake")


def passwords(_now: datetime) -> Iterator[Finding]:
    """Look whether an admin has a password that everybody tries first."""
    yield from _told(checks.passwords())


def _told(found: Iterable[Weakness]) -> Iterator[Finding]:
    for weakness in found:
        refuses = weakness.is_error and not settings.DEVELOPMENT
        yield (fail if refuses else warn)(NAME, f"{weakness.seen} ({weakness.id})", weakness.advice)

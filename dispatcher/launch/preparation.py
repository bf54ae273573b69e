"""What has to be there before the processes start: private folders, tables, the first admin, the workers' credentials.

Everything here finds what an earlier start has made, and leaves it as it is.
"""

from __future__ import annotations

import os
import secrets
import stat
from datetime import datetime
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresqlConnection
from django.utils import timezone

from dispatcher import credentials, events, node_registry
from dispatcher.launch.database_reach import first_line, require_database
from dispatcher.models import Change

OWNER_ONLY_DIRECTORY = 0o700
OWNER_ONLY_FILE = 0o600
ADMIN_NAME = "admin"
# Named in the change feed as the one who issued the local nodes' credentials.
ACTOR = "manage.py up"
PASSWORD_BYTES = 12
FOLDERS = ("log", "nodes")


def prepare_folders(var_dir: Path) -> None:
    """Make `var/` and its folders, for the owner only, also where an earlier mode was wider.

    CommandError says what to do where this user may not write.
    """
    # Database, logs and sockets that our processes make are for the owner only, too.
    os.umask(0o077)
    try:
        for folder in (var_dir, *(var_dir / name for name in FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
            if stat.S_IMODE(folder.stat().st_mode) != OWNER_ONLY_DIRECTORY:
                folder.chmod(OWNER_ONLY_DIRECTORY)
        # The mode alone does not tell: the disk may be mounted read-only.
        probe = var_dir / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CommandError(
            f"Cannot write to {var_dir}: {error.strerror}. Let this user own the folder, "
            "or set TASKDIST_VAR to one that it can write to."
        ) from error


def migrate() -> None:
    """Bring the tables up to date; CommandError where the database cannot be reached or refuses."""
    require_database()
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise CommandError(f"The tables cannot be made or brought up to date: {first_line(error)}.") from error


def make_first_admin() -> str:
    """Make the user `admin` with a random password and return that; "" when there is an admin already.

    The password is kept nowhere: `manage.py changepassword admin` sets another.
    """
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists() or users.filter(username=ADMIN_NAME).exists():
        return ""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        users.create_superuser(username=ADMIN_NAME, password=password)
        event = events.AccountCreated(account_kind="user", name=ADMIN_NAME, reason="first start")
        Change.objects.append(event, now=timezone.now(), actor=ACTOR)
    return password


def ensure_worker_token(node_dir: Path, *, name: str, now: datetime) -> Path:
    """Return the file with a valid credential of the local node, issuing one where there is none.

    A file that outlived its database (or a revoked credential) is replaced.
    """
    node_dir.mkdir(mode=OWNER_ONLY_DIRECTORY, exist_ok=True)
    path = node_dir / "token"
    if path.exists() and _belongs_to(path.read_text().strip(), name=name, now=now):
        return path
    token = node_registry.issue_credential(name=name, actor=ACTOR, now=now)
    draft = path.with_name("token.new")
    draft.touch(mode=OWNER_ONLY_FILE)
    draft.write_text(f"{token}\n")
    draft.replace(path)
    return path


def _belongs_to(token: str, *, name: str, now: datetime) -> bool:
    credential = credentials.authenticate(token, now=now)
    return credential is not None and credential.node is not None and credential.node.name == name


def close_connections() -> None:
    """Give all database connections back: the supervisor itself needs none."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if isinstance(connection, PostgresqlConnection):
            connection.close_pool()

"""What the first start makes below `var/`: the folder itself and the secret files, readable by the owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

SECRET_KEY_BYTES = 48
OWNER_ONLY_DIRECTORY = 0o700
OWNER_ONLY_FILE = 0o600


def ensure_private_directory(path: Path) -> Path:
    """Make the folder (mode 0700) unless it is there; raise ImproperlyConfigured where that is refused."""
    try:
        path.mkdir(mode=OWNER_ONLY_DIRECTORY, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot make the folder {path}: {error.strerror}. "
            "Give this user write permission there, or set TASKDIST_VAR to a folder it can write to."
        ) from None
    return path


def write_private_file(path: Path, text: str) -> bool:
    """Write the file with mode 0600 if it does not exist; return whether this call made it.

    The content appears under its final name at once and whole: of two processes starting together
    one wins and the other reads what the winner wrote.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        return True
    finally:
        draft.unlink()


def secret_key(var_dir: Path) -> str:
    """Return the installation's secret key from `var/secret_key`, making it at the first start.

    An empty file refuses to start: sessions signed with an empty key could be forged by anybody.
    """
    path = var_dir / "secret_key"
    try:
        if not path.exists():
            ensure_private_directory(var_dir)
            write_private_file(path, secrets.token_urlsafe(SECRET_KEY_BYTES) + "\n")
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot read or write {path}: {error.strerror}. Let this user own {var_dir}, or set TASKDIST_VAR "
            "to a folder it can write to (or TASKDIST_SECRET_KEY to a key)."
        ) from None
    if not key:
        raise ImproperlyConfigured(f"{path} is empty. Delete it and a new key is made (everybody logs in again).")
    return key

"""What is not safe about this installation: one list, for the start, ``manage.py check --deploy`` and ``doctor``.

Outside development a process refuses to start on an ERROR that its settings or files show: a secret that can be guessed
protects nothing. What only the surroundings can tell (is there a proxy that ends TLS?) is a WARNING.
"""

from __future__ import annotations

import ipaddress
import math
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import Q

from dispatcher import roles
from dispatcher.conf import conf
from workers.redaction import DEFAULT_KEYS, keys_of

#: A key below these can be guessed or was typed by hand: characters, and bits by the frequency of its characters.
LEAST_KEY_CHARS: Final = 32
LEAST_KEY_BITS: Final = 80.0
_KNOWN_KEYS: Final = ("django-insecure", "changeme", "change-me", "secret", "example", "insecure", "default")

#: Passwords that come with manuals and images.
KNOWN_PASSWORDS: Final = ("admin", "password", "changeme", "taskdist", "12345678")
#: Accounts looked at: each guess takes a good part of a second, on purpose.
_MAX_ADMINS: Final = 3

_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Weakness:
    """One thing that is not safe. ``id`` as Django's checks have them: E refuses the start, W does not."""

    id: str
    seen: str
    advice: str

    @property
    def is_error(self) -> bool:
        """Whether nothing shall run with it outside development."""
        return self.id[0] == "E"

    def as_message(self) -> checks.CheckMessage:
        """The same for Django."""
        kind = checks.Error if self.is_error else checks.Warning
        return kind(self.seen, hint=self.advice, id=f"taskdist.{self.id}")


def secret_key() -> Iterator[Weakness]:
    """Whether sessions and pushes are signed by something that nobody can guess."""
    key = settings.SECRET_KEY
    word = next((word for word in _KNOWN_KEYS if word in key.lower()), "")
    if word or len(key) < LEAST_KEY_CHARS or bits(key) < LEAST_KEY_BITS:
        yield Weakness(
            "E001",
            f"the secret key can be guessed: {f'it holds {word!r}' if word else f'{len(key)} characters'}",
            "Remove TASKDIST_SECRET_KEY, and a key is made in TASKDIST_VAR; or set it to the output of: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(48))"',
        )


def bits(text: str) -> float:
    """How much there is to guess at most, by the frequencies of the characters; 0 for one character repeated."""
    size = len(text)
    return -sum(count * math.log2(count / size) for count in Counter(text).values())


def debug() -> Iterator[Weakness]:
    """Whether errors show settings and source to whoever causes one."""
    if settings.DEBUG:
        yield Weakness("E002", "debug pages are on", "Remove TASKDIST_DEBUG.")


def hosts() -> Iterator[Weakness]:
    """Whether requests for any name are answered: then a page of someone else can make links to itself."""
    if "*" in settings.ALLOWED_HOSTS:
        yield Weakness(
            "E003", "requests for any host name are answered", "Name them: TASKDIST_ALLOWED_HOSTS=tasks.example.org"
        )


def files() -> Iterator[Weakness]:
    """Whether other users of this machine can reach the secrets and the database."""
    var = Path(settings.VAR_DIR)
    if not var.is_dir() or not _is_open(var):
        # Nobody gets through the folder.
        return
    if found := [path for path in private_files(var) if _is_open(path)]:
        names = " ".join(map(str, found[:5]))
        yield Weakness("E004", f"other users of this machine can read {names}", f"chmod -R go-rwx {var}")


def private_files(var: Path) -> Iterator[Path]:
    """The files below ``var`` that hold secrets."""
    for pattern in ("secret_key", "*.sqlite3*", "nodes/*/token", "nodes/*/credential*"):
        yield from var.glob(pattern)


def redaction() -> Iterator[Weakness]:
    """Whether secrets in tasks are masked as they come."""
    if missing := sorted(set(DEFAULT_KEYS) - set(keys_of(conf().redact_keys))):
        yield Weakness("W105", f"not masked in tasks: {', '.join(missing)}", "Unless meant: see TASKDIST_REDACT_KEYS.")


def transport() -> Iterator[Weakness]:
    """Whether passwords, tokens and payloads travel in the clear."""
    if settings.PUBLIC_URL.startswith("https:"):
        if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
            yield Weakness("W102", "cookies also travel without TLS", "Remove TASKDIST_BEHIND_TLS_PROXY=no.")
        return
    if settings.PUBLIC_URL:
        yield Weakness("W101", f"people use {settings.PUBLIC_URL}, in the clear", _TLS)
    elif _is_beyond_this_machine():
        yield Weakness("W101", f"it listens on {settings.TASKDIST_HOST} without TLS", _TLS)


_TLS: Final = "Put a proxy in front that ends TLS, listen on 127.0.0.1, and set TASKDIST_PUBLIC_URL=https://…"


def node_networks() -> Iterator[Weakness]:
    """Whether the engine would call any address on earth that a node names."""
    for text in conf().node_networks.split(","):
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            # Whoever uses the setting says what is wrong with it.
            continue
        if network.prefixlen == 0:
            yield Weakness(
                "W103", f"nodes may be at any address ({network})", "Name their networks: TASKDIST_NODE_NETWORKS"
            )


def database_connection() -> Iterator[Weakness]:
    """Whether PostgreSQL is reached over the network without TLS, or without a password."""
    database = settings.DATABASES["default"]
    host = str(database.get("HOST") or "")
    if "postgresql" not in database["ENGINE"] or not host or host.startswith("/") or _is_loopback(host):
        return
    if database["OPTIONS"].get("sslmode", "prefer") in ("disable", "allow", "prefer"):
        yield Weakness(
            "W104",
            f"the connection to PostgreSQL at {host} may be in the clear",
            "TASKDIST_DATABASE_URL=…?sslmode=require",
        )


def passwords() -> Iterator[Weakness]:
    """Whether an admin has a password that everybody tries first. Takes a second or more, and the database."""
    is_admin = Q(is_superuser=True) | Q(groups__name=roles.ADMIN_GROUP)
    admins = get_user_model().objects.filter(is_admin, is_active=True).order_by("pk").distinct()
    for user in admins[:_MAX_ADMINS]:
        name = user.get_username()
        if any(check_password(guess, user.password) for guess in dict.fromkeys((*KNOWN_PASSWORDS, name))):
            yield Weakness("E005", f"the password of {name!r} is a default one", f"manage.py changepassword {name}")


Look = Callable[[], Iterable[Weakness]]

#: Quick ones, without the database. In this order they are told.
LOOKS: Final[Sequence[Look]] = (
    secret_key, debug, hosts, files, transport, node_networks, database_connection, redaction,
)  # fmt: skip


def weaknesses() -> list[Weakness]:
    """All that settings and files show."""
    return [weakness for look in LOOKS for weakness in look()]


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured, with what to do, if there is an ERROR outside development."""
    if settings.DEVELOPMENT:
        return
    errors = [weakness for weakness in weaknesses() if weakness.is_error]
    if errors:
        lines = [f"  {weakness.seen}.\n    {weakness.advice}" for weakness in errors]
        raise ImproperlyConfigured(
            "This is not safe to run:\n" + "\n".join(lines) + "\n"
            "For development on a machine of your own only: TASKDIST_DEV=yes. docs/hardening.md explains."
        )


def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """``manage.py check --deploy``, without the database."""
    del app_configs
    return [weakness.as_message() for weakness in weaknesses()]


def check_passwords(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """``manage.py check --deploy --database default``."""
    del app_configs
    if not databases:
        return []
    try:
        return [weakness.as_message() for weakness in passwords()]
    except DatabaseError:
        # Not there, or without tables yet: then there is no admin either.
        return []


def register() -> None:
    """Tell Django of the checks."""
    checks.register(check_settings, checks.Tags.security, deploy=True)
    checks.register(check_passwords, checks.Tags.database, deploy=True)


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    except OSError:
        return False


def _is_beyond_this_machine() -> bool:
    return not _is_loopback(settings.TASKDIST_HOST)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

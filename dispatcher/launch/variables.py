"""The environment variables that set an installation up: for `doctor`, and for docs/settings.md."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields

from dispatcher import conf as conf_module
from dispatcher.conf import Conf

PREFIX = "TASKDIST_"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its name, the default in words, and what it does."""

    name: str
    default: str
    meaning: str


#: Read by the site's settings. `behaviour_variables` lists the others.
SITE_VARIABLES = (
    Variable(f"{PREFIX}VAR", "`var` in the project", "Folder of the SQLite file, the secrets and the logs."),
    Variable(
        f"{PREFIX}DATABASE_URL",
        "SQLite in `TASKDIST_VAR`",
        "`postgresql://user:password@host:5432/name` for PostgreSQL 15 or newer.",
    ),
    Variable(f"{PREFIX}DATABASE_POOL", "16", "Most PostgreSQL connections of one process."),
    Variable(
        f"{PREFIX}SECRET_KEY",
        "made at the first start, in `TASKDIST_VAR/secret_key`",
        "Signs sessions and pushes. All web and engine processes need the same.",
    ),
    Variable(
        f"{PREFIX}PUBLIC_URL",
        "none",
        "Where people find it, such as `https://tasks.example.org`: the host is allowed, its forms are trusted.",
    ),
    Variable(f"{PREFIX}HOST", "127.0.0.1", "Address that `manage.py up` listens on; 0.0.0.0 for all."),
    Variable(f"{PREFIX}PORT", "8000", "Port that `manage.py up` listens on. No node of the same machine may use it."),
    Variable(
        f"{PREFIX}ALLOWED_HOSTS",
        "localhost,127.0.0.1,[::1]",
        "Names under which browsers and nodes may call, parted by commas.",
    ),
    Variable(
        f"{PREFIX}TRUSTED_ORIGINS", "none", "Origins of forms behind a proxy, such as `https://tasks.example.org`."
    ),
    Variable(
        f"{PREFIX}BEHIND_TLS_PROXY",
        "yes where `TASKDIST_PUBLIC_URL` is https",
        "A proxy in front ends TLS: cookies over https only, and its `X-Forwarded-Proto` is believed.",
    ),
    Variable(
        f"{PREFIX}HSTS_DAYS", "30 behind a TLS proxy", "How long browsers refuse to use plain http for this host."
    ),
    Variable(
        f"{PREFIX}DEV",
        "no",
        "Development on a machine of your own: debug pages and secrets that can be guessed are let pass.",
    ),
    Variable(f"{PREFIX}LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL."),
    Variable(f"{PREFIX}DEBUG", "no", "Django's debug pages. They show settings and source: never in production."),
)


def behaviour_variables() -> Iterator[Variable]:
    """Yield a variable for each field of Conf, with the comment that stands above the field."""
    comments = _field_comments(inspect.getsource(conf_module))
    for field in fields(Conf):
        yield Variable(f"{PREFIX}{field.name.upper()}", str(field.default), comments.get(field.name, ""))


def known_names() -> frozenset[str]:
    """Return the names of all variables that the dispatcher reads."""
    return frozenset(variable.name for variable in (*SITE_VARIABLES, *behaviour_variables()))


def _field_comments(source: str) -> dict[str, str]:
    """Return the `#:` comments above annotated fields, by field name."""
    lines = source.splitlines()
    comments: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            above: list[str] = []
            number = node.lineno - 2
            while number >= 0 and lines[number].strip().startswith("#:"):
                above.insert(0, lines[number].strip().removeprefix("#:").strip())
                number -= 1
            comments[node.target.id] = " ".join(above)
    return comments

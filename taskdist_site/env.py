"""Strict readers of environment variables: a bad value is one sentence that says what is expected."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
# No setting is larger: a slip of the keyboard is.
LARGEST = 10**15
POSTGRESQL_SCHEMES = frozenset({"postgresql", "postgres"})


class Environment:
    """Named, typed reads from a mapping of environment variables.

    An unset and an empty variable both mean the default. Every reader raises ImproperlyConfigured
    naming the variable, never echoing a value that may be secret.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str, default: str = "") -> str:
        """Return the value without surrounding blanks."""
        return self._values.get(name, "").strip() or default

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes-or-no value: 1/0, true/false, yes/no, on/off."""
        word = self.text(name).lower()
        if not word:
            return default
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise ImproperlyConfigured(f"{name} must be yes or no (also 1/0, true/false, on/off), not {word!r}.")

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """Return a whole number within the bounds, both included."""
        word = self.text(name)
        if not word:
            return default
        expected = f"{name} must be a whole number from {minimum} to {maximum}, not {word!r}."
        try:
            number = int(word)
        except ValueError:
            raise ImproperlyConfigured(expected) from None
        if not minimum <= number <= maximum:
            raise ImproperlyConfigured(expected)
        return number

    def number(self, name: str, default: float, *, minimum: float, maximum: float) -> float:
        """Return a decimal number within the bounds, both included."""
        word = self.text(name)
        if not word:
            return default
        expected = f"{name} must be a number from {minimum:g} to {maximum:g}, not {word!r}."
        try:
            number = float(word)
        except ValueError:
            raise ImproperlyConfigured(expected) from None
        # Written so that NaN, which compares false with everything, is refused too.
        if not minimum <= number <= maximum:
            raise ImproperlyConfigured(expected)
        return number

    def words(self, name: str, default: list[str]) -> list[str]:
        """Return a list written with commas between its members."""
        members = [member.strip() for member in self.text(name).split(",")]
        return [member for member in members if member] or list(default)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words, whatever its case."""
        word = self.text(name, default)
        for candidate in allowed:
            if candidate.lower() == word.lower():
                return candidate
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {word!r}.")

    def origin(self, name: str) -> str:
        """Return an origin, `https://host` or `http://host:port`; "" where none is given."""
        word = self.text(name).rstrip("/")
        if word and not _is_origin(word):
            raise ImproperlyConfigured(f"{name} must look like https://tasks.example.org, without a path.")
        return word.lower()

    def fields_of(self, model: type, *, prefix: str) -> dict[str, Any]:
        """Return the fields of a settings dataclass that the environment sets, read by their types.

        The field `lease_seconds` is read from `PREFIX_LEASE_SECONDS`. Fields without a variable are left out.
        """
        types = get_type_hints(model)
        given: dict[str, Any] = {}
        for field in fields(model):
            variable = f"{prefix}{field.name.upper()}"
            if not self.text(variable):
                continue
            kind = types[field.name]
            if kind is bool:
                given[field.name] = self.flag(variable, default=False)
            elif kind is int:
                given[field.name] = self.integer(variable, 0, minimum=0, maximum=LARGEST)
            elif kind is float:
                given[field.name] = self.number(variable, 0.0, minimum=0.0, maximum=LARGEST)
            elif kind is str:
                given[field.name] = self.text(variable)
            else:
                raise TypeError(f"{model.__name__}.{field.name}: no reader for {kind}")
        return given


def _is_origin(word: str) -> bool:
    try:
        parts = urlsplit(word)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and "@" not in word and word.lower() == f"{parts.scheme}://{parts.netloc}".lower()


def host_of(origin: str) -> list[str]:
    """Return the host of an origin as ALLOWED_HOSTS takes it; nothing for ""."""
    host = urlsplit(origin).hostname or ""
    return [f"[{host}]" if ":" in host else host] if host else []


def postgresql_settings(variable: str, url: str) -> dict[str, Any]:
    """Return Django's connection settings for `postgresql://user:password@host:port/name?option=value`.

    A socket folder goes into `?host=`. Other query options are passed to libpq as they are. The URL
    is never repeated in an error: it holds the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{variable} is not a valid URL.") from None
    if parts.scheme not in POSTGRESQL_SCHEMES:
        raise ImproperlyConfigured(
            f"{variable} must look like postgresql://user:password@host:5432/name; leave it empty for SQLite."
        )
    name = unquote(parts.path.lstrip("/"))
    if not name or "/" in name:
        raise ImproperlyConfigured(f"{variable} must end with the database's name, as in …@host:5432/taskdist.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "dispatcher.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port or options.pop("port", "")),
        "OPTIONS": options,
    }

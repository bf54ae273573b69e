"""Whether a websocket was opened by one of our own pages. Browsers send cookies along with anybody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own(scope: Mapping[str, Any]) -> bool:
    """True if ``Origin`` has the scheme, host and port of this server, or is trusted by the settings.

    The host is also checked against ``ALLOWED_HOSTS``: a foreign name that resolves to our address agrees with itself.
    """
    headers = _headers(scope.get("headers", ()))
    origin = _place(headers.get("origin", ""))
    if origin is None:
        return False
    if origin in {_place(trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS}:
        return True
    host = headers.get("host", "")
    own = _place(f"{_scheme(scope, headers)}://{host}")
    return origin == own and validate_host(_without_port(host), settings.ALLOWED_HOSTS)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; one that comes twice counts as missing."""
    found: dict[str, str] = {}
    for raw_name, value in pairs:
        name = raw_name.decode("latin1").lower()
        found[name] = "" if name in found else value.decode("latin1")
    return found


def _scheme(scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The scheme of the pages: that of the connection, or what a trusted proxy says of it."""
    if scope.get("scheme") == "wss":
        return "https"
    proxy = settings.SECURE_PROXY_SSL_HEADER
    if proxy is not None:
        name = proxy[0].removeprefix("HTTP_").replace("_", "-").lower()
        if headers.get(name, "").partition(",")[0].strip() == proxy[1]:
            return "https"
    return "http"


def _place(url: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an origin; None for what is none, ``null`` included."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path or parts.query or parts.username:
        return None
    return parts.scheme, parts.hostname.lower().rstrip("."), port or _DEFAULT_PORTS[parts.scheme]


def _without_port(host: str) -> str:
    """The host of a ``Host`` header, an IPv6 address with its brackets, as ``validate_host`` wants it."""
    name, colon, port = host.lower().rpartition(":")
    return name.rstrip(".") if colon and port.isdigit() else host.lower().rstrip(".")

from __future__ import annotations

import pytest

from dispatcher.live.origin import is_own


def scope(origin: str | None, host: str = "localhost:8000", scheme: str = "ws", **more: str) -> dict:
    headers = {"host": host, **({} if origin is None else {"origin": origin}), **more}
    return {
        "scheme": scheme,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://localhost:8000", "localhost:8000", "ws"),
        ("http://LOCALHOST:8000", "localhost:8000", "ws"),
        ("http://localhost", "localhost", "ws"),
        ("http://localhost", "localhost:80", "ws"),
        ("https://localhost", "localhost", "wss"),
        ("http://[::1]:8000", "[::1]:8000", "ws"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
    ],
)
def test_our_own_pages_are_known(origin: str, host: str, scheme: str) -> None:
    assert is_own(scope(origin, host, scheme))


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (None, "localhost:8000", "ws"),
        ("null", "localhost:8000", "ws"),
        ("http://localhost:8001", "localhost:8000", "ws"),
        ("https://localhost:8000", "localhost:8000", "ws"),
        ("http://localhost:8000", "localhost:8000", "wss"),
        ("http://127.0.0.1:8000", "localhost:8000", "ws"),
        ("http://evil.example", "evil.example", "ws"),
        ("http://localhost:99999", "localhost:8000", "ws"),
        ("http://[::1", "localhost:8000", "ws"),
        ("ftp://localhost:8000", "localhost:8000", "ws"),
        ("http://localhost:8000", "", "ws"),
    ],
)
def test_others_are_not(origin: str | None, host: str, scheme: str) -> None:
    assert not is_own(scope(origin, host, scheme))


def test_a_header_that_comes_twice_counts_for_nothing() -> None:
    twice = scope("http://localhost:8000")
    twice["headers"].append((b"origin", b"http://localhost:8000"))
    assert not is_own(twice)


def test_behind_a_proxy_that_ends_tls_the_pages_are_https(settings) -> None:
    behind = scope("https://localhost", "localhost", x_forwarded_proto="https")
    # Nobody but a proxy that the settings name is believed.
    assert not is_own(behind)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert is_own(behind)
    assert not is_own(scope("https://localhost", "localhost", x_forwarded_proto="http"))


def test_trusted_origins_are_let_in(settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://tasks.example:8443"]
    assert is_own(scope("https://tasks.example:8443", "internal:8000"))
    assert not is_own(scope("https://tasks.example", "internal:8000"))

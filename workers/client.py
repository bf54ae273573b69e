"""HTTP to the dispatcher: one kept-alive connection, no redirects, no proxies, bounded answers."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
TIMEOUT_SECONDS: Final = 10.0
_SUCCESS: Final = 2


class Unreachable(Exception):
    """The dispatcher did not answer; the message says how that showed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. ``retry_after`` is in seconds, if the dispatcher gave one."""

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.status // 100 == _SUCCESS


class DispatcherClient:
    """For one thread. ``token`` is asked at every request, so that a new credential is used at once."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        ca_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout_seconds
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> Answer:
        """POST JSON. Raises ``Unreachable``; every answer, errors included, is returned."""
        is_fresh = self._connection is None
        try:
            return self._post(path, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if is_fresh:
                raise Unreachable(_describe(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(_describe(error)) from None
        # A kept connection that the dispatcher closed in the meantime. Everything a node sends may be sent twice.
        try:
            return self._post(path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(_describe(error)) from None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, body: bytes) -> Answer:
        connection = self._connection or self._connect()
        headers = {
            "Authorization": f"Bearer {self._token()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        connection.request("POST", self._prefix + path, body, headers)
        response = connection.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
        if len(data) > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too large")
        if response.will_close:
            self.close()
        return Answer(response.status, data, _seconds(response.headers.get("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        self._connection = connection
        return connection


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else min(60.0, max(0.1, float(value)))
    except ValueError:
        return None

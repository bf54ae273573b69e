"""The push path: one kept-alive connection to one node, on ``http.client``, which costs a sixth of ``requests``."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher import addresses
from dispatcher.clients.signing import signed_headers
from dispatcher.clients.timed_socket import TimedSocket
from dispatcher.conf import conf


class NotDelivered(Exception):
    """The request certainly did not reach the node: no connection, or its address is not allowed."""


class OutcomeUnknown(Exception):
    """The request may or may not have been acted on: it was sent, and no whole answer came in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NodeClient:
    """Signed requests to one node. One thread at a time; reconnects by itself."""

    def __init__(self, *, url: str, key: str) -> None:
        self.url = url
        self._key = key
        self._address = addresses.parse(url)
        self._connection: http.client.HTTPConnection | None = None
        self._socket: TimedSocket | None = None

    def post(self, path: str, body: bytes) -> Answer:
        """POST JSON and read the answer, all within ``push_timeout_seconds``.

        Raises ``NotDelivered`` or ``OutcomeUnknown``. Redirects are returned as they are. The answer's body is at most
        ``max_node_answer_bytes`` long; a longer one counts as no answer.
        """
        deadline = time.monotonic() + conf().push_timeout_seconds
        full_path = self._address.path + path
        headers = signed_headers(self._key, method="POST", path=full_path, body=body)
        connection, timed = self._connect(deadline)
        timed.expire_at(deadline)
        try:
            connection.request("POST", full_path, body=body, headers=headers)
            response = connection.getresponse()
            limit = conf().max_node_answer_bytes
            answer = response.read(limit + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error
        if len(answer) > limit:
            self.close()
            raise OutcomeUnknown(f"the node answered more than {limit} bytes")
        if response.will_close:
            self.close()
        return Answer(response.status, dict(response.getheaders()), answer)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._socket = None

    def _connect(self, deadline: float) -> tuple[http.client.HTTPConnection, TimedSocket]:
        if self._connection is not None and self._socket is not None and self._socket.is_idle():
            return self._connection, self._socket
        self.close()
        address = self._address
        try:
            timeout = min(conf().connect_timeout_seconds, max(0.01, deadline - time.monotonic()))
            raw = socket.create_connection((addresses.resolve(address), address.port), timeout=timeout)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.scheme == "https":
                raw = ssl.create_default_context().wrap_socket(raw, server_hostname=address.host)
        except (OSError, addresses.AddressRefused) as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from error
        timed = TimedSocket(raw)
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.auto_open = 0
        # It offers what http.client uses of a socket.
        connection.sock = timed
        self._connection, self._socket = connection, timed
        return connection, timed

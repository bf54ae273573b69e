"""HTTP to one node: a kept-alive connection on ``http.client``, which costs a sixth of ``requests``.

One deadline is over everything, the look-up of the name and every single byte included: neither a slow resolver nor a
node that drips holds a thread for longer. Answers are never decompressed, and read only up to a bound.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from dispatcher import addresses
from dispatcher.clients.signing import signed_headers
from dispatcher.clients.timed_socket import TimedSocket
from dispatcher.conf import conf

#: A clock of a node that differs by less is not why it refused us.
CLOCK_TOLERANCE_SECONDS = 60.0
#: Nor do we sign for any time that a node may name: what is signed for a time to come could be kept until then.
MAX_AHEAD_SECONDS = 7 * 86400.0
#: Names looked up at the same time. A resolver that hangs keeps these busy, not those who wait for it.
MAX_LOOK_UPS = 8
_resolving = threading.BoundedSemaphore(MAX_LOOK_UPS)


logger = logging.getLogger(__name__)


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
    """Signed requests to one node. One thread at a time; reconnects by itself.

    Raises ``AddressRefused`` for a URL that no node can have. Requests raise ``NotDelivered`` or ``OutcomeUnknown``.
    """

    def __init__(self, *, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._address = addresses.parse(url)
        #: How many seconds the node's clock is ahead of ours, as far as it matters.
        self._ahead = 0.0
        self._connection: http.client.HTTPConnection | None = None
        self._socket: TimedSocket | None = None

    def get(self, path: str) -> Answer:
        """GET, all within ``push_timeout_seconds``; see ``post``."""
        return self._ask("GET", path, b"")

    def post(self, path: str, body: bytes) -> Answer:
        """POST JSON and read the answer, all within ``push_timeout_seconds``.

        Redirects are returned as they are. The answer's body is at most ``max_node_answer_bytes`` long; a longer one
        counts as no answer.
        """
        return self._ask("POST", path, body)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._socket = None

    def _ask(self, method: str, path: str, body: bytes) -> Answer:
        deadline = time.monotonic() + conf().push_timeout_seconds
        answer = self._exchange(method, path, body, deadline)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._set_clock(answer):
            # Refused for its time: nothing was done. With the node's own time it may be taken.
            answer = self._exchange(method, path, body, deadline)
        return answer

    def _set_clock(self, answer: Answer) -> bool:
        """Go by the node's clock from now on, if that is what it refused us for; whether it is."""
        try:
            told = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return False
        ahead = told - time.time()
        is_reason = abs(ahead - self._ahead) > CLOCK_TOLERANCE_SECONDS and abs(ahead) <= MAX_AHEAD_SECONDS
        if is_reason:
            logger.warning("the clock of the node at %s differs from ours by %.0f s", self.url, ahead)
            self._ahead = ahead
        return is_reason

    def _exchange(self, method: str, path: str, body: bytes, deadline: float) -> Answer:
        full_path = self._address.path + path
        headers = signed_headers(self.key, method=method, path=full_path, body=body, ahead=self._ahead)
        connection, timed = self._connect(deadline)
        timed.expire_at(deadline)
        try:
            connection.request(method, full_path, body=body or None, headers=headers)
            with connection.getresponse() as response:
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

    def _connect(self, deadline: float) -> tuple[http.client.HTTPConnection, TimedSocket]:
        if self._connection is not None and self._socket is not None and self._socket.is_idle():
            return self._connection, self._socket
        self.close()
        address = self._address
        by = min(deadline, time.monotonic() + conf().connect_timeout_seconds)
        try:
            ip = _resolve(address, by)
            raw = socket.create_connection((ip, address.port), timeout=max(0.01, by - time.monotonic()))
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


def _resolve(address: addresses.NodeAddress, by: float) -> str:
    """An allowed IP address of the host; ``TimeoutError`` if it is not known by then (monotonic seconds)."""
    if _is_literal(address.host):
        return addresses.resolve(address)
    answer: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    if not _resolving.acquire(timeout=max(0.0, by - time.monotonic())):
        raise TimeoutError(f"{address.host!r} was not looked up: too many other look-ups hang")
    # A look-up cannot be interrupted; a daemon does not hold up the end of the process.
    threading.Thread(target=_look_up, args=(address, answer), name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=max(0.0, by - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(f"{address.host!r} was not resolved in time") from None
    if isinstance(found, Exception):
        raise found
    return found


def _look_up(address: addresses.NodeAddress, answer: queue.SimpleQueue[str | Exception]) -> None:
    try:
        answer.put(addresses.resolve(address))
    except Exception as error:  # noqa: BLE001 - raised again by the one who waits
        answer.put(error)
    finally:
        _resolving.release()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""The polling path: status and control requests with ``requests``."""

from __future__ import annotations

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from dispatcher import addresses
from dispatcher.clients.signing import signed_headers
from dispatcher.conf import conf


class StatusUnavailable(Exception):
    """The node gave no usable answer in time."""


class GuardedAdapter(HTTPAdapter):
    """Connects to the checked IP address, not to whatever the name resolves to a moment later."""

    def __init__(self, address: addresses.NodeAddress) -> None:
        self._address = address
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Check the certificate against the name, although the connection goes to an IP address."""
        if self._address.scheme == "https":
            kwargs.update(server_hostname=self._address.host, assert_hostname=self._address.host)
        super().init_poolmanager(*args, **kwargs)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Resolve and check, then send to that address. Raises ``AddressRefused``."""
        address = self._address
        ip = addresses.resolve(address)
        literal = f"[{ip}]" if ":" in ip else ip
        request.headers["Host"] = f"{address.host}:{address.port}"
        request.url = f"{address.scheme}://{literal}:{address.port}{request.path_url}"
        return super().send(request, *args, **kwargs)


class StatusClient:
    """Asks one node how it is and gives it orders. One thread at a time."""

    def __init__(self, *, url: str, key: str) -> None:
        self.url = url
        self._key = key
        self._address = addresses.parse(url)
        self._session = requests.Session()
        # No proxies and no .netrc from the environment.
        self._session.trust_env = False
        self._session.mount(f"{self._address.scheme}://", GuardedAdapter(self._address))

    def status(self) -> bytes:
        """The node's ``NodeStatus`` as JSON. Raises ``StatusUnavailable``."""
        return self._ask("GET", "/status", b"")

    def control(self, body: bytes) -> bytes:
        """Give orders (a ``Control``); the ``ControlReply`` as JSON. Raises ``StatusUnavailable``."""
        return self._ask("POST", "/control", body)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _ask(self, method: str, path: str, body: bytes) -> bytes:
        full_path = self._address.path + path
        deadline = time.monotonic() + conf().push_timeout_seconds
        try:
            response = self._session.request(
                method,
                f"{self._address.scheme}://{self._address.host}:{self._address.port}{full_path}",
                data=body or None,
                headers=signed_headers(self._key, method=method, path=full_path, body=body),
                timeout=(conf().connect_timeout_seconds, conf().push_timeout_seconds),
                allow_redirects=False,
                stream=True,
            )
            with response:
                if response.status_code != requests.codes.ok:
                    raise StatusUnavailable(f"answered {response.status_code} to {method} {path}")
                return _read(response, deadline)
        except (requests.RequestException, addresses.AddressRefused) as error:
            raise StatusUnavailable(f"{type(error).__name__}: {error}") from error


def _read(response: requests.Response, deadline: float) -> bytes:
    limit = conf().max_node_answer_bytes
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(65536):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise StatusUnavailable(f"answered more than {limit} bytes")
        if time.monotonic() > deadline:
            raise StatusUnavailable("took too long to answer")
    return b"".join(parts)

"""Which addresses a node may have: http(s), a plain host and port, and every resolved address in an allowed network."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from dispatcher.conf import conf

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_CHARS = 500
#: The last printable ASCII character.
_LAST_ASCII = "~"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(ValueError):
    """The node's address is not allowed; the text says why and what to do."""


class NodeAddress(NamedTuple):
    """A node's base URL, taken apart once."""

    scheme: str
    host: str
    port: int
    #: Without a slash at the end; usually empty.
    path: str


def parse(url: str) -> NodeAddress:
    """Take a node's URL apart. Raises ``AddressRefused`` for anything but ``http(s)://host[:port][/path]``."""
    if len(url) > MAX_URL_CHARS or any(ch <= " " or ch in '\\"<>^`{|}' or ch > _LAST_ASCII for ch in url):
        raise AddressRefused("the address is too long or has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused(f"{url!r} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused(f"{url!r} must look like http://host:port")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AddressRefused("the address must not carry a user, a query or a fragment")
    return NodeAddress(
        parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")
    )


def resolve(address: NodeAddress) -> str:
    """One allowed IP address of the host, as text; connect to this and nothing else. Raises ``AddressRefused``.

    All addresses that the name resolves to must be allowed, at every connection anew: a name that resolves to a good
    address at registration may resolve to another one later.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressRefused(f"{address.host!r} cannot be resolved: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    for text in addresses:
        if not is_allowed(text):
            raise AddressRefused(
                f"{address.host!r} is {text}, which is not in the networks where nodes may be"
                f" ({conf().node_networks}); add its network to TASKDIST_NODE_NETWORKS"
            )
    return addresses[0]


def is_allowed(text: str) -> bool:
    """Whether an IP address is in an allowed network and of no kind that a node can never have."""
    address = _unwrapped(ipaddress.ip_address(text.split("%", maxsplit=1)[0]))
    never = address.is_link_local or address.is_multicast or address.is_unspecified
    return not never and any(address in network for network in _networks(conf().node_networks))


def _unwrapped(address: IPAddress) -> IPAddress:
    """The IPv4 address inside one of the IPv6 forms that carry one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


@lru_cache(maxsize=8)
def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())

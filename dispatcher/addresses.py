"""Which addresses a node may have: http(s), a plain host and port, and every resolved address in an allowed network.

A node says itself where it is pushed to, so its address is what an attacker would use to make the dispatcher talk to
something else: a cloud's metadata service, a database, the dispatcher. The URL is taken apart once, by one parser; the
rest is judged on the resolved address, at every connection.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from dispatcher.conf import conf

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_CHARS: Final = 500
#: The last printable ASCII character.
_LAST_ASCII: Final = "~"
_IPV4_BITS: Final = 0xFFFFFFFF

#: Where clouds hand credentials to whoever asks from inside; some of it is link-local, which is refused anyway.
_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
#: IPv6 addresses that carry an IPv4 address in their last 32 bits: compatible, translated (SIIT), NAT64.
_CARRIERS: Final = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
#: Local NAT64: where in it the IPv4 address lies is each network's own affair.
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")

#: Services that would take a push for something else, or must not be reached through us.
WELL_KNOWN_PORTS: Final = {
    21: "FTP", 22: "SSH", 23: "telnet", 25: "SMTP", 53: "DNS", 69: "TFTP",
    110: "POP3", 111: "rpcbind", 119: "NNTP", 135: "RPC", 137: "NetBIOS", 139: "SMB", 143: "IMAP", 161: "SNMP",
    389: "LDAP", 445: "SMB", 465: "SMTP", 514: "syslog", 587: "SMTP", 631: "printing", 636: "LDAP", 873: "rsync",
    993: "IMAP", 995: "POP3", 1433: "SQL Server", 1521: "Oracle", 2049: "NFS", 2181: "ZooKeeper", 2375: "Docker",
    2376: "Docker", 2379: "etcd", 2380: "etcd", 3306: "MySQL", 3389: "remote desktop", 4369: "epmd",
    5432: "PostgreSQL", 5433: "PostgreSQL", 5672: "AMQP", 5900: "VNC", 5984: "CouchDB", 6000: "X11", 6379: "Redis",
    6443: "Kubernetes", 8500: "Consul", 9092: "Kafka", 10250: "Kubernetes", 11211: "memcached", 27017: "MongoDB",
}  # fmt: skip


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
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise AddressRefused(f"{url!r} must look like http://host:port")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise AddressRefused("the address must not carry a user, a query or a fragment")
    if "%" in parts.netloc:
        raise AddressRefused("the host must be written plainly, without percent signs")
    return NodeAddress(
        parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")
    )


def resolve(address: NodeAddress) -> str:
    """One allowed IP address of the host, as text; connect to this and nothing else. Raises ``AddressRefused``.

    All addresses that the name resolves to must be allowed, at every connection anew: a name that resolves to a good
    address at registration may resolve to another one later.
    """
    _check_port(address.port)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{address.host!r} cannot be resolved: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    for text in addresses:
        if reason := refusal(text):
            raise AddressRefused(f"{address.host!r} is {text}, {reason}")
        if address.port == settings.TASKDIST_PORT and _is_ours(text):
            raise AddressRefused(f"port {address.port} of this machine is the dispatcher's own: give the node another")
    return addresses[0]


def refusal(text: str) -> str:
    """Why a node may not be at this IP address, as the end of a sentence; "" if it may."""
    given = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    allowed = _networks(conf().node_networks)
    carried = _carried(given)
    for address in (given, carried) if carried is not None else (given,):
        if kind := _never(address):
            return f"{kind}: no node can be there"
    if isinstance(given, ipaddress.IPv6Address) and given.ipv4_mapped is not None:
        # The same as the IPv4 address to every program: nothing is translated on the way.
        given, carried = given.ipv4_mapped, None
    for address in (given, carried) if carried is not None else (given,):
        if not any(address in network for network in allowed):
            return (
                f"which is not in the networks where nodes may be ({conf().node_networks});"
                f" to allow it, start web tier and engine with"
                f" TASKDIST_NODE_NETWORKS={conf().node_networks},{_around(address)}"
            )
    return ""


def _never(address: IPAddress) -> str:
    """What kind of address it is, if it is of a kind that no node can have whatever the operator allows."""
    if address in _METADATA:
        return "where clouds hand out credentials"
    if address.is_link_local or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local):
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or address in _THIS_NETWORK:
        return "no address of a machine"
    # Python counts ::/8 with ::1 among the reserved ones.
    if address.is_reserved and not address.is_loopback and _carried(address) is None:
        return "a reserved address"
    if isinstance(address, ipaddress.IPv6Address) and (address.teredo is not None or address in _LOCAL_NAT64):
        return "an address of a tunnel"
    return ""


def _carried(address: IPAddress) -> IPAddress | None:
    """The IPv4 address inside one of the IPv6 forms that carry one."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return None
    if any(address in network for network in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & _IPV4_BITS)
    return address.ipv4_mapped or address.sixtofour


def _around(address: IPAddress) -> str:
    """The network that most likely holds the machine's neighbours as well."""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))  # noqa: PLR2004


def _check_port(port: int) -> None:
    if port in _ports(conf().node_ports):
        return
    if str(port) == str(settings.DATABASES["default"].get("PORT") or ""):
        service = "the dispatcher's database"
    elif port in WELL_KNOWN_PORTS:
        service = WELL_KNOWN_PORTS[port]
    else:
        return
    raise AddressRefused(
        f"port {port} belongs to {service}: give the node another, or allow it with TASKDIST_NODE_PORTS={port}"
    )


def _is_ours(text: str) -> bool:
    """Whether an IP address is one of this machine: only to those may a socket be bound."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((text.split("%", maxsplit=1)[0], 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


@lru_cache(maxsize=8)
def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


@lru_cache(maxsize=8)
def _ports(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part.strip())

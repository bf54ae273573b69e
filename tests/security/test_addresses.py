"""A1-A6: an address that a node gives leads the dispatcher to nodes and to nothing else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from dispatcher import addresses
from dispatcher.addresses import AddressRefused
from dispatcher.clients.node_client import NodeClient, NotDelivered
from dispatcher.conf import Conf
from dispatcher.models import Node
from tests.api.conftest import Caller
from tests.engine.node_double import node_double

EVERYWHERE = "0.0.0.0/0,::/0"
#: What a name resolves to, set by a test.
Names = Callable[..., None]


@pytest.fixture
def anywhere(settings: object) -> None:
    """An operator who allows every network: what is refused then is refused always."""
    settings.TASKDIST = {"node_networks": EVERYWHERE}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Makes names resolve to addresses; each call of the resolver takes the next list, the last one stays."""
    table: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in table:
            return real(host, port, *args, **kwargs)
        answers = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answers
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return lambda host, *answers: table.__setitem__(host, list(answers))


def refused(url: str) -> str:
    with pytest.raises(AddressRefused) as caught:
        addresses.resolve(addresses.parse(url))
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a01_a_redirect_takes_neither_task_nor_signature_elsewhere(status: int) -> None:
    with node_double(lambda *_: (200, {}, b"{}")) as other:
        redirect = status, {"Location": f"{other.url}/tasks"}, b""
        with node_double(lambda *_: redirect) as node, contextlib.closing(NodeClient(url=node.url, key="k")) as client:
            assert client.post("/tasks", b"{}").status == status
            assert client.get("/status").status == status
        assert other.seen == []


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "169.254.43518",
    ],
)
def test_a02_however_a_link_local_address_is_written_it_is_refused(anywhere: None, host: str) -> None:
    assert "no node can be there" in refused(f"http://{host}:8080/latest/meta-data")


@pytest.mark.django_db
def test_a02_registration_names_the_field_and_stores_nothing(node: Node, node_caller: Caller) -> None:
    for url in ("http://2852039166", "http://0xA9FEA9FE", "http://[::ffff:169.254.169.254]"):
        answer = node_caller.post("/api/v1/nodes/register", {"name": node.name, "url": url, "boot_id": "b"})
        assert (answer.status, answer.fields) == (400, [(None, "url")])
    node.refresh_from_db()
    assert "169" not in node.url


@pytest.mark.parametrize(
    "host",
    [
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::7f00:1]:6000",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:a9fe:a9fe::1]",
        "[::a9fe:a9fe]",
        "[::ffff:0:a9fe:a9fe]",
        "[::ffff:224.0.0.1]",
        "192.0.0.192",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "224.0.0.1",
        "[ff02::1]",
        "0.0.0.0",
        "0.0.0.1",
        "[::]",
        "240.0.0.1",
        "255.255.255.255",
        "[100::1]",
        "[fec0::1]",
    ],
)
def test_a03_what_no_node_can_be_is_refused_whatever_is_allowed(anywhere: None, host: str) -> None:
    url = f"http://{host}" if host.endswith("6000") else f"http://{host}:9000"
    refused(url)


def test_a03_what_carries_another_address_needs_both_allowed(settings: object) -> None:
    settings.TASKDIST = {"node_networks": "2002::/16"}
    assert "10.1.2.0/24" in refused("http://[2002:0a01:0203::1]:9000")
    settings.TASKDIST = {"node_networks": "10.0.0.0/8"}
    assert "TASKDIST_NODE_NETWORKS" in refused("http://[2002:0a01:0203::1]:9000")
    # The same machine to every program.
    assert addresses.resolve(addresses.parse("http://[::ffff:10.1.2.3]:9000"))


def test_a03_only_listed_networks_are_open_and_the_refusal_says_how_to_open_one() -> None:
    assert addresses.resolve(addresses.parse("http://127.0.0.1:9000")) == "127.0.0.1"
    assert addresses.resolve(addresses.parse("http://[::1]:9000")) == "::1"
    said = refused("http://10.1.2.3:9000")
    assert "TASKDIST_NODE_NETWORKS=127.0.0.0/8,::1/128,10.1.2.0/24" in said
    # A kind that never can be allowed is not offered.
    assert "TASKDIST_NODE_NETWORKS" not in refused("http://169.254.169.254:9000")


def test_a04_a_name_is_judged_anew_at_every_connection(names: Names) -> None:
    with node_double(lambda *_: (200, {"Connection": "close"}, b"{}")) as node:
        port = node.url.rpartition(":")[2]
        names("rebound.example", ["127.0.0.1"], ["169.254.169.254"])
        with contextlib.closing(NodeClient(url=f"http://rebound.example:{port}", key="k")) as client:
            assert client.get("/status").status == 200
            with pytest.raises(NotDelivered, match=r"169\.254\.169\.254"):
                client.get("/status")
        assert node.seen[0][2]["Host"] == f"rebound.example:{port}"
        assert len(node.seen) == 1


def test_a04_the_connection_goes_to_the_address_that_was_judged(names: Names) -> None:
    with node_double(lambda *_: (200, {}, b"{}")) as node:
        port = node.url.rpartition(":")[2]
        # A second look-up, between check and connection, would be led astray.
        names("rebound.example", ["127.0.0.1"], ["192.0.2.1"])
        with contextlib.closing(NodeClient(url=f"http://rebound.example:{port}", key="k")) as client:
            assert client.get("/status").status == 200


def test_a04_one_bad_address_among_good_ones_is_enough(names: Names) -> None:
    names("mixed.example", ["127.0.0.1", "169.254.169.254"])
    assert "169.254.169.254" in refused("http://mixed.example:9000")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:9000/_x",
        "ftp://127.0.0.1",
        "dict://127.0.0.1:11211/stat",
        "javascript:alert(1)",
        "//127.0.0.1:9000",
        "127.0.0.1:9000",
        "http:127.0.0.1",
        "http://",
        "http://:9000",
        "http://user:pass@127.0.0.1:9000",
        "http://127.0.0.1:9000@evil.example",
        "http://127.0.0.1:9000#@evil.example",
        "http://127.0.0.1:9000?@evil.example",
        "http://127.0.0.1:9000/?",
        "http://127.0.0.1:9000/#",
        "http://127.0.0.1:9000\\@evil.example",
        "http://127.0.0.1:9000/a\r\nX-Injected: 1",
        "http://127.0.0.1:9000/a b",
        "http://127.0.0.1\t:9000",
        "http://127.0.0.1:9000/\x00",
        "http://127.0.0.1%2f@evil.example",
        "http://[::1%25lo]:9000",
        "http://ⓔxample.com",
        "http://127。0。0。1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:9000/" + "x" * 10_000,
        "http://" + "a." * 200 + "example",
        "http://a..b:9000",
        "http://" + "x" * 64 + ".example:9000",
        "http://[::1:9000",
        "",
    ],
)
def test_a05_what_is_no_plain_http_address_is_refused(anywhere: None, url: str) -> None:
    refused(url)


@pytest.mark.parametrize("port", [22, 25, 3306, 5432, 6379, 11211, 27017])
def test_a05_ports_of_well_known_services_are_refused_unless_allowed(settings: object, port: int) -> None:
    said = refused(f"http://127.0.0.1:{port}")
    assert f"TASKDIST_NODE_PORTS={port}" in said
    settings.TASKDIST = {"node_ports": f"80, {port}"}
    assert addresses.resolve(addresses.parse(f"http://127.0.0.1:{port}"))


def test_a05_the_databases_own_port_is_refused(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", "6543")
    assert "database" in refused("http://127.0.0.1:6543")


def test_a05_the_dispatcher_itself_is_no_node(settings: object, anywhere: None) -> None:
    settings.TASKDIST_PORT = 8123
    for host in ("127.0.0.1", "localhost", "[::1]", "127.0.0.2", "[::ffff:127.0.0.1]"):
        assert "own" in refused(f"http://{host}:8123")
    # Another machine may well use the same port.
    assert addresses.resolve(addresses.parse("http://192.0.2.7:8123")) == "192.0.2.7"


def test_a06_neither_proxies_nor_netrc_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with node_double(lambda *_: (502, {}, b"")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with (
            node_double(lambda *_: (200, {}, b"{}")) as node,
            contextlib.closing(NodeClient(url=node.url, key="k")) as client,
        ):
            assert client.post("/tasks", b"{}").status == 200
            assert "Authorization" not in node.seen[0][2]
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"node_networks": "10.0.0/8"}, "TASKDIST_NODE_NETWORKS"),
        ({"node_networks": "localhost"}, "10.1.2.0/24"),
        ({"node_ports": "ssh"}, "TASKDIST_NODE_PORTS"),
        ({"node_ports": "0"}, "from 1 to 65535"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_at_the_start(setting: dict[str, str], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        Conf(**setting)

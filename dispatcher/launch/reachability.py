"""Can the web tier listen at its address, and does it answer there?"""

from __future__ import annotations

import errno
import http.client
import socket

from django.core.management.base import CommandError

from dispatcher.launch.programs import Address

ANSWER_SECONDS = 2.0


def check_free(address: Address) -> None:
    """Raise CommandError, saying what to do, where the web tier could not listen at the address."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the web server does: connections of the last run that still linger do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise CommandError(_advice(address, error)) from error


def answers(address: Address, path: str = "/healthz") -> bool:
    """Return whether the web tier answers a request there, with anything but a server error."""
    connection = http.client.HTTPConnection(address.reachable_host, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _advice(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {address.port} is in use by another program. Stop that program, or choose another port: "
            f"make run PORT={address.port + 1}"
        )
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {address.port}. Choose one above 1023: make run PORT=8000"
    return f"Cannot listen on {address.host}: {error.strerror}. Choose an address of this machine with --host."

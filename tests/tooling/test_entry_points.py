from __future__ import annotations

import pytest
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.urls import reverse

from taskdist_site.asgi import application


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/tasks", "/task", "/live/snapshot", "/", "/login/", "/admin/login/"]
)
def test_every_part_has_its_addresses(path: str) -> None:
    response = Client().get(path)
    response.close()
    assert response.status_code != 404


@pytest.mark.django_db
def test_whoever_is_not_signed_in_is_sent_to_the_login() -> None:
    response = Client().get("/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("dashboard:login"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", ""])
async def test_a_websocket_from_elsewhere_is_refused(origin: str) -> None:
    headers = [(b"host", b"localhost"), (b"origin", origin.encode())]
    socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
    connected, _ = await socket.connect()
    assert not connected


@pytest.mark.django_db(transaction=True)
async def test_a_websocket_from_our_own_page_gets_through() -> None:
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
    connected, _ = await socket.connect()
    assert connected
    # Let in far enough to be told that nobody is signed in.
    assert (await socket.receive_output(5)) == {"type": "websocket.close", "code": 4401}

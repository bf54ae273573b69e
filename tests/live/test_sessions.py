"""Session and role of whoever is behind an open websocket: what ends there ends here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dispatcher import credentials, node_registry, roles
from dispatcher.live import session
from dispatcher.live.session import SESSION_CHECK_SECONDS, WATCH_SECONDS, SessionGuard
from dispatcher.states import TaskState
from taskdist_site.asgi import application
from tests.factories import make_task, make_user
from tests.live.browser import PATIENCE_SECONDS, Browser, cookie_of

pytestmark = pytest.mark.django_db(transaction=True)

#: What docs/live_protocol.md and docs/tokens.md promise.
PROMISED_SECONDS = 20.0
LONGEST_SECONDS = 30.0

SECRET = "tdk_nobody-but-operators-sees-this"


def sign_out(cookie: str) -> None:
    browser = Client()
    browser.cookies["taskdist_session"] = cookie
    assert browser.post("/logout/").status_code == 302


def change_own_password(cookie: str) -> None:
    user = get_user_model().objects.get()
    user.set_password("another")
    user.save()


ENDINGS: dict[str, Callable[[str], Any]] = {
    "signed out": sign_out,
    "all sessions of the site ended": lambda _cookie: Session.objects.all().delete(),
    "session expired": lambda _cookie: Session.objects.update(expire_date=timezone.now() - timedelta(days=1)),
    "switched off": lambda _cookie: get_user_model().objects.update(is_active=False),
    "password changed": change_own_password,
    "account deleted": lambda _cookie: get_user_model().objects.all().delete(),
    "session emptied": lambda cookie: SessionStore(cookie).flush(),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_connection_ends_with_its_session(cookie: str, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SESSION_CHECK_SECONDS", 0.05)
    browser = Browser(cookie)
    await browser.open()
    await sync_to_async(ENDINGS[ending])(cookie)
    assert await browser.closed() == 4401
    await browser.leave()
    # Nor is there another with what is left of it.
    assert await Browser(cookie).accepted_and_closed() == 4401


async def test_a_session_that_lasts_keeps_its_connection(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SESSION_CHECK_SECONDS", 0.05)
    browser = Browser(cookie)
    await browser.open()
    assert await browser.is_silent(0.5)
    await browser.leave()


async def test_when_nobody_can_say_who_it_is_the_connection_ends(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SESSION_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(session, "LIMIT_SECONDS", 0.1)
    browser = Browser(cookie)
    await browser.open()

    async def unreachable(_scope: Any) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(session, "is_signed_in", unreachable)
    assert await browser.closed() == 4503
    await browser.leave()


class Clock:
    """Seconds, that go on while somebody waits for the database."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def guarded(clock: Clock, answer: Callable[[], bool], waits: list[float]) -> SessionGuard:
    """A guard whose look-ups take so long each, one after the other. More than ``LOOKUP_SECONDS`` is too long."""

    async def look_up() -> bool:
        asked = answer()
        wait = min(waits.pop(0) if waits else 0.0, session.LOOKUP_SECONDS)
        clock.now += wait
        if wait == session.LOOKUP_SECONDS:
            raise TimeoutError
        return asked

    return SessionGuard(look_up, clock.now)


def seconds_until_closed(ends_at: float, waits: list[float]) -> tuple[float, bool | None]:
    """How long after its session ended the loop of a socket closes it, and how."""
    clock = Clock()
    guard = guarded(clock, lambda: clock.now < ends_at, waits)

    async def watch() -> tuple[float, bool | None]:
        while True:
            clock.now += WATCH_SECONDS
            verdict = await guard.is_over(clock)
            if verdict is not False:
                return clock.now - ends_at, verdict

    return asyncio.run(watch())


@pytest.mark.django_db(databases=[])
@given(ends_at=st.floats(0, 200))
def test_whenever_a_session_ends_its_socket_ends_within_what_is_promised(ends_at: float) -> None:
    late, verdict = seconds_until_closed(ends_at, [])
    assert verdict is True
    assert late <= PROMISED_SECONDS


@pytest.mark.django_db(databases=[])
@given(ends_at=st.floats(0, 200), waits=st.lists(st.sampled_from([0.0, 1.0, 3.9, 4.0, 60.0]), max_size=60))
def test_a_database_that_is_slow_or_away_keeps_no_socket_open(ends_at: float, waits: list[float]) -> None:
    assert seconds_until_closed(ends_at, waits)[0] <= LONGEST_SECONDS


@pytest.mark.django_db(databases=[])
def test_a_short_outage_ends_no_socket() -> None:
    clock = Clock()
    waits = [session.LOOKUP_SECONDS]
    guard = guarded(clock, lambda: True, waits)
    clock.now = SESSION_CHECK_SECONDS
    assert [asyncio.run(guard.is_over(clock)) for _ in range(2)] == [False, False]
    assert waits == []


@pytest.mark.parametrize("kind", ["api", "node", "enrolment"])
async def test_no_token_opens_a_websocket(transactional_db: None, kind: str) -> None:
    def issue() -> str:
        now = timezone.now()
        if kind == "api":
            user = make_user(is_superuser=True)
            return credentials.issue_api_token(user=user, label="l", actor="a", now=now)
        if kind == "node":
            return node_registry.issue_credential(name="n-1", actor="a", now=now)
        return credentials.issue_enrolment_token(label="l", actor="a", now=now)

    token = await sync_to_async(issue)()
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    headers += [(b"authorization", f"Bearer {token}".encode())]
    socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
    assert (await socket.connect(PATIENCE_SECONDS))[0]
    assert (await socket.receive_output(PATIENCE_SECONDS))["code"] == 4401


async def test_a_user_who_was_switched_off_is_not_let_in(transactional_db: None) -> None:
    user = await sync_to_async(make_user)()
    cookie = await cookie_of(user)
    await get_user_model().objects.aupdate(is_active=False)
    assert await Browser(cookie).accepted_and_closed() == 4401


def make_operator() -> Any:
    user = make_user("otto")
    user.groups.add(Group.objects.get_or_create(name=roles.OPERATOR_GROUP)[0])
    return user


async def test_no_role_sees_secrets_by_websocket_and_one_that_was_lost_sees_them_nowhere(
    transactional_db: None, tab: Callable[..., Awaitable[Browser]]
) -> None:
    user = await sync_to_async(make_operator)()
    cookie = await cookie_of(user)
    task = await sync_to_async(make_task)(state=TaskState.QUEUED, payload=json.dumps({"password": SECRET}))
    browser = Browser(cookie)
    await browser.open()
    name = f"task:{task.pk}"

    def shown() -> list[bool]:
        """Whether page, API and snapshot show the secret to somebody with this session who asks for it."""
        client = Client()
        client.cookies["taskdist_session"] = cookie
        paths = (f"/tasks/{task.pk}/?unmasked=true", f"/api/v1/tasks/{task.pk}?unmasked=true")
        return [SECRET in client.get(path).content.decode() for path in (*paths, f"/live/snapshot?topic={name}")]

    def may_cancel() -> bool:
        client = Client()
        client.cookies["taskdist_session"] = cookie
        return client.post(f"/api/v1/tasks/{task.pk}/cancel").status_code == 200

    assert SECRET not in json.dumps(await browser.watch(name))
    assert await sync_to_async(shown)() == [True, True, False]
    # From an operator to a viewer, with the socket open: it stays, and shows what viewers see, which it did before.
    await sync_to_async(user.groups.clear)()
    assert SECRET not in json.dumps(await browser.watch(name))
    assert await sync_to_async(shown)() == [False, False, False]
    assert not await sync_to_async(may_cancel)()
    task.priority = 5
    await task.asave()
    assert SECRET not in json.dumps(await browser.watch(name))
    await browser.leave()

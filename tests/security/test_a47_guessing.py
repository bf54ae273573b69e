"""A47: guessing passwords and tokens, and learning from the answers which accounts there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from dispatcher import throttle
from dispatcher.models import Throttle
from tests.api.conftest import Caller
from tests.factories import make_user

pytestmark = pytest.mark.django_db

MOST = 10
GOOD = "correct horse 7 battery"
DOORS = pytest.mark.parametrize("door", ["/login/", "/admin/login/"])


@pytest.fixture(autouse=True)
def _accounts(db: None) -> Iterator[None]:
    make_user("alice", password=GOOD, is_staff=True)
    make_user("vera", password=GOOD)
    yield
    throttle.forget()


def sign_in(door: str, name: str, password: str, client: Client | None = None) -> HttpResponse:
    return (client or Client()).post(door, {"username": name, "password": password})


def later(seconds: float) -> None:
    """As if so much time had passed."""
    for row in Throttle.objects.all():
        row.ends_at -= timedelta(seconds=seconds)
        row.save()
    throttle.forget()


@DOORS
def test_a47_after_too_many_tries_even_the_right_password_has_to_wait(door: str) -> None:
    assert [sign_in(door, "alice", f"wrong-{n}").status_code for n in range(MOST)] == [200] * MOST
    answer = sign_in(door, "alice", GOOD)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "sessionid" not in answer.cookies
    later(61)
    assert sign_in(door, "alice", GOOD).status_code == 302


@DOORS
def test_a47_no_answer_tells_whether_there_is_such_an_account(door: str) -> None:
    def seen(name: str) -> list[tuple[int, str]]:
        found = []
        for n in range(MOST + 1):
            answer = sign_in(door, name, f"wrong-{n}", client)
            # The time to wait as a word of its own: the digits are in tokens as well, whose length has to stay.
            text = re.sub(rf"\b{answer.headers.get('Retry-After', '-')}\b", "S", answer.content.decode())
            text = text.replace(name, "NAME")
            found.append((answer.status_code, text))
        return found

    client = Client()
    client.get(door)
    known, unknown = seen("alice"), seen("nobody")
    assert [status for status, _ in known] == [status for status, _ in unknown]
    assert [len(text) for _, text in known] == [len(text) for _, text in unknown]


def test_a47_both_forms_count_as_one() -> None:
    for n in range(MOST):
        sign_in("/login/" if n % 2 else "/admin/login/", "alice", "wrong")
    assert [sign_in(door, "ALICE ", GOOD).status_code for door in ("/login/", "/admin/login/")] == [429, 429]


def test_a47_who_is_signed_in_can_neither_guess_without_limit_nor_clear_the_count_of_others() -> None:
    viewer = Client()
    viewer.force_login(make_user("victor"))
    for _ in range(MOST):
        sign_in("/admin/login/", "alice", "wrong", viewer)
        sign_in("/login/", "alice", "wrong", viewer)
    assert sign_in("/admin/login/", "alice", GOOD, viewer).status_code == 429
    assert sign_in("/login/", "alice", GOOD).status_code == 429


def test_a47_a_good_sign_in_clears_the_count_of_its_name() -> None:
    for _ in range(3):
        assert [sign_in("/login/", "alice", "wrong").status_code for _ in range(MOST - 1)] == [200] * (MOST - 1)
        assert sign_in("/login/", "alice", GOOD).status_code == 302


def test_a47_one_address_cannot_go_through_all_names() -> None:
    statuses = [sign_in("/login/", f"name-{n}", "Winter2026").status_code for n in range(10 * MOST + 1)]
    assert statuses == [200] * 10 * MOST + [429]


def test_a47_bad_tokens_are_answered_429_after_too_many_and_good_ones_are_not_touched(
    operator: Caller, settings: object
) -> None:
    settings.TASKDIST = {**getattr(settings, "TASKDIST", {}), "token_failures_per_minute": 3}
    stranger = Caller("tdk_" + "x" * 40)
    answers = [stranger.read("/api/v1/tasks") for _ in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert operator.read("/api/v1/tasks").status == 200


@pytest.mark.django_db(transaction=True)
def test_a47_tries_at_the_same_time_are_counted_one_by_one() -> None:
    request = RequestFactory().post("/login/", REMOTE_ADDR="192.0.2.7")
    limits, now = throttle.sign_in_limits(request, "alice"), timezone.now()

    def attempt(_n: int) -> bool:
        try:
            return throttle.take(limits, now=now) == 0.0
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(40))) == MOST

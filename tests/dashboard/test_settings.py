"""Languages, time zones and the other choices of one reader: what is kept, what is ignored, what programs get."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone, translation

from dispatcher.dashboard.preferences import COOKIE, Preferences, parse
from dispatcher.dashboard.zones import known_zones, zone_of
from dispatcher.models import EngineProcess, Task
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    client = Client()
    client.force_login(make_user("vera"))
    return client


def html(response: Any) -> str:
    text: str = response.content.decode()
    return text


def test_the_language_is_that_of_the_browser_until_another_is_chosen(reader: Client) -> None:
    assert '<html lang="en"' in html(reader.get("/"))
    for wish in ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans", "zh"):
        page = reader.get("/", HTTP_ACCEPT_LANGUAGE=wish)
        assert '<html lang="zh-Hans"' in html(page)
        assert "<title>概览 · taskdist</title>" in html(page)
        assert page.headers["Content-Language"] == "zh-hans"
    answer = reader.post("/language/", {"language": "en", "next": "/queues/"}, HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/queues/")
    assert '<html lang="en"' in html(reader.get("/", HTTP_ACCEPT_LANGUAGE="zh-CN"))


def test_the_language_can_be_chosen_before_the_login() -> None:
    stranger = Client(enforce_csrf_checks=True)
    assert stranger.post("/language/", {"language": "zh-hans"}).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html(stranger.get("/login/")))
    assert token
    stranger.post("/language/", {"language": "zh-hans", "next": "/login/", "csrfmiddlewaretoken": token[1]})
    page = html(stranger.get("/login/"))
    assert "用户名" in page
    assert "User name" not in page


@pytest.mark.parametrize("address", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", ""])
def test_the_way_back_leads_nowhere_else(reader: Client, address: str) -> None:
    assert reader.post("/language/", {"language": "en", "next": address}).headers["Location"] == "/"
    assert reader.post("/settings/", {"theme": "dark", "next": address}).headers["Location"] == "/settings/?saved"


@pytest.mark.parametrize("code", ["fr", "../../etc/passwd", "zh_hans\n", "x" * 5000])
def test_a_language_that_we_lack_is_ignored(reader: Client, code: str) -> None:
    assert not reader.post("/language/", {"language": code}).cookies
    reader.cookies["taskdist_language"] = "xx-nope"
    assert '<html lang="en"' in html(reader.get("/"))


def test_programs_are_answered_in_english_whatever_a_browser_speaks(reader: Client) -> None:
    reader.cookies["taskdist_language"] = "zh-hans"
    for path in ("/api/v1/tasks/nonsense", "/api/v1/queues?x=1", "/live/snapshot?topic=nonsense"):
        answer = reader.get(path, HTTP_ACCEPT_LANGUAGE="zh-CN", HTTP_AUTHORIZATION="Bearer none")
        assert answer.status_code >= 400 or answer.content.isascii()
        assert answer.content.isascii(), path
    assert translation.get_language() == "en"


def test_after_a_page_the_thread_is_as_it_was(reader: Client) -> None:
    reader.get("/", HTTP_ACCEPT_LANGUAGE="zh-CN", HTTP_COOKIE=f"{COOKIE}=zone:Asia%2FShanghai")
    assert (translation.get_language(), timezone.get_current_timezone_name()) == ("en", "UTC")


def test_times_are_painted_in_the_zone_of_the_reader(reader: Client) -> None:
    now = timezone.now()
    EngineProcess.objects.create(id="e", host="h", pid=1, started_at=now, last_seen_at=now)
    operator = Client()
    operator.force_login(make_user("olga", is_staff=True))
    at = now.astimezone(zone_of("Asia/Kathmandu"))
    told = {"zone": "Asia/Kathmandu", "local": "Europe/Berlin"}
    operator.cookies[COOKIE] = "|".join(f"{name}:{quote(value, safe='')}" for name, value in told.items())
    page = html(operator.get("/settings/"))
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC+5:45" in page
    assert "Asia/Kathmandu" in page
    operator.cookies[COOKIE] = "local:Asia%2FTokyo"
    assert "UTC+9" in html(operator.get("/settings/"))
    del reader


def test_each_choice_is_kept_and_the_others_stay(reader: Client) -> None:
    for given in ({"theme": "dark"}, {"zone": "asia/shanghai"}, {"density": "compact", "keys": "off"}, {"pace": "5"}):
        assert reader.post("/settings/", given).status_code == 302
    found = parse(reader.cookies[COOKIE].value)
    assert found == Preferences(theme="dark", zone="Asia/Shanghai", density="compact", keys="off", pace="5")
    page = html(reader.get("/settings/"))
    assert 'data-theme="dark" data-density="compact"' in page
    assert 'value="Asia/Shanghai" placeholder' in page
    assert '<input type="radio" name="keys" value="off" checked>' in page
    reader.post("/settings/", {"theme": ""})
    assert parse(reader.cookies[COOKIE].value).theme == ""


def test_a_zone_that_nobody_knows_is_said_and_not_kept(reader: Client) -> None:
    answer = reader.post("/settings/", {"zone": "Middle/Earth"})
    assert (answer.status_code, "Middle/Earth" in html(answer)) == (400, True)
    assert COOKIE not in answer.cookies
    assert reader.post("/settings/", {"theme": "purple"}).cookies[COOKIE].value == ""


@pytest.mark.parametrize(
    "text",
    [
        "zone:../../etc/passwd", "zone:%2Fetc%2Fpasswd", "zone:%00", "zone:%ff%fe", "theme:dark%0d%0aSet-Cookie",
        "zone", ":", "|||", "theme:|x:y", "zone:posix%2FUTC", "x" * 10_000, "theme:DARK", "zone:UTC" + "+" * 5000,
    ],
)  # fmt: skip
def test_a_cookie_that_makes_no_sense_is_ignored(reader: Client, text: str) -> None:
    assert parse(text) == Preferences()
    reader.cookies[COOKIE] = text
    assert reader.get("/settings/").status_code == 200


def test_a_cookie_says_what_was_said() -> None:
    some = Preferences(theme="light", zone="America/Argentina/Buenos_Aires", local="Etc/GMT+5", announce="failures")
    assert parse(some.as_cookie()) == some
    assert re.fullmatch(r"[\w.:|%+-]+", some.as_cookie())
    assert "UTC" in known_zones()


def test_hosts_and_engines_are_for_those_who_look_after_them(reader: Client) -> None:
    now = timezone.now()
    EngineProcess.objects.create(id="a", host="secret-host", pid=7, started_at=now, last_seen_at=now)
    late = {"assigner": {"interval_seconds": 0.1, "last_good_seconds_ago": 900.0}}
    EngineProcess.objects.create(id="b", host="slow-host", pid=8, started_at=now, last_seen_at=now, loops=late)
    assert "secret-host" not in html(reader.get("/settings/"))
    operator = Client()
    operator.force_login(make_user("olga", is_staff=True))
    page = html(operator.get("/settings/"))
    assert "secret-host" in page
    assert "The engine on slow-host is behind with: assigner." in page
    EngineProcess.objects.update(last_seen_at=now - timedelta(minutes=5))
    assert "No engine is running" in html(operator.get("/settings/"))


def test_error_pages_and_the_admin_speak_chinese_too() -> None:
    client = Client(raise_request_exception=False, headers={"accept-language": "zh-CN"})
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    assert "页面不存在" in html(client.get("/nothing/"))
    admin = html(client.get("/admin/dispatcher/node/"))
    assert '<html lang="zh-hans"' in admin
    assert "taskdist 管理后台" in admin
    assert "节点" in admin


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2027-07-01T02:00", "2027-07-01T00:00:00+00:00"),
        # Twice that night: the first. Not at all that night: as if the clock had not jumped.
        ("2027-10-31T02:30", "2027-10-31T00:30:00+00:00"),
        ("2027-03-28T02:30", "2027-03-28T01:30:00+00:00"),
    ],
)
def test_a_form_without_scripts_is_read_in_the_zone_of_the_reader(typed: str, meant: str) -> None:
    operator = Client()
    operator.force_login(make_user("otto", is_superuser=True))
    operator.cookies[COOKIE] = "zone:Europe%2FBerlin"
    assert "times are in Europe/Berlin" in operator.get("/submit/").content.decode()
    fields = {"type": "t", "payload": "null", "key": typed, "run_at": typed}
    assert operator.post("/submit/", fields).status_code == 302
    assert str(Task.objects.get().run_at).replace(" ", "T") == meant
    answer = operator.post("/submit/", fields | {"key": "other", "run_at": "soon"})
    assert answer.status_code == 400

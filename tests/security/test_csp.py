"""Every page as it is delivered, on both databases: no code and no style in it, whatever people and nodes have said."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import OperationalError
from django.test import Client

from dispatcher import queries
from tests.factories import make_user
from tests.security import hostile, pages
from tests.security.hostile import LONG, NAME, SHORT, TEXT

#: Attributes that hold an address.
ADDRESSES = {"href", "src", "action", "formaction", "xlink:href", "data", "poster", "background", "srcset", "cite"}
#: Elements that load, embed or change what others mean; none of our pages has one.
UNWANTED = {"iframe", "object", "embed", "base", "style", "applet", "frame", "portal", "audio", "video"}


class Finder(HTMLParser):
    """Finds what a content security policy without inline code would refuse, and all text and values of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.said += values.values()
        wrong = [name for name in values if name.startswith("on") or name in ("style", "srcdoc")]
        wrong += [name for name in ADDRESSES & values.keys() if not _is_own(values[name])]
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            wrong.append("inline")
        if tag in UNWANTED or wrong or not tag.replace("-", "").isalnum():
            self.found.append(f"<{tag} {wrong}> at line {self.getpos()[0]}: {self.get_starttag_text()}"[:300])

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def _is_own(address: str) -> bool:
    """Whether an address leads to this site and to nothing that runs."""
    return not address.strip().lower().startswith(("javascript:", "data:", "vbscript:", "//", "http:", "https:", "x"))


def said_by(response: Any) -> str:
    """All text of a page, and all values; fails if it holds code or if the policy would let some run."""
    html = response.content.decode()
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    finder = Finder(html)
    assert finder.found == []
    return "\n".join(finder.said)


def is_page(response: Any) -> bool:
    return "html" in response.headers.get("Content-Type", "") and bool(response.content)


@pytest.fixture
def world(db: None) -> dict[str, str]:
    return hostile.make_world()


@pytest.fixture
def root(client: Client, world: dict[str, str]) -> Client:
    assert client.login(username=world["username"], password=hostile.PASSWORD)
    return client


def test_a19_every_route_is_a_page_that_is_looked_at_or_answers_programs(world: dict[str, str]) -> None:
    known = pages.pages(world).keys()
    unknown = [route for route in pages.routes() if route not in known and not pages.is_for_programs(route)]
    assert unknown == []
    assert known - set(pages.routes()) == set()


def test_a19_no_page_holds_code_or_style_whatever_it_shows(root: Client, world: dict[str, str]) -> None:
    statuses: dict[str, int] = {}
    said: dict[str, str] = {}
    for address in [address for some in pages.pages(world).values() for address in some]:
        response = root.get(address)
        if is_page(response):
            statuses[address], said[address] = response.status_code, said_by(response)
    assert [address for address, text in said.items() if hostile.WORKED_OUT in text] == []
    found = [address for address, status in statuses.items() if status == 200]
    assert len(found) > 70
    # At least who is signed in stands on each of them; a page for a pop-up has no such head.
    assert [address for address in found if hostile.TRACE not in said[address] and "_popup" not in address] == []
    for address, texts in shown_on(world).items():
        assert [text for text in texts if text not in said[address]] == [], address


def shown_on(world: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """What has to stand on some pages, to the letter."""
    task, node, name, short, long = f"/tasks/{world['failed']}/", world["node_name"], NAME, SHORT, LONG
    rows = {f"/admin/dispatcher/{model}/": (name, short, long) for model in ("task", "node", "queue")}
    return rows | {
        "/": (name, short, long),
        "/tasks/": (name, short, long),
        task: (name, short, long, hostile.UNSEEN),
        f"{task}?unmasked=true": (name, short, long, hostile.TEXT),
        "/nodes/": (name, short, long),
        f"/nodes/{quote(node, safe='')}/": (name, short, long, hostile.TEXT, hostile.ADDRESS),
        "/queues/": (name, long),
        f"/submit/?from={world['failed']}": (name, short, long),
        f"/admin/dispatcher/task/{world['failed']}/change/": (name, short, long),
        f"/admin/dispatcher/node/{world['node']}/change/": (name, short, long, hostile.ADDRESS),
        f"/admin/dispatcher/queue/{world['queue']}/history/": (name, long),
    }


def test_a19_nor_do_pages_for_strangers_and_viewers(world: dict[str, str]) -> None:
    viewer = Client()
    viewer.force_login(make_user(f"vera{SHORT}"))
    for client in (Client(), viewer):
        answers = [client.get(address) for some in pages.pages(world).values() for address in some]
        assert {200, 302, 404, 405} <= {response.status_code for response in answers}
        for response in filter(is_page, answers):
            said_by(response)


def posted(world: dict[str, str]) -> list[tuple[str, dict[str, Any], int]]:
    """Forms with something wrong in them, actions that ask first, what is shown once: address, fields, status."""
    admin, node = "/admin/dispatcher", {"_selected_action": world["node"], "index": "0"}
    actions = ("drain", "resume", "disable", "rotate_credentials", "revoke_credentials", "issue_enrolment_token")
    return [
        ("/login/", {"username": LONG, "password": LONG, "next": hostile.ADDRESS}, 200),
        ("/admin/login/", {"username": LONG, "password": LONG, "next": hostile.ADDRESS}, 200),
        ("/tokens/", {"label": LONG, "scopes": [LONG], "days": LONG}, 400),
        ("/settings/", {"zone": LONG, "theme": LONG, "language": LONG, "next": hostile.ADDRESS}, 400),
        ("/tokens/", {"label": SHORT, "scopes": ["tasks:read"], "days": "7"}, 200),
        ("/admin/password_change/", {"old_password": LONG, "new_password1": LONG, "new_password2": SHORT}, 200),
        ("/admin/auth/user/add/", {"username": LONG, "password1": LONG, "password2": SHORT}, 200),
        ("/admin/auth/group/add/", {"name": LONG[:150], "permissions": [LONG]}, 200),
        ("/admin/auth/group/add/?_popup=1", {"name": SHORT, "_popup": "1"}, 200),
        (f"/admin/auth/group/{world['group']}/delete/", {}, 200),
        (f"{admin}/queue/add/", {"name": LONG, "policy": LONG, "description": LONG * 9}, 200),
        (f"{admin}/queue/", {"action": "pause", "_selected_action": world["queue"], "index": "0"}, 200),
        (f"{admin}/queue/", {"action": "pause", "_selected_action": world["queue"], "confirmed": "yes", "reason": TEXT},
         200),
        *((f"{admin}/node/", {"action": action, **node}, 200) for action in actions),
        (f"{admin}/node/", {"action": "issue_enrolment_token", "confirmed": "yes", "hours": "1", **node}, 200),
        (f"{admin}/credential/", {"action": "revoke", "_selected_action": world["credential"], "index": "0"}, 200),
        *((f"{admin}/credential/issue/{kind}/", {"label": LONG * 9, "name": LONG, "uses": LONG, "user": LONG}, 200)
          for kind in ("api", "enrolment", "node")),
        (f"{admin}/credential/issue/enrolment/", {"label": SHORT, "uses": "1", "hours": "1"}, 200),
    ]  # fmt: skip


def test_a19_nor_do_answers_to_forms(root: Client, world: dict[str, str]) -> None:
    for address, fields, status in posted(world):
        response = (Client() if "login" in address else root).post(address, fields)
        assert (response.status_code, is_page(response)) == (status, True), address
        assert hostile.TRACE in said_by(response) or "new_password1" in fields, address


def _broken(*_args: Any, **_kwargs: Any) -> Any:
    raise RuntimeError(LONG)


def _unreachable(*_args: Any, **_kwargs: Any) -> Any:
    raise OperationalError(LONG)


@pytest.mark.django_db
def test_a20_error_pages_repeat_nothing_and_hold_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(make_user())
    told = {404: client.get(f"/nothing/{quote(LONG)}/"), 400: client.get("/", headers={"Host": SHORT})}
    told[403] = Client(enforce_csrf_checks=True).post("/login/", {"username": LONG})
    for _ in range(12):
        told[429] = client.post("/login/", {"username": LONG, "password": LONG})
    monkeypatch.setattr(queries, "overview", _broken)
    told[500] = client.get("/", {"q": LONG})
    monkeypatch.setattr(queries, "overview", _unreachable)
    told[503] = client.get("/", {"q": LONG})
    assert {status: response.status_code for status, response in told.items()} == {status: status for status in told}
    assert [status for status, response in told.items() if not is_page(response)] == []
    assert [status for status, response in told.items() if hostile.TRACE in said_by(response)] == []


def test_a20_what_is_for_programs_never_answers_with_a_page(root: Client, world: dict[str, str]) -> None:
    found = 0
    for route in filter(pages.is_for_programs, pages.routes()):
        plain = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", quote(SHORT, safe=""), route.replace("(?:/|$)", "/"))
        plain = plain.replace("(?:task|register|heartbeat|result)", "task").replace("^", "").replace("$", "")
        for method in ("GET", "POST", "TRACE"):
            response = root.generic(method, f"/{plain}?{urlencode({LONG: LONG})}", HTTP_ACCEPT="text/html")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert not is_page(response), f"{method} {route}"
            found += 1
    assert found > 80

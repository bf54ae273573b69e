from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from dispatcher import credentials
from dispatcher.models import Change, Credential
from tests.api.conftest import now
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("api_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def found(token: str) -> Credential:
    credential = credentials.authenticate(token.removesuffix("\n"), now=now())
    assert credential is not None
    return credential


def test_a_token_has_what_the_role_allows_and_ends_after_ninety_days() -> None:
    user = make_user("robot", is_staff=True)
    out, err = run("create", "robot", "--label", "nightly")
    made = found(out)
    assert (made.user, made.label, made.scopes) == (user, "nightly", "tasks:read tasks:write nodes:read operate")
    assert made.expires_at == made.created_at + timedelta(days=90)
    assert "not shown again" in err
    assert "(manage.py)" in Change.objects.get().actor


def test_less_and_for_another_time() -> None:
    make_user("robot")
    made = found(run("create", "robot", "--scopes", "nodes:read,tasks:read", "--expires-days", "0.5")[0])
    assert made.scopes == "tasks:read nodes:read"
    assert made.expires_at == made.created_at + timedelta(hours=12)
    assert found(run("create", "robot", "--expires-days", "never")[0]).expires_at is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "nobody"], "no account called nobody"),
        (["create", "robot", "--scopes", "tasks:raed"], "tasks:raed is no scope"),
        (["create", "robot", "--scopes", ","], "nothing is no scope"),
        (["create", "robot", "--scopes", "operate"], "does not allow operate; it allows tasks:read nodes:read"),
        (["create", "robot", "--expires-days", "0"], "expires-days"),
        (["create", "robot", "--expires-days", "nan"], "expires-days"),
        (["create", "robot", "--expires-days", "1e9"], "expires-days"),
        (["create", "robot", "--expires-days", "soon"], "expires-days"),
        (["create", "robot", "--label", "a\nb"], "--label"),
        (["create", "gone"], "not active"),
        (["revoke", "7"], "no API token 7"),
        (["revoke", "tdk_12345678"], "no API token"),
        (["revoke", "tde_12345678"], "no API token"),
        (["list", "nobody"], "no account"),
        ([], "ACTION"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], words: str) -> None:
    make_user("robot")
    make_user("gone", is_active=False)
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert not Credential.objects.exists()


def test_the_list_shows_beginnings_and_no_token() -> None:
    make_user("robot")
    make_user("otto")
    token = run("create", "robot", "--label", "nightly")[0].strip()
    run("create", "otto")
    listed = run("list")[0]
    assert len(listed.splitlines()) == 2
    assert f"{token[:12]}…" in listed
    assert token[:13] not in listed
    assert "never used" in listed
    assert "nightly" in run("list", "robot")[0]
    assert "nightly" not in run("list", "otto")[0]


@pytest.mark.parametrize("name", ["number", "beginning", "whole"])
def test_one_token_is_revoked_and_no_other(name: str) -> None:
    make_user("robot")
    token, other = (run("create", "robot")[0].strip() for _ in range(2))
    named = {"number": str(found(token).pk), "beginning": f"{token[:12]}…", "whole": token}[name]
    assert token[:12] in run("revoke", named)[1]
    assert credentials.authenticate(token, now=now()) is None
    assert credentials.authenticate(other, now=now()) is not None
    assert "(manage.py)" in Change.objects.get(kind="credential.revoked").actor
    assert token[:12] not in run("list")[0]
    assert "was revoked" in run("list", "--all")[0]


def test_an_empty_list_says_so() -> None:
    assert run("list") == ("", "There are none that are live.\n")


@pytest.mark.parametrize("action", [[], ["create"], ["list"], ["revoke"]])
def test_help(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(*action, "--help")
    out = capsys.readouterr().out
    assert "usage:" in out
    assert action != ["create"] or "tasks:write" in out

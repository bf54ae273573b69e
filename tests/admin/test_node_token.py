from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from dispatcher import credentials
from dispatcher.models import Change, Credential, Node
from tests.api.conftest import now
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("node_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_create_prints_nothing_but_the_token_to_standard_output() -> None:
    out, err = run("create", "gpu-1")
    found = credentials.authenticate(out.removesuffix("\n"), now=now())
    assert found is not None
    assert found.node == Node.objects.get(name="gpu-1")
    assert "gpu-1" in err
    assert "(manage.py)" in Change.objects.get().actor


def test_enrol() -> None:
    out, err = run("enrol", "--uses", "3", "--expires-hours", "2", "--label", "rack 4")
    stored = Credential.objects.get()
    assert out.startswith(stored.prefix)
    assert (stored.uses_left, stored.label) == (3, "rack 4")
    assert stored.expires_at is not None
    assert round((stored.expires_at - stored.created_at).total_seconds()) == 7200
    assert "3 node(s)" in err


def test_revoke() -> None:
    token = run("create", "gpu-1")[0].strip()
    assert "1 credential(s)" in run("revoke", "gpu-1")[1]
    assert credentials.authenticate(token, now=now()) is None
    assert "0 credential(s)" in run("revoke", "gpu-1")[1]


def test_api() -> None:
    user = make_user("robot")
    found = credentials.authenticate(run("api", "robot", "--label", "nightly")[0].strip(), now=now())
    assert found is not None
    assert (found.user, found.label) == (user, "nightly")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["create", "a b"], "name"),
        (["create", "x" * 101], "name"),
        (["enrol", "--uses", "0"], "--uses"),
        (["enrol", "--uses", "x"], "invalid int"),
        (["enrol", "--expires-hours", "0"], "--expires-hours"),
        (["enrol", "--expires-hours", "1e9"], "--expires-hours"),
        (["enrol", "--expires-hours", "nan"], "--expires-hours"),
        (["enrol", "--label", "a\nb"], "--label"),
        (["revoke", "nobody"], "no node"),
        (["api", "nobody"], "no account"),
        ([], "ACTION"),
        (["steal"], "steal"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], word: str) -> None:
    with pytest.raises(CommandError, match=word):
        run(*arguments)
    assert not Credential.objects.exists()


def test_an_account_that_is_not_active_gets_no_token() -> None:
    make_user("gone", is_active=False)
    with pytest.raises(CommandError, match="not active"):
        run("api", "gone")


@pytest.mark.parametrize("action", [[], ["create"], ["enrol"], ["revoke"], ["api"]])
def test_help(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(*action, "--help")
    assert "usage:" in capsys.readouterr().out

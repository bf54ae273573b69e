from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from dispatcher import credentials
from dispatcher.models import Change, Credential, Node
from tests.api.conftest import now

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


def test_rotate_asks_the_node_and_ends_nothing() -> None:
    token = run("create", "gpu-1")[0].strip()
    assert "gpu-1" in run("rotate", "gpu-1")[1]
    found = credentials.authenticate(token, now=now())
    assert found is not None
    assert found.renew_at is not None
    assert "(manage.py)" in Change.objects.get(kind="credential.rotation_requested").actor


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
        (["rotate", "nobody"], "no node"),
        ([], "ACTION"),
        (["steal"], "steal"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], word: str) -> None:
    with pytest.raises(CommandError, match=word):
        run(*arguments)
    assert not Credential.objects.exists()


def test_a_node_without_a_credential_has_nothing_to_rotate() -> None:
    run("create", "gpu-1")
    run("revoke", "gpu-1")
    with pytest.raises(CommandError, match="no credential"):
        run("rotate", "gpu-1")


@pytest.mark.parametrize("action", [[], ["create"], ["enrol"], ["revoke"], ["rotate"]])
def test_help(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(*action, "--help")
    assert "usage:" in capsys.readouterr().out

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from dispatcher import checks
from dispatcher.launch import safety_looks
from dispatcher.launch.findings import Level
from tests.architecture.sources import ROOT
from tests.factories import NOW, make_user

GOOD_KEY = "Zr8-enough-of-it-4fQzW9vJm2RbYp0LxD1"


def ids(looks: Any = None) -> set[str]:
    return {weakness.id for weakness in (checks.weaknesses() if looks is None else looks())}


@pytest.fixture
def safe(settings: Any, tmp_path: Path) -> Any:
    """Settings with nothing to be said against them."""
    settings.SECRET_KEY, settings.DEBUG, settings.DEVELOPMENT = GOOD_KEY, False, False
    settings.ALLOWED_HOSTS = ["tasks.example.org"]
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir(mode=0o700)
    settings.PUBLIC_URL, settings.TASKDIST_HOST = "", "127.0.0.1"
    return settings


def test_a44_safe_settings_are_let_pass(safe: Any) -> None:
    assert ids() == set()
    checks.refuse_unsafe_start()


@pytest.mark.parametrize(
    "key",
    ["short", "k" * 50, "abababababababababababababababababababab", "django-insecure-" + GOOD_KEY,
     "changeme" + GOOD_KEY, "this-is-my-secret-key-for-production"],
)  # fmt: skip
def test_a44_a_key_that_can_be_guessed_refuses_the_start(safe: Any, key: str) -> None:
    safe.SECRET_KEY = key
    with pytest.raises(ImproperlyConfigured, match="secret key can be guessed") as refused:
        checks.refuse_unsafe_start()
    assert key not in str(refused.value)


def test_a44_keys_that_are_made_are_strong_enough() -> None:
    for _ in range(200):
        for key in (secrets.token_urlsafe(48), secrets.token_hex(32), secrets.token_hex(16)):
            assert checks.bits(key) >= checks.LEAST_KEY_BITS


@pytest.mark.parametrize(
    ("setting", "value", "id_"),
    [("DEBUG", True, "E002"), ("ALLOWED_HOSTS", ["a.example", "*"], "E003")],
)
def test_a44_debug_pages_and_any_host_refuse_the_start_but_in_development(
    safe: Any, setting: str, value: Any, id_: str
) -> None:
    setattr(safe, setting, value)
    assert ids() == {id_}
    with pytest.raises(ImproperlyConfigured):
        checks.refuse_unsafe_start()
    safe.DEVELOPMENT = True
    checks.refuse_unsafe_start()


@pytest.mark.parametrize("name", ["secret_key", "taskdist.sqlite3", "taskdist.sqlite3-wal", "nodes/n-1/token"])
def test_a44_secrets_that_others_can_read_refuse_the_start(safe: Any, name: str) -> None:
    path = safe.VAR_DIR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o644)
    path.chmod(0o644)
    # Behind a closed folder the file's own mode opens nothing.
    assert ids() == set()
    safe.VAR_DIR.chmod(0o755)
    assert ids() == {"E004"}
    path.chmod(0o600)
    assert ids() == set()


@pytest.mark.parametrize(
    ("changes", "id_"),
    [({"TASKDIST_HOST": "0.0.0.0"}, "W101"), ({"PUBLIC_URL": "http://tasks.example.org"}, "W101"),
     ({"PUBLIC_URL": "https://tasks.example.org"}, "W102"),
     ({"TASKDIST": {"node_networks": "10.0.0.0/8, 0.0.0.0/0"}}, "W103"),
     ({"TASKDIST": {"redact_keys": "-password"}}, "W105")],
)  # fmt: skip
def test_a44_what_only_the_surroundings_can_tell_is_a_warning(safe: Any, changes: dict[str, Any], id_: str) -> None:
    for name, value in changes.items():
        setattr(safe, name, value)
    assert ids() == {id_}
    checks.refuse_unsafe_start()


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [("db.internal", {}, {"W104"}), ("db.internal", {"sslmode": "disable"}, {"W104"}),
     ("db.internal", {"sslmode": "verify-full"}, set()), ("/var/run/postgresql", {}, set()), ("127.0.0.1", {}, set())],
)  # fmt: skip
def test_a44_postgresql_across_the_network_needs_tls(
    monkeypatch: pytest.MonkeyPatch, host: str, options: dict[str, str], expected: set[str]
) -> None:
    database = {"ENGINE": "dispatcher.postgresql", "HOST": host, "OPTIONS": options}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": database}))
    assert ids(checks.database_connection) == expected


@pytest.mark.django_db
def test_a44_an_admin_with_a_default_password_is_named(safe: Any) -> None:
    make_user("root", password=secrets.token_urlsafe(), is_superuser=True)
    assert ids(checks.passwords) == set()
    make_user("boss", password="boss", is_superuser=True)
    make_user("vera", password="password")
    assert [weakness.advice for weakness in checks.passwords()] == ["manage.py changepassword boss"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("password", "is_let_in"), [("root", False), ("letmein", False), ("Changeme", False), ("wq-3-uhu-7", True)]
)
def test_a44_a_default_password_lets_nobody_in(
    safe: Any, password: str, is_let_in: bool, caplog: pytest.LogCaptureFixture
) -> None:
    make_user("root", password=password, is_superuser=True, is_staff=True)
    safe.ALLOWED_HOSTS = ["testserver"]
    for path in ("/login/", "/admin/login/"):
        client = Client()
        client.post(path, {"username": "root", "password": password})
        assert ("_auth_user_id" in client.session) is is_let_in
    assert ("changepassword root" in caplog.text) is not is_let_in
    assert password == "root" or password not in caplog.text
    safe.DEVELOPMENT = True
    assert Client().login(username="root", password=password)


@pytest.mark.django_db
def test_a44_check_and_doctor_tell_the_same(safe: Any) -> None:
    safe.SECRET_KEY, safe.TASKDIST_HOST = "k" * 50, "0.0.0.0"
    make_user("boss", password="admin", is_superuser=True)
    with pytest.raises(SystemCheckError) as refused:
        call_command("check", deploy=True, databases=["default"], stdout=StringIO())
    told = [*safety_looks.surroundings(NOW), *safety_looks.passwords(NOW)]
    assert [finding.level for finding in told] == [Level.FAIL, Level.WARN, Level.FAIL]
    for finding, id_ in zip(told, ("E001", "W101", "E005"), strict=True):
        assert f"taskdist.{id_}" in str(refused.value)
        assert f"({id_})" in finding.seen
        assert finding.advice in str(refused.value)


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with nothing set but these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
    environment = kept | {f"TASKDIST_{name}": value for name, value in variables.items()}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def settings_with(**variables: str) -> list[str]:
    """Hosts, trusted origins, whether cookies need https, the proxy's header, days of HSTS."""
    code = (
        "from taskdist_site import settings as s; print(s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS, "
        "s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE, s.SECURE_PROXY_SSL_HEADER, s.SECURE_HSTS_SECONDS, sep='\\n')"
    )
    done = run("-c", code, SECRET_KEY=GOOD_KEY, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a44_one_variable_sets_up_everything_behind_https() -> None:
    hosts, origins, is_secure, proxy, hsts = settings_with(PUBLIC_URL="https://Tasks.example.org/")
    assert "'tasks.example.org'" in hosts
    assert origins == "['https://tasks.example.org']"
    assert (is_secure, hsts) == ("True", str(30 * 86400))
    assert "HTTP_X_FORWARDED_PROTO" in proxy
    assert settings_with()[1:] == ["[]", "False", "None", "0"]


@pytest.mark.parametrize("module", ["taskdist_site.asgi", "taskdist_site.wsgi"])
def test_a44_no_server_starts_with_a_weak_key(module: str, tmp_path: Path) -> None:
    done = run("-c", f"import {module}", SECRET_KEY="admin", VAR=str(tmp_path))
    assert done.returncode == 1
    assert "the secret key can be guessed" in done.stderr


@pytest.mark.parametrize("command", ["up", "engine"])
def test_a44_no_command_starts_with_a_weak_key(command: str, tmp_path: Path) -> None:
    done = run("manage.py", command, SECRET_KEY="admin", VAR=str(tmp_path / "var"))
    assert done.returncode == 2
    assert done.stderr.startswith("This is not safe to run:")
    assert "Traceback" not in done.stderr


def test_a44_a_database_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.umask(0o022); sys.argv = ['manage.py', 'migrate', '-v', '0']; import manage; manage.main()"
    )
    done = run("-c", code, VAR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in tmp_path.iterdir()}
    assert modes["taskdist.sqlite3"] == 0
    assert [name for name, mode in modes.items() if mode and "sqlite3" in name] == []

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import connection

from dispatcher.clients.node_client import Answer
from dispatcher.engine import deliveries
from dispatcher.launch import database_looks, database_reach, host_looks, life_looks, preparation
from dispatcher.launch.findings import Finding, Level, examine, fail
from dispatcher.launch.holding import HeldByAnother, Holding, announced_address
from dispatcher.launch.programs import Address
from dispatcher.launch.variables import SITE_VARIABLES, behaviour_variables
from dispatcher.management.commands import doctor
from dispatcher.models import EngineProcess, Node
from dispatcher.states import NodeState

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def look(at: Callable[[datetime], Iterable[Finding]]) -> list[Finding]:
    return list(at(NOW))


def levels(at: Callable[[datetime], Iterable[Finding]]) -> list[Level]:
    return [finding.level for finding in look(at)]


def make_engine(**fields) -> EngineProcess:
    values = {"id": "one", "host": "here", "pid": 7, "started_at": NOW, "last_seen_at": NOW, "loops": {}}
    return EngineProcess.objects.create(**(values | fields))


def make_node(**fields) -> Node:
    values = {
        "name": "n1",
        "url": "http://127.0.0.1:9",
        "state": NodeState.ONLINE,
        "boot_id": "b1",
        "incarnation": 1,
        "created_at": NOW,
        "registered_at": NOW,
        "last_seen_at": NOW,
        "lease_expires_at": NOW + timedelta(minutes=1),
    }
    return Node.objects.create(**(values | fields))


@pytest.fixture
def var(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The folder is needed: the key is kept there.
    monkeypatch.delenv("TASKDIST_SECRET_KEY", raising=False)
    settings.VAR_DIR = tmp_path / "var"
    return settings.VAR_DIR


def test_private_files_are_well_and_open_ones_are_not(var: Path) -> None:
    assert levels(host_looks.folder) == [Level.FAIL]
    var.mkdir(mode=0o700)
    (var / "secret_key").touch(mode=0o600)
    assert levels(host_looks.folder) == [Level.OK]
    (var / "secret_key").chmod(0o644)
    [finding] = look(host_looks.folder)
    assert finding.level is Level.FAIL
    assert finding.advice == f"chmod go-rwx {var / 'secret_key'}"


def test_an_installation_that_keeps_nothing_here_needs_no_folder(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKDIST_SECRET_KEY", "k" * 50)
    monkeypatch.setattr(host_looks, "connection", SimpleNamespace(vendor="postgresql"))
    assert levels(host_looks.folder) == [Level.OK]
    assert levels(host_looks.disk) == []
    monkeypatch.setattr(host_looks, "connection", SimpleNamespace(vendor="sqlite"))
    assert levels(host_looks.folder) == [Level.FAIL]


def test_a_database_file_that_cannot_be_written_is_named(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var.mkdir(mode=0o700)
    file = var / "taskdist.sqlite3"
    file.touch(mode=0o600)
    # Root may write everything: the answer for another user is given here.
    monkeypatch.setattr("os.access", lambda path, _mode: path != file)
    [finding] = look(host_looks.folder)
    assert finding.level is Level.FAIL
    assert finding.advice == f"chown USER {file}"


@pytest.mark.parametrize(("free", "level"), [(50 << 20, Level.FAIL), (500 << 20, Level.WARN), (5 << 30, Level.OK)])
def test_a_full_disk_is_seen_coming(var: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    var.mkdir()
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert levels(host_looks.disk) == [level]


def test_a_slip_in_a_variable_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKDIST_LEASE_SECOND", "30")
    findings = [finding for finding in look(host_looks.variables) if "TASKDIST_LEASE_SECOND " in finding.seen]
    assert [finding.level for finding in findings] == [Level.WARN]
    assert "TASKDIST_LEASE_SECONDS" in findings[0].advice


def test_every_variable_that_the_settings_read_is_known() -> None:
    text = (Path(host_looks.settings.BASE_DIR) / "taskdist_site" / "settings.py").read_text()
    read = {word for word in text.replace('"', " ").split() if word.startswith("TASKDIST_") and word.isupper()}
    # Less a setting that no variable sets, the prefix, and the example in a comment.
    assert read - {"TASKDIST_CSP", "TASKDIST_", "TASKDIST_LEASE_SECONDS"} == {
        variable.name for variable in SITE_VARIABLES
    }


def test_every_behaviour_setting_says_what_it_does() -> None:
    # Read from the comment above the field, or above the first of a group.
    meanings = {variable.name: variable.meaning for variable in behaviour_variables()}
    assert meanings["TASKDIST_HEARTBEAT_SECONDS"] == "How often a node says that it lives."
    assert [name for name, meaning in meanings.items() if not meaning] == []


def test_the_page_of_settings_is_up_to_date() -> None:
    script = Path(host_looks.settings.BASE_DIR) / "scripts" / "write_settings_page.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.django_db
def test_the_database_of_this_run_is_well() -> None:
    found = {finding.name: finding for finding in look(database_looks.database)}
    assert found["database"].level is Level.OK
    # The PostgreSQL of the tests runs without fsync, and the doctor sees that.
    assert found["durability"].level is (Level.WARN if connection.vendor == "postgresql" else Level.OK)
    assert levels(database_looks.migrations) == [Level.OK]
    assert all(level is Level.OK for level in levels(database_looks.clock))


def test_an_unreachable_database_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (database_looks, database_reach):
        monkeypatch.setattr(module, "unreachable_reason", lambda: "no route to host")
    [finding] = look(database_looks.database)
    assert finding.level is Level.FAIL
    assert "no route to host" in finding.seen
    with pytest.raises(preparation.CommandError, match="no route to host"):
        preparation.migrate()


@pytest.mark.django_db
def test_the_database_of_this_run_can_be_reached() -> None:
    assert database_reach.unreachable_reason() == ""


@pytest.mark.django_db
def test_no_engine_is_a_failure_and_a_dead_one_too() -> None:
    assert levels(life_looks.engines) == [Level.FAIL]
    make_engine(last_seen_at=NOW - timedelta(minutes=5))
    [finding] = look(life_looks.engines)
    assert finding.level is Level.FAIL
    assert "11:55:00" in finding.seen


@pytest.mark.django_db
def test_loops_are_judged_by_their_last_good_pass() -> None:
    make_engine(
        loops={
            "assigner": {"passes": 9, "interval_seconds": 1, "last_good_seconds_ago": 0.4, "errors": 0},
            "poller": {"passes": 9, "last_good_seconds_ago": 0.4, "errors": 2, "last_error": "it broke"},
            "sweeper": {"passes": 9, "interval_seconds": 2, "last_good_seconds_ago": 4000, "errors": 0},
        }
    )
    engine, assigner, poller, sweeper = look(life_looks.engines)
    assert [engine.level, assigner.level, poller.level, sweeper.level] == [Level.OK, Level.OK, Level.WARN, Level.FAIL]
    assert "it broke" in poller.advice


@pytest.mark.django_db
def test_nodes_without_any_alive_are_a_failure() -> None:
    assert levels(life_looks.nodes) == [Level.WARN]
    make_node(name="gone", state=NodeState.OFFLINE)
    assert Level.FAIL in levels(life_looks.nodes)
    make_node(name="here")
    assert levels(life_looks.nodes) == [Level.WARN, Level.OK]


@pytest.mark.django_db
def test_a_node_whose_silence_nobody_noted_is_a_warning() -> None:
    # No engine runs that would: its state still says that it is online.
    make_node(last_seen_at=NOW - timedelta(minutes=2))
    [finding] = look(life_looks.nodes)
    assert finding.level is Level.WARN


@pytest.mark.django_db
def test_of_a_node_whose_silence_was_noted_it_says_what_comes() -> None:
    make_node(state=NodeState.SUSPECT, last_seen_at=NOW - timedelta(seconds=20))
    [finding] = look(life_looks.nodes)
    assert finding.level is Level.WARN
    assert "no new work" in finding.advice


@pytest.mark.django_db
def test_of_a_node_that_cannot_be_asked_for_anything_it_says_why() -> None:
    make_node(name="deaf", push_failures=3, trouble="could not connect: refused")
    make_node(name="elsewhere", push_failures=1, trouble=deliveries.judge(Answer(401, {}, b"")).failure)
    unreachable, refusing = look(life_looks.nodes)
    assert "could not connect" in unreachable.seen
    assert "firewall" in unreachable.advice
    assert "restart it" in refusing.advice


@pytest.mark.django_db
def test_what_was_heard_of_since_the_look_at_the_clock_is_not_in_the_future() -> None:
    later = NOW + timedelta(seconds=3)
    make_engine(last_seen_at=later, loops={"pusher": {"last_good_seconds_ago": 0.1, "interval_seconds": 1.0}})
    make_node(last_seen_at=later)
    seen = [finding.seen for finding in [*look(life_looks.engines), *look(life_looks.nodes)]]
    assert [text for text in seen if " 0 s ago" in text] == seen[1:]


def test_the_web_tier_is_looked_for_where_the_running_installation_says(
    var: Path, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKDIST_HOST, settings.TASKDIST_PORT = "127.0.0.1", 1
    answering = Address(host="127.0.0.1", port=2)
    monkeypatch.setattr(life_looks, "answers", lambda address: address == answering)
    for vendor, level in (("sqlite", Level.FAIL), ("postgresql", Level.WARN)):
        monkeypatch.setattr(life_looks, "connection", SimpleNamespace(vendor=vendor))
        assert levels(life_looks.web) == [level]

    var.mkdir()
    with Holding(var) as holding:
        holding.take(patience_seconds=0)
        assert announced_address(var) is None
        holding.announce(answering)
        [finding] = look(life_looks.web)
        assert (finding.level, ":2/" in finding.seen) == (Level.OK, True)
        with pytest.raises(HeldByAnother) as caught:
            Holding(var).take(patience_seconds=0)
        assert caught.value.pid == os.getpid()


@pytest.mark.django_db
def test_a_node_that_pushes_do_not_reach_is_a_warning() -> None:
    make_node(push_failures=3)
    [finding] = look(life_looks.nodes)
    assert finding.level is Level.WARN
    assert "TASKDIST_NODE_NETWORKS" in finding.advice


def test_a_look_that_breaks_does_not_stop_the_others() -> None:
    def broken(_now: datetime) -> list[Finding]:
        raise RuntimeError("first\nsecond")

    found = list(examine([("one", broken), ("two", lambda _now: [fail("two", "seen", "do")])], NOW))
    assert [finding.name for finding in found] == ["one", "two"]
    assert found[0].seen.endswith("RuntimeError: first")


@pytest.mark.django_db
@pytest.mark.parametrize("healthy", [True, False])
def test_the_command_prints_json_and_fails_if_anything_does(monkeypatch: pytest.MonkeyPatch, healthy: bool) -> None:
    finding = Finding("x", Level.OK, "seen") if healthy else fail("x", "seen", "do this")
    for looks in ("LOOKS", "LOOKS_INTO_DATABASE", "LOOKS_INTO_TABLES"):
        monkeypatch.setattr(doctor, looks, (("x", lambda _now: [finding]),))
    out = StringIO()
    if healthy:
        call_command("doctor", "--json", stdout=out)
    else:
        with pytest.raises(SystemExit) as caught:
            call_command("doctor", "--json", stdout=out)
        assert caught.value.code == 1
    document = json.loads(out.getvalue())
    assert document["ok"] is healthy
    assert document["findings"][0] == {
        "name": "x",
        "level": finding.level.value,
        "seen": "seen",
        "advice": finding.advice,
    }

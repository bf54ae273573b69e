"""Starting, draining, being killed and coming back, with real processes."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.node_process import TOKEN, NodeProcess
from tests.workers.signed import a_task, ref
from tests.workers.test_executors import eventually, is_running, number_in
from workers import protocol

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("node")]


def held_ids(node: NodeProcess) -> list[str]:
    return [held.task_id for held in node.client.status().held]


def test_a_drain_finishes_what_runs_and_hands_back_what_waits(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "1") as node:
        running = a_task("t.wait", {"file": str(tmp_path / "go")})
        waiting = a_task("t.mark", {"file": str(tmp_path / "ran")})
        node.client.push(running, waiting)
        node.await_running(running)
        node.terminate()
        assert dispatcher.result_of(waiting.task_id).outcome == "released"
        dispatcher.wait_for(lambda: [beat for beat in dispatcher.heartbeats if beat.draining], "the word of draining")
        late = a_task("t.double", {"n": 1})
        (item,) = node.client.push(late)
        assert (item.status, item.reason) == ("rejected", "draining")
        (tmp_path / "go").touch()
        assert dispatcher.result_of(running.task_id).outcome == "succeeded"
        assert node.wait() == 0
        assert not (tmp_path / "ran").exists()


def test_what_outlasts_the_drain_is_handed_back_and_processes_are_ended_first(
    dispatcher: DispatcherDouble, tmp_path: Path
) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "3", "--drain-seconds", "0.2") as node:
        never = str(tmp_path / "never")
        kinds = ("t.wait", "t.stubborn", "t.process_stubborn")
        tasks = [a_task(kind, {"file": never}) for kind in kinds[:2]]
        tasks.append(a_task(kinds[2], {"file": never, "started": str(tmp_path / "pid")}))
        node.client.push(*tasks)
        pid = number_in(tmp_path / "pid")
        node.terminate()
        assert [dispatcher.result_of(task.task_id).outcome for task in tasks] == ["released"] * 3
        assert not is_running(pid)
        assert node.wait() == 0


def test_what_outlasts_an_operators_deadline_is_handed_back_and_the_node_goes_on(
    dispatcher: DispatcherDouble, tmp_path: Path
) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "1") as node:
        running = a_task("t.wait", {"file": str(tmp_path / "never")})
        waiting = a_task("t.mark", {"file": str(tmp_path / "ran")})
        node.client.push(running, waiting)
        node.await_running(running)
        dispatcher.heartbeat_reply = protocol.HeartbeatReply(status="drain", drain_seconds=0.05, heartbeat_seconds=0.2)
        assert [dispatcher.result_of(task.task_id).outcome for task in (running, waiting)] == ["released"] * 2
        assert not (tmp_path / "ran").exists()
        dispatcher.heartbeat_reply = protocol.HeartbeatReply(heartbeat_seconds=0.2)
        eventually(lambda: not node.client.status().draining, "work again")
        assert node.run(a_task("t.double", {"n": 2})).outcome == "succeeded"


def test_a_thread_that_came_back_late_does_not_disturb_the_drain(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "1") as node:
        late = a_task("t.stubborn", {"file": str(tmp_path / "go")}, timeout_seconds=0.1)
        assert node.run(late).outcome == "timed_out"
        (tmp_path / "go").touch()
        busy = a_task("t.wait", {"file": str(tmp_path / "end")})
        node.client.push(busy)
        node.await_running(busy)
        node.terminate()
        dispatcher.wait_for(lambda: [beat for beat in dispatcher.heartbeats if beat.draining], "the word of draining")
        (tmp_path / "end").touch()
        assert dispatcher.result_of(busy.task_id).outcome == "succeeded"
        assert node.wait() == 0


def test_a_second_signal_ends_the_node_now(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "1") as node:
        task = a_task("t.stubborn", {"file": str(tmp_path / "never")})
        node.client.push(task)
        node.terminate()
        dispatcher.wait_for(lambda: [beat for beat in dispatcher.heartbeats if beat.draining], "the word of draining")
        node.terminate()
        assert node.wait() == 128 + signal.SIGTERM
        assert dispatcher.result_of(task.task_id).outcome == "released"


def test_the_dispatcher_can_stop_a_node(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        node.client.control(status="stop")
        assert node.wait() == 0


def test_results_that_could_not_be_reported_are_replayed_after_a_kill(
    dispatcher: DispatcherDouble, tmp_path: Path
) -> None:
    dispatcher.script = lambda path, body: (503, {}) if path.endswith("/results") else None
    tasks = [a_task("t.double", {"n": n}) for n in range(20)] + [a_task("t.talk", {"lines": 1})]
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        node.client.push(*tasks)
        eventually(lambda: not held_ids(node), "all have ended")
        first_boot = node.boot_id
        node.kill()
    assert dispatcher.results == []
    dispatcher.script = lambda path, body: None
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        assert node.boot_id != first_boot
        for task in tasks:
            assert dispatcher.result_of(task.task_id).outcome == "succeeded"
        assert {report.boot_id for report in dispatcher.reports} == {node.boot_id}
        # An attempt whose result came from the disk does not run again.
        assert node.client.push(tasks[0])[0].status == "duplicate"
        node.terminate()
        assert node.wait() == 0
    assert list((tmp_path / "state" / "outbox").iterdir()) == []
    assert sorted(r.task_id for r in dispatcher.results) == sorted(task.task_id for task in tasks)


def test_unreported_results_are_offered_to_the_poller_and_dropped_when_it_has_them(
    dispatcher: DispatcherDouble, tmp_path: Path
) -> None:
    dispatcher.script = lambda path, body: (500, b"down") if path.endswith("/results") else None
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        task = a_task("t.talk", {"lines": 1})
        node.client.push(task)
        eventually(lambda: bool(node.client.status().finished), "the result is offered")
        (offered,) = node.client.status().finished
        assert (offered.task_id, offered.outcome) == (task.task_id, "succeeded")
        node.client.control(ack=[ref(task)])
        assert node.client.status().finished == []


@pytest.mark.parametrize("leaves", [False, True], ids=["in its session", "in another"])
def test_nothing_that_tasks_started_survives_a_killed_node(
    dispatcher: DispatcherDouble, tmp_path: Path, leaves: bool
) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        child, grandchild = start_stubborn(node, tmp_path, leaves)
        node.kill()
        eventually(lambda: not is_running(child) and not is_running(grandchild), "both are gone", 5)


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_what_a_thread_handler_started_ends_with_the_node(
    dispatcher: DispatcherDouble, tmp_path: Path, how: str
) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        assert node.run(a_task("t.starts", {"file": str(tmp_path / "other")})).outcome == "succeeded"
        other = number_in(tmp_path / "other")
        assert is_running(other)
        getattr(node, how)()
        eventually(lambda: not is_running(other), "it is gone", 5 if how == "kill" else 30)


@pytest.mark.parametrize("leaves", [False, True], ids=["in its session", "in another"])
def test_what_survived_together_with_a_dead_guardian_is_ended_by_the_next_start(
    dispatcher: DispatcherDouble, tmp_path: Path, leaves: bool
) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        child, grandchild = start_stubborn(node, tmp_path, leaves)
        guardian = guardian_of(node)
        # Held still, the node replaces neither; and a child that outlived it by a moment would end its own session.
        node.process.send_signal(signal.SIGSTOP)
        for pid in (guardian, child):
            os.kill(pid, signal.SIGKILL)
        node.kill()
    assert is_running(grandchild)
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        eventually(lambda: not is_running(grandchild), "the grandchild is gone")
        assert "left behind" in node.log()


def start_stubborn(node: NodeProcess, folder: Path, leaves: bool) -> tuple[int, int]:
    """Run a task in a child that starts a process of its own; the numbers of both."""
    files = {"started": str(folder / "child"), "grandchild": str(folder / "grandchild"), "leaves": leaves}
    node.client.push(a_task("t.process_stubborn", {"file": str(folder / "never"), **files}))
    return number_in(folder / "child"), number_in(folder / "grandchild")


def guardian_of(node: NodeProcess) -> int:
    """The number of the node's guardian."""
    children = Path(f"/proc/{node.process.pid}/task").glob("*/children")
    for pid in [int(text) for path in children for text in path.read_text().split()]:
        if b"guardian" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("the node has no guardian")


def test_a_child_that_cannot_listen_dies_with_a_killed_node(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        node.client.push(a_task("t.process_holds_gil", {"started": str(tmp_path / "child")}))
        child = number_in(tmp_path / "child")
        node.kill()
        eventually(lambda: not is_running(child), "the child is gone")


def test_two_nodes_do_not_share_a_state_directory(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with (
        NodeProcess(dispatcher, tmp_path / "state"),
        pytest.raises(AssertionError, match="Another node runs with the state directory"),
        NodeProcess(dispatcher, tmp_path / "state"),
    ):
        pass


def test_enrolment_keeps_the_credential_for_the_next_start(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    dispatcher.credential = "tdn_the-nodes-own"
    environment = {"TASKDIST_TOKEN": "tde_an-enrolment-token"}
    with NodeProcess(dispatcher, tmp_path / "state", environment=environment) as node:
        dispatcher.wait_for(lambda: len(dispatcher.heartbeats) > 1, "heartbeats")
        assert dispatcher.tokens[0] == "Bearer tde_an-enrolment-token"
        assert dispatcher.tokens[-1] == "Bearer tdn_the-nodes-own"
        stored = tmp_path / "state" / "credential"
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        node.kill()
    dispatcher.credential = None
    dispatcher.tokens.clear()
    with NodeProcess(dispatcher, tmp_path / "state", environment=environment):
        assert dispatcher.tokens[0] == "Bearer tdn_the-nodes-own"


def test_a_refused_credential_falls_back_to_the_enrolment_token(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "credential").write_text("tdn_of-another-database\n")
    dispatcher.script = lambda path, body: (
        (401, {}) if dispatcher.tokens[-1] == "Bearer tdn_of-another-database" else None
    )
    dispatcher.credential = "tdn_fresh-one"
    with NodeProcess(dispatcher, tmp_path / "state", environment={"TASKDIST_TOKEN": "tde_enrol-me"}) as node:
        dispatcher.wait_for(lambda: dispatcher.heartbeats, "a heartbeat")
        assert dispatcher.tokens[-1] == "Bearer tdn_fresh-one"
        assert "the token that was given" in node.log()


def test_a_node_that_the_dispatcher_forgot_registers_again(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        refused = threading.Event()

        def forget_once(path: str, body: bytes) -> tuple[int, object] | None:
            if path.endswith("/heartbeat") and not refused.is_set():
                refused.set()
                return 409, {}
            return None

        dispatcher.script = forget_once
        dispatcher.wait_for(lambda: len(dispatcher.registers) == 2, "a second registration")
        assert dispatcher.registers[1].boot_id == node.boot_id


def test_a_restart_of_the_dispatcher_loses_nothing(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        task = a_task("t.talk", {"lines": 2})
        dispatcher.script = lambda path, body: (503, {})
        node.client.push(task)
        eventually(lambda: not held_ids(node), "it has ended")
        dispatcher.script = lambda path, body: None
        assert dispatcher.result_of(task.task_id).outcome == "succeeded"
        lines = [line for report in dispatcher.reports for line in report.logs]
        assert [line.n for line in lines] == [1, 2]


def test_registration_says_what_the_node_can_do(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    options = ("--slots", "3", "--label", "gpu=yes", "--label", "zone=a", "--queue", "slow", "--name", "n-1")
    with NodeProcess(dispatcher, tmp_path / "state", *options) as node:
        said = node.register
        assert (said.name, said.slots, said.labels, said.queues) == ("n-1", 3, {"gpu": "yes", "zone": "a"}, ["slow"])
        assert said.types is not None
        assert said.types["t.double"].schema is not None
        assert dispatcher.tokens[0] == f"Bearer {TOKEN}"


def test_django_is_prepared_before_the_handlers_are_imported(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    (tmp_path / "shop_settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nUSE_TZ = True\n"
        f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': r'{tmp_path}/shop.sqlite3'}}}}\n"
        "LOGGING = {'version': 1}\n"
    )
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(
        "from django.db import models\n\n\nclass Order(models.Model):\n    total = models.IntegerField()\n"
    )
    (tmp_path / "shop" / "tasks.py").write_text(
        "from django.db import connection\n"
        "from shop.models import Order\nfrom workers import task\n\n\n"
        "@task(name='shop.table')\ndef table() -> list:\n"
        "    with connection.cursor() as cursor:\n        cursor.execute('SELECT 40 + 2')\n"
        "        return [Order._meta.db_table, cursor.fetchone()[0]]\n\n\n"
        "@task(name='shop.process', executor='process')\ndef process() -> list:\n    return table()\n"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "shop_settings"}
    with NodeProcess(
        dispatcher, tmp_path / "state", imports=("shop.tasks",), environment=environment, cwd=tmp_path
    ) as node:
        for kind in ("shop.table", "shop.process"):
            assert msgspec.json.decode(node.run(a_task(kind)).result) == ["shop_order", 42]
        # Such settings switch off every logger that is there already; the node's own are not to fall silent.
        assert "listens on" in node.log()


def test_a_full_node_pushes_back(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "1", "--max-queue", "1") as node:
        go = {"file": str(tmp_path / "go")}
        items = node.client.push(*[a_task("t.wait", go) for _ in range(3)])
        assert [(item.status, item.reason) for item in items] == [
            ("accepted", ""), ("accepted", ""), ("rejected", "full"),
        ]  # fmt: skip
        assert node.client.last == 202
        node.client.push(a_task("t.wait", go))
        assert node.client.last == 429
        assert float(node.client.last_headers["Retry-After"]) > 0


def test_a_full_outbox_pushes_back(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    dispatcher.script = lambda path, body: (503, {}) if path.endswith("/results") else None
    with NodeProcess(dispatcher, tmp_path / "state", "--outbox-results", "100") as node:
        node.client.push(*[a_task("t.double", {"n": n}) for n in range(100)])
        eventually(lambda: not held_ids(node), "all have ended")
        (item,) = node.client.push(a_task("t.double", {"n": 1}))
        assert (node.client.last, item.status, item.reason) == (429, "rejected", "full")


def test_a_closed_node_leaves_no_process_behind(dispatcher: DispatcherDouble, tmp_path: Path) -> None:
    with NodeProcess(dispatcher, tmp_path / "state") as node:
        pid = msgspec.json.decode(node.run(a_task("t.process_wait", {"file": str(tmp_path)})).result)
        assert is_running(pid)
        os.kill(node.process.pid, signal.SIGINT)
        assert node.wait() == 0
        eventually(lambda: not is_running(pid), "the child is gone")

"""Timeouts, crashes and cancellations in threads, child processes and commands, on a real node."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.node_process import NodeProcess
from tests.workers.signed import a_task, ref

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("node")]

ECHO = [sys.executable, "-c", "import sys; print(*sys.argv[1:]); print('hm', file=sys.stderr)", "{a}", "{b}"]
SPAWNING = """
import subprocess, sys
other = subprocess.Popen(
    [sys.executable, "-c", "import threading; threading.Event().wait(300)"], start_new_session=True
)
with open(sys.argv[1], "w") as file:
    file.write(str(other.pid))
other.wait()
"""
SPAWNS = [sys.executable, "-c", SPAWNING, "{file}"]


def eventually(look: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if look():
            return
        pause.wait(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def number_in(file: Path) -> int:
    eventually(lambda: file.exists() and file.read_text() != "", f"{file.name} is written")
    return int(file.read_text())


@pytest.fixture(scope="module")
def node(shared_dispatcher: DispatcherDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    options = ["--allow-commands"]
    for name, argv in (("c.echo", ECHO), ("c.false", ["false"]), ("c.spawns", SPAWNS)):
        options += ["--command", f"{name}={json.dumps(argv)}"]
    folder = tmp_path_factory.mktemp("executors") / "state"
    with NodeProcess(shared_dispatcher, folder, "--slots", "3", *options) as running:
        yield running


def test_a_process_task_runs_outside_the_node(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    tasks = [a_task("t.process_wait", {"file": str(tmp_path / "go")}) for _ in range(2)]
    pids = set()
    for task in tasks:
        pids.add(msgspec.json.decode(node.run(task).result))
    assert node.process.pid not in pids
    # One after the other: the child stays for the next task.
    assert len(pids) == 1


def test_lines_and_progress_cross_the_pipe(node: NodeProcess) -> None:
    task = a_task("t.process_talk", {"n": 3})
    node.client.push(task)
    assert msgspec.json.decode(node.dispatcher.result_of(task.task_id).result) == 3
    lines = [line for report in node.dispatcher.reports for line in report.logs if line.task_id == task.task_id]
    assert [(line.n, line.level, line.text) for line in lines] == [(1, "info", "line 1 of it"), (2, "error", "line 2")]
    said = [p for report in node.dispatcher.reports for p in report.progress if p.task_id == task.task_id]
    assert said[-1].fraction == 0.5


@pytest.mark.parametrize(
    ("kind", "payload", "words"), [("t.exit", {"status": 3}, "exit status 3"), ("t.segv", {}, "SIGSEGV")]
)
def test_a_crash_costs_one_task(node: NodeProcess, kind: str, payload: dict[str, int], words: str) -> None:
    task, other = a_task(kind, payload), a_task("t.double", {"n": 2})
    node.client.push(other)
    ended = node.run(task)
    assert ended.error is not None
    assert (ended.outcome, ended.retryable) == ("crashed", True)
    assert words in ended.error.message
    after = a_task("t.process_talk", {"n": 1})
    assert node.run(after).outcome == "succeeded"
    assert node.process.poll() is None


def test_whatever_a_handler_says_crosses_the_pipe(node: NodeProcess) -> None:
    task = a_task("t.process_odd", {})
    ended = node.run(task)
    assert (ended.outcome, ended.error) == ("succeeded", None)
    said = [p for report in node.dispatcher.reports for p in report.progress if p.task_id == task.task_id]
    assert (said[-1].fraction, said[-1].message) == (0.5, "7")
    lines = [line.text for report in node.dispatcher.reports for line in report.logs if line.task_id == task.task_id]
    assert lines == ["half a \ufffd surrogate"]


@pytest.mark.parametrize("kind", ["t.fork", "t.process_fork"])
def test_a_forked_copy_of_a_handler_ends_unheard(node: NodeProcess, tmp_path: Path, kind: str) -> None:
    ended = node.run(a_task(kind, {"file": str(tmp_path / "status")}))
    assert (ended.outcome, bytes(ended.result)) == ("succeeded", b'"parent"')
    assert number_in(tmp_path / "status") == 7


def test_a_forked_copy_does_not_hide_a_crash(node: NodeProcess) -> None:
    ended = node.run(a_task("t.process_fork_crash", {}), 5)
    assert ended.error is not None
    assert (ended.outcome, "SIGSEGV" in ended.error.message) == ("crashed", True)


def test_a_thread_left_behind_in_a_child_does_not_speak_for_the_next_task(node: NodeProcess, tmp_path: Path) -> None:
    assert node.run(a_task("t.process_voice", {})).outcome == "succeeded"
    task = a_task("t.process_wait", {"file": str(tmp_path / "go"), "started": str(tmp_path / "pid")})
    node.client.push(task)
    number_in(tmp_path / "pid")
    threading.Event().wait(0.1)
    (tmp_path / "go").touch()
    assert node.dispatcher.result_of(task.task_id).outcome == "succeeded"
    said = [note for report in node.dispatcher.reports for note in (*report.logs, *report.progress)]
    assert task.task_id not in {note.task_id for note in said}


@pytest.mark.parametrize("leaves", [False, True], ids=["in its session", "in another"])
def test_a_timeout_kills_the_child_and_all_that_it_started(node: NodeProcess, tmp_path: Path, leaves: bool) -> None:
    files = {"started": str(tmp_path / "child"), "grandchild": str(tmp_path / "grandchild"), "leaves": leaves}
    # Long enough for two Pythons to start.
    task = a_task("t.process_stubborn", {"file": str(tmp_path / "never"), **files}, timeout_seconds=6.0)
    node.client.push(task)
    child, grandchild = number_in(tmp_path / "child"), number_in(tmp_path / "grandchild")
    ended = node.dispatcher.result_of(task.task_id)
    assert ended.outcome == "timed_out"
    assert ended.run_ms >= 6000
    eventually(lambda: not is_running(child) and not is_running(grandchild), "both are gone")


def test_a_timeout_in_a_thread_is_reported_at_once_and_the_slot_is_replaced(node: NodeProcess, tmp_path: Path) -> None:
    stubborn = [a_task("t.stubborn", {"file": str(tmp_path / "go")}, timeout_seconds=0.2) for _ in range(3)]
    node.client.push(*stubborn)
    for task in stubborn:
        assert node.dispatcher.result_of(task.task_id).outcome == "timed_out"
    # All three threads are still out there, and the node works on.
    after = a_task("t.double", {"n": 4})
    assert node.run(after).outcome == "succeeded"
    # With as many stuck threads as slots, the next ones keep theirs.
    more = [a_task("t.stubborn", {"file": str(tmp_path / "go")}, timeout_seconds=0.2) for _ in range(3)]
    node.client.push(*more)
    for task in more:
        assert node.dispatcher.result_of(task.task_id).outcome == "timed_out"
    waiting = a_task("t.double", {"n": 4})
    assert node.client.push(waiting)[0].status == "accepted"
    (tmp_path / "go").touch()
    assert node.dispatcher.result_of(waiting.task_id).outcome == "succeeded"
    assert len([r for r in node.dispatcher.results if r.task_id == stubborn[0].task_id]) == 1


def test_a_child_that_hangs_as_it_loads_the_handlers_is_ended_by_the_tasks_timeout(
    dispatcher: DispatcherDouble, tmp_path: Path
) -> None:
    (tmp_path / "hanging.py").write_text(
        "import os, threading\nfrom pathlib import Path\nfrom workers import task\n\n\n"
        "@task(name='hang', executor='process')\ndef hang() -> None: ...\n\n\n"
        "if 'TASKDIST_RUN' in os.environ:\n"
        f"    Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n    threading.Event().wait()\n"
    )
    with NodeProcess(dispatcher, tmp_path / "state", imports=("hanging",), cwd=tmp_path) as node:
        task = a_task("hang", timeout_seconds=2.0)
        node.client.push(task)
        pid = number_in(tmp_path / "pid")
        assert dispatcher.result_of(task.task_id).outcome == "timed_out"
        eventually(lambda: not is_running(pid), "it is gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_at_once_does_not_end_the_tasks(
    node: NodeProcess, tmp_path: Path, number: signal.Signals
) -> None:
    task = a_task("t.process_wait", {"file": str(tmp_path / "go"), "started": str(tmp_path / "pid")})
    node.client.push(task)
    os.kill(number_in(tmp_path / "pid"), number)
    (tmp_path / "go").touch()
    assert node.dispatcher.result_of(task.task_id).outcome == "succeeded"


def test_a_process_that_ignores_its_cancellation_is_killed_after_a_grace(node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.process_stubborn", {"file": str(tmp_path / "never"), "started": str(tmp_path / "pid")})
    node.client.push(task)
    pid = number_in(tmp_path / "pid")
    node.client.control(cancel=[ref(task)])
    assert node.dispatcher.result_of(task.task_id).outcome == "cancelled"
    eventually(lambda: not is_running(pid), "it is gone")


def test_a_process_that_listens_ends_without_the_grace(node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.process_wait", {"file": str(tmp_path / "never"), "started": str(tmp_path / "pid")})
    node.client.push(task)
    pid = number_in(tmp_path / "pid")
    node.client.control(cancel=[ref(task)])
    assert node.dispatcher.result_of(task.task_id, 4).outcome == "cancelled"
    eventually(lambda: not is_running(pid), "it is gone, with whatever it may have started")


def test_an_idle_child_that_was_killed_is_replaced_without_a_crash(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    first = a_task("t.process_wait", {"file": str(tmp_path / "go")})
    pid = msgspec.json.decode(node.run(first).result)
    os.kill(pid, 9)
    eventually(lambda: not is_running(pid), "it is gone")
    second = a_task("t.process_wait", {"file": str(tmp_path / "go")})
    assert node.run(second).outcome == "succeeded"


def test_a_waiting_task_is_cancelled_without_running(node: NodeProcess, tmp_path: Path) -> None:
    busy = [a_task("t.wait", {"file": str(tmp_path / "go")}) for _ in range(3)]
    waiting = a_task("t.mark", {"file": str(tmp_path / "ran")})
    node.client.push(*busy, waiting)
    node.client.control(cancel=[ref(waiting)])
    assert node.dispatcher.result_of(waiting.task_id).outcome == "cancelled"
    (tmp_path / "go").touch()
    node.dispatcher.result_of(busy[-1].task_id)
    assert not (tmp_path / "ran").exists()


def test_an_async_task_is_cancelled(node: NodeProcess) -> None:
    task = a_task("t.async", {"n": 1, "seconds": 60})
    node.client.push(task)
    node.client.control(cancel=[ref(task)])
    assert node.dispatcher.result_of(task.task_id).outcome == "cancelled"


def test_a_command_gets_fields_as_whole_arguments_and_no_shell(node: NodeProcess) -> None:
    ended = node.run(a_task("c.echo", {"a": "$(id); rm -rf /", "b": -3}))
    assert msgspec.json.decode(ended.result) == {
        "exit_status": 0, "stdout": "$(id); rm -rf / -3\n", "stderr": "hm\n", "truncated": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "payload",
    [{"a": "--force", "b": 1}, {"a": "x"}, {"a": "x", "b": 1, "c": 2}, {"a": ["x"], "b": 1}, {"a": "\0", "b": 1}],
)
def test_a_command_refuses_payloads_that_are_not_safe(node: NodeProcess, payload: dict[str, object]) -> None:
    ended = node.run(a_task("c.echo", payload))
    assert (ended.outcome, ended.retryable) == ("failed", False)


def test_a_command_that_fails_says_how(node: NodeProcess) -> None:
    ended = node.run(a_task("c.false", {}))
    assert ended.error is not None
    assert ended.error.type == "workers.executor.commands.CommandFailed"
    assert "exit status 1" in ended.error.message


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_stopped_command_leaves_nothing_behind(node: NodeProcess, tmp_path: Path, how: str) -> None:
    file = tmp_path / "grandchild"
    task = a_task("c.spawns", {"file": str(file)}, timeout_seconds=6.0 if how == "timeout" else None)
    node.client.push(task)
    grandchild = number_in(file)
    if how == "cancel":
        node.client.control(cancel=[ref(task)])
    outcome = node.dispatcher.result_of(task.task_id).outcome
    assert outcome == ("timed_out" if how == "timeout" else "cancelled")
    eventually(lambda: not is_running(grandchild), "the command's own child is gone")

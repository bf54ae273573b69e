"""The main job on real processes: real work, whole numbers, and what survives a ``kill -9``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from dispatcher.conf import Conf
from tests.architecture.sources import ROOT
from tests.e2e.conftest import Api
from tests.e2e.database import counts, ends_per_task, rows
from tests.e2e.gate import Gate
from tests.launch.installation import Installation, free_port
from tests.launch.programs import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("processes")]

HEARTBEAT_SECONDS = Conf().heartbeat_seconds


def demo(installed: Installation, tasks: int) -> subprocess.Popen[str]:
    """Start the demo, which checks every result itself."""
    command = [sys.executable, "manage.py", "demo", "--tasks", str(tasks), "--timeout", "240"]
    return subprocess.Popen(
        command, cwd=ROOT, env=installed.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@contextmanager
def second_engine(installed: Installation) -> Iterator[None]:
    """On PostgreSQL another engine shares the work; SQLite is for one."""
    if not installed.environment["TASKDIST_DATABASE_URL"]:
        yield
        return
    engine = subprocess.Popen([sys.executable, "manage.py", "engine"], cwd=ROOT, env=installed.environment)
    try:
        yield
    finally:
        engine.terminate()
        assert engine.wait(60) == 0


def assert_each_ended_once(installed: Installation, tasks: int, *, after: int = 0) -> None:
    """The tasks with ids beyond ``after``: other tests may have left earlier ones waiting."""
    ends = {task_id: times for task_id, times in ends_per_task(installed).items() if task_id > after}
    assert len(ends) == tasks
    assert set(ends.values()) == {1}


def test_two_thousand_real_tasks_end_right_and_the_numbers_agree(installed: Installation, api: Api) -> None:
    before = sum(counts(installed).values())
    [(last_id,)] = rows(installed, "SELECT coalesce(max(id), 0) FROM dispatcher_task")
    with second_engine(installed):
        run = demo(installed, 2000)
        said, _ = run.communicate(timeout=280)
    assert run.returncode == 0, said
    assert "all right" in said
    assert_each_ended_once(installed, 2000, after=last_id)
    truth = counts(installed)
    assert sum(truth.values()) == before + 2000
    assert eventually(lambda: api.ask("/api/v1/counts") == counts(installed)), (api.ask("/api/v1/counts"), truth)


def test_a_kill_of_worker_engine_and_web_in_the_middle_loses_and_doubles_nothing(fragile: Installation) -> None:
    installed = fragile
    run = demo(installed, 1200)
    for name in ("local-1", "engine", "web"):
        done = counts(installed)["succeeded"]
        assert eventually(lambda done=done: counts(installed)["succeeded"] >= done + 100, seconds=60)
        os.kill(installed.processes()[name], signal.SIGKILL)
    said, _ = run.communicate(timeout=280)
    assert run.returncode == 0, said
    assert_each_ended_once(installed, 1200)


def test_tasks_of_a_killed_worker_finish_on_the_other_and_it_is_back_within_a_heartbeat(
    fragile: Installation,
) -> None:
    installed, api = fragile, Api(fragile)
    gate = Gate(installed, "held")
    # As many as one node has slots, so that the other can take all of them.
    ids = api.submit(*[gate.task | {"backoff_seconds": 0.1}] * 4)
    assert eventually(lambda: all(api.task(task_id)["state"] == "running" for task_id in ids))
    victims = [task_id for task_id in ids if api.task(task_id)["node"] == "local-1"]
    assert victims
    os.kill(installed.processes()["local-1"], signal.SIGKILL)
    assert eventually(lambda: api.task(victims[0])["attempt"] == 2), api.task(victims[0])
    assert api.node("local-1")["state"] == "online"
    registered_at = datetime.fromisoformat(api.ask("/api/v1/nodes/local-1")["registered_at"])
    gate.open()
    for task_id in ids:
        task = api.await_state(task_id, "succeeded")
        if task_id in victims:
            assert task["node"] == "local-2"
            [lost] = [attempt for attempt in task["attempts"] if attempt["outcome"] == "lost"]
            # By the registration of the new process, not by the end of the lease. How long a process takes to start
            # says more about what else the machine does.
            waited = datetime.fromisoformat(lost["ended_at"]) - registered_at
            assert timedelta() <= waited < timedelta(seconds=HEARTBEAT_SECONDS)


def test_a_worker_and_a_client_written_to_the_tutorial_work_beside_the_native_ones(
    installed: Installation, api: Api
) -> None:
    token = installed.manage("node_token", "create", "tutorial").stdout.strip()
    worker = subprocess.Popen(
        [
            sys.executable,
            "docs/examples/tutorial_worker.py",
            "tutorial",
            str(free_port()),
            f"127.0.0.1:{installed.port}",
        ],
        cwd=ROOT,
        env={**os.environ, "TASKDIST_TOKEN": token},
    )
    try:
        assert eventually(lambda: api.node("tutorial")["state"] == "online")
        made = [api.ask("/task", {"taskId": f"job-{n}", "payload": {"text": "a b c " * n}}) for n in range(1, 11)]
        native = api.submit(*[{"type": "demo.echo", "payload": n} for n in range(10)])
        for number, answer in enumerate(made, start=1):
            task = api.await_state(answer["id"], "succeeded")
            assert (task["node"], task["result"]) == ("tutorial", {"words": 3 * number})
        for task_id in native:
            api.await_state(task_id, "succeeded")
        broken = api.ask("/task", {"taskId": "broken", "payload": {"no": "text"}})
        assert eventually(lambda: api.task(broken["id"])["failure"])
        assert "KeyError" in api.task(broken["id"])["failure"]["message"]
        api.ask(f"/api/v1/tasks/{broken['id']}/cancel", {})
    finally:
        worker.terminate()
        worker.wait(60)


def test_a_running_task_is_cancelled_within_seconds(installed: Installation, api: Api) -> None:
    (task_id,) = api.submit({"type": "demo.sleep", "payload": {"seconds": 60}})
    api.await_state(task_id, "running")
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    api.await_state(task_id, "cancelled", seconds=20)


def test_progress_and_log_lines_of_a_running_task_arrive(installed: Installation, api: Api) -> None:
    (task_id,) = api.submit({"type": "demo.primes", "payload": {"below": 50_000_000}})
    assert eventually(lambda: (api.task(task_id)["progress"] or {}).get("fraction")), api.task(task_id)
    api.ask(f"/api/v1/tasks/{task_id}/cancel", {})
    api.await_state(task_id, "cancelled")
    (crash,) = api.submit({"type": "demo.crash", "payload": {}, "backoff_seconds": 0.1})
    assert api.await_state(crash, "failed")["failure"]["type"] == "PoisonTask"
    lines = api.ask(f"/api/v1/tasks/{crash}/logs?attempt=1")["lines"]
    assert "ends itself" in str(lines)

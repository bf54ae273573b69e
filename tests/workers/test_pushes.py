"""What a real node makes of pushes and orders, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.node_process import NodeProcess
from tests.workers.signed import SignedClient, a_task, ref
from workers.protocol import Control, Push, PushTask

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("node")]


def release(file: Path) -> None:
    file.touch()


def double(n: int = 1) -> PushTask:
    return a_task("t.double", {"n": n})


def test_short_tasks_come_back_in_the_answer(shared_node: NodeProcess) -> None:
    _, item = shared_node.run_inline(lambda: double(21))
    assert shared_node.client.last == 202
    assert item.result is not None
    assert (item.result.outcome, bytes(item.result.result)) == ("succeeded", b"42")


def test_a_large_push_is_answered_in_order_and_every_task_ends_once(shared_node: NodeProcess) -> None:
    tasks = [double(n) for n in range(300)]
    items = shared_node.client.push(*tasks)
    assert [item.task_id for item in items] == [task.task_id for task in tasks]
    inline = {item.task_id: item.result for item in items if item.result is not None}
    shared_node.client.push(ack=[ref(task) for task in tasks if task.task_id in inline])
    for n, task in enumerate(tasks):
        ended = inline.get(task.task_id) or shared_node.dispatcher.result_of(task.task_id)
        assert msgspec.json.decode(ended.result) == 2 * n
    reported = [result.task_id for result in shared_node.dispatcher.results]
    assert all(reported.count(task.task_id) == (task.task_id not in inline) for task in tasks)


def test_a_long_task_is_accepted_at_once_and_reported_later(shared_node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.wait", {"file": str(tmp_path / "go")})
    (item,) = shared_node.client.push(task)
    assert item.status == "accepted"
    dispatcher = shared_node.dispatcher
    dispatcher.wait_for(
        lambda: [s for report in dispatcher.reports for s in report.started if s.task_id == task.task_id], "started"
    )
    assert [(held.task_id, held.running) for held in shared_node.client.status().held] == [(task.task_id, True)]
    dispatcher.wait_for(
        lambda: [h for beat in dispatcher.heartbeats for h in beat.held if h.task_id == task.task_id], "a heartbeat"
    )
    release(tmp_path / "go")
    ended = dispatcher.result_of(task.task_id)
    assert (ended.outcome, msgspec.json.decode(ended.result)) == ("succeeded", "done")


def test_an_inline_result_is_reported_only_if_no_acknowledgement_comes(shared_node: NodeProcess) -> None:
    first, _ = shared_node.run_inline(double)
    shared_node.client.push(ack=[ref(first)])
    second, _ = shared_node.run_inline(double)
    # The second is reported later; by then the first would have been too.
    assert shared_node.dispatcher.result_of(second.task_id).outcome == "succeeded"
    assert first.task_id not in [result.task_id for result in shared_node.dispatcher.results]


def test_the_same_attempt_runs_once(shared_node: NodeProcess, tmp_path: Path) -> None:
    file = tmp_path / "marks"
    task = a_task("t.mark", {"file": str(file)})
    shared_node.run(task)
    assert [shared_node.client.push(task)[0].status for _ in range(4)] == ["duplicate"] * 4
    assert len(file.read_text().splitlines()) == 1


def test_a_lower_attempt_is_superseded_and_a_higher_one_replaces_the_run(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    old = a_task("t.wait", {"file": str(tmp_path / "never")}, attempt=2)
    assert shared_node.client.push(old)[0].status == "accepted"
    lower = a_task("t.double", {"n": 1}, attempt=1, task_id=old.task_id)
    assert shared_node.client.push(lower)[0].status == "superseded"
    higher = a_task("t.double", {"n": 3}, attempt=3, task_id=old.task_id)
    assert shared_node.run(higher).attempt == 3
    assert 2 not in [r.attempt for r in shared_node.dispatcher.results if r.task_id == old.task_id]


def test_an_unknown_type_is_rejected_and_the_rest_of_the_push_runs(shared_node: NodeProcess) -> None:
    unknown, known = shared_node.client.push(a_task("no.such"), double())
    assert (unknown.status, unknown.reason) == ("rejected", "unknown_type")
    assert known.status in ("accepted", "done")


def test_cancelling_a_running_task(shared_node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.wait", {"file": str(tmp_path / "never")})
    shared_node.client.push(task)
    shared_node.client.control(cancel=[ref(task)])
    assert shared_node.dispatcher.result_of(task.task_id).outcome == "cancelled"


def test_cancelling_by_a_heartbeats_reply(shared_node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.polite", {"file": str(tmp_path / "never")})
    shared_node.client.push(task)
    dispatcher = shared_node.dispatcher
    usual = dispatcher.heartbeat_reply
    dispatcher.heartbeat_reply = msgspec.structs.replace(usual, cancel=[ref(task)])
    try:
        assert dispatcher.result_of(task.task_id).outcome == "cancelled"
    finally:
        dispatcher.heartbeat_reply = usual


def test_superseded_runs_stop_without_a_word_and_are_refused_later(shared_node: NodeProcess, tmp_path: Path) -> None:
    task = a_task("t.wait", {"file": str(tmp_path / "go")})
    shared_node.client.push(task)
    shared_node.client.control(superseded=[ref(task)])
    assert shared_node.client.push(task)[0].status == "superseded"
    assert task.task_id not in [held.task_id for held in shared_node.client.status().held]
    sentinel = a_task("t.talk", {"lines": 1})
    shared_node.client.push(sentinel)
    shared_node.dispatcher.result_of(sentinel.task_id)
    assert task.task_id not in [result.task_id for result in shared_node.dispatcher.results]


def test_resolve_finds_running_held_finished_and_tombstones_the_unknown(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    running = [a_task("t.wait", {"file": str(tmp_path / "go")}) for _ in range(4)]
    waiting = a_task("t.wait", {"file": str(tmp_path / "go")})
    shared_node.client.push(*running, waiting)
    shared_node.await_running(*running)
    never = a_task("t.double", {"n": 1})
    asked = [ref(running[0]), ref(waiting), ref(never)]
    states = [r.state for r in shared_node.client.control(resolve=asked).resolved]
    assert states == ["running", "held", "tombstoned"]
    assert shared_node.client.push(never)[0].status == "superseded"
    release(tmp_path / "go")
    shared_node.dispatcher.result_of(waiting.task_id)
    (finished,) = shared_node.client.control(resolve=[ref(waiting)]).resolved
    assert finished.state == "finished"


def test_resolve_gives_the_result_that_is_not_acknowledged_yet(shared_node: NodeProcess) -> None:
    task, _ = shared_node.run_inline(lambda: double(5))
    (found,) = shared_node.client.control(resolve=[ref(task)]).resolved
    assert found.result is not None
    assert msgspec.json.decode(found.result.result) == 10


def test_lines_and_progress_arrive_before_or_with_the_result(shared_node: NodeProcess) -> None:
    task = a_task("t.talk", {"lines": 5})
    (item,) = shared_node.client.push(task)
    assert item.status == "accepted"
    dispatcher = shared_node.dispatcher
    dispatcher.result_of(task.task_id)
    ends = [n for n, report in enumerate(dispatcher.reports) if task.task_id in [r.task_id for r in report.results]]
    until = dispatcher.reports[: ends[0] + 1]
    lines = [line for report in until for line in report.logs if line.task_id == task.task_id]
    assert [(line.n, line.text) for line in lines] == [(n, f"line {n}") for n in range(1, 6)]
    said = [p for report in until for p in report.progress if p.task_id == task.task_id]
    assert (said[-1].fraction, said[-1].message) == (1.0, "all said")


def test_handlers_do_not_see_the_nodes_token(shared_node: NodeProcess) -> None:
    assert bytes(shared_node.run(a_task("t.token")).result) == b"null"


def test_a_push_for_another_start_of_the_node_is_refused(shared_node: NodeProcess) -> None:
    body = msgspec.json.encode(Push(boot_id="another", tasks=[a_task("t.double", {"n": 1})]))
    answer = shared_node.client.send("POST", "/tasks", body)
    assert shared_node.client.last == 409
    assert msgspec.json.decode(answer)["boot_id"] == shared_node.boot_id


def test_an_order_for_another_start_of_the_node_is_refused(shared_node: NodeProcess) -> None:
    body = msgspec.json.encode(Control(boot_id="another", status="drain"))
    shared_node.client.send("POST", "/control", body)
    assert shared_node.client.last == 409
    assert not shared_node.client.status().draining


def test_a_replayed_message_starts_nothing_new(shared_node: NodeProcess) -> None:
    first, other = double(1), double(2)
    assert shared_node.client.push(first, message_id="m-1")[0].status in ("accepted", "done")
    assert shared_node.client.push(first, message_id="m-1")[0].status == "duplicate"
    (item,) = shared_node.client.push(other, message_id="m-1")
    assert (item.status, item.reason) == ("rejected", "replayed")


@pytest.fixture
def quiet_node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node that sends no heartbeats while it is looked at: their answers also say whether it shall drain."""
    dispatcher = DispatcherDouble(heartbeat_seconds=600.0)
    with NodeProcess(dispatcher, tmp_path / "state", "--slots", "4") as node:
        yield node
    dispatcher.close()


def test_a_replayed_order_does_not_bring_back_an_old_status(quiet_node: NodeProcess) -> None:
    quiet_node.client.control(status="drain", message_id="o-1")
    assert quiet_node.client.status().draining
    quiet_node.client.control(status="run", message_id="o-2")
    quiet_node.client.control(status="drain", message_id="o-1")
    assert not quiet_node.client.status().draining


@pytest.mark.parametrize("what", ["key", "timestamp", "future", "body", "path", "no id"])
def test_a_wrong_signature_is_refused(shared_node: NodeProcess, tmp_path: Path, what: str) -> None:
    mark = tmp_path / "ran"
    body = msgspec.json.encode(Push(boot_id=shared_node.boot_id, tasks=[a_task("t.mark", {"file": str(mark)})]))
    client = SignedClient(shared_node.register.url, key="wrong" if what == "key" else shared_node.client.key)
    now = int(time.time())
    stamp = {"timestamp": now - 400, "future": now + 400}.get(what, now)
    signed_path = "/control" if what == "path" else "/tasks"
    headers = client.headers("POST", signed_path, body, timestamp=stamp, message_id="" if what == "no id" else "x")
    sent = body.replace(b"t.mark", b"t.fail") if what == "body" else body
    client.connection.request("POST", "/tasks", sent, headers)
    response = client.connection.getresponse()
    assert response.status == 401
    assert "Date" in response.headers
    response.read()
    client.close()
    assert not mark.exists()


def test_a_draining_node_says_so_and_takes_tasks_again_when_told(quiet_node: NodeProcess) -> None:
    task = a_task("t.double", {"n": 1})
    quiet_node.client.control(status="drain")
    (item,) = quiet_node.client.push(task)
    assert (quiet_node.client.last, item.status, item.reason) == (503, "rejected", "draining")
    assert "Retry-After" in quiet_node.client.last_headers
    quiet_node.client.control(status="run")
    assert quiet_node.run(task).outcome == "succeeded"

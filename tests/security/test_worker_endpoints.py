"""A7, A8, A38, A39: what nodes are sent serves nowhere else, and they let in nothing that is not signed."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from django.db import connection

from dispatcher import credentials
from dispatcher.engine.poller import Poller
from dispatcher.models import Node as NodeRow
from dispatcher.states import TaskState
from tests.api.conftest import Caller, now
from tests.engine.node_double import node_double
from tests.engine.test_deliveries import claimed
from tests.engine.test_pusher_trouble import Serving, accept_all
from tests.factories import make_node, make_task
from tests.workers.dispatcher_double import PUSH_KEY, DispatcherDouble
from tests.workers.node_process import REPOSITORY, NodeProcess, node_environment
from tests.workers.signed import a_task
from workers import protocol
from workers.client import Answer
from workers.config import parse
from workers.membership import Membership
from workers.node import Limits, Node
from workers.outbox import Outbox
from workers.server import NodeServer

Request = tuple[str, str, dict[str, str], bytes]


@contextlib.contextmanager
def node_server(folder: Path, key: str) -> Iterator[str]:
    """The URL of a real node's server with this push key."""
    node = Node(name="victim", limits=Limits(1, 1), types={}, outbox=Outbox(folder / "outbox"), runners={})
    node.push_keys.replace(key)
    server = NodeServer(node, host="127.0.0.1", port=0)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def sent_to(url: str, request: Request, **changes: str) -> int:
    """Send a request as it was captured; the status of the answer."""
    method, path, headers, body = request
    parts = urlsplit(url)
    other = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    other.request(method, path, body or None, headers | changes)
    status = other.getresponse().status
    other.close()
    return status


@pytest.fixture
def captured(db: None, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """All that the dispatcher sent to a node that an attacker runs: a push, orders, questions."""
    monkeypatch.setattr(connection, "close", lambda: None)
    status = msgspec.json.encode(protocol.NodeStatus(name="evil", boot_id="boot-evil", slots=4, draining=True))
    with node_double(
        lambda _method, path, body: {"/tasks": accept_all}.get(path, lambda _: (200, {}, status))(body)
    ) as double:
        evil = make_node("evil", url=double.url, now=now())
        serving, poller = Serving(), Poller()
        ref = protocol.AttemptRef(task_id="1", attempt=1)
        serving.push(evil, *claimed(evil), cancels=(ref,))
        poller._poll(evil)
        serving.pusher.close()
        poller.close()
        assert {path for _, path, _, _ in double.seen} == {"/tasks", "/control", "/status"}
        return double.seen


@pytest.mark.django_db(transaction=True)
def test_a07_what_one_node_is_sent_is_refused_by_every_other(captured: list[Request], tmp_path: Path) -> None:
    victim = make_node("victim")
    with node_server(tmp_path, credentials.push_key(victim)) as url:
        assert [sent_to(url, request) for request in captured] == [401] * len(captured)
    evil = NodeRow.objects.get(name="evil")
    with node_server(tmp_path, credentials.push_key(evil)) as url:
        # Its own server takes the very same bytes, so that it was nothing else that was refused.
        assert 401 not in [sent_to(url, request) for request in captured]


@pytest.mark.django_db(transaction=True)
def test_a07_nothing_that_a_node_is_sent_opens_a_door_of_the_dispatcher(captured: list[Request]) -> None:
    keys = [credentials.push_key(node) for node in (*NodeRow.objects.all(), make_node("other"))]
    assert len(set(keys)) == len(keys)
    for _, _, headers, body in captured:
        assert not {name.lower() for name in headers} & {"authorization", "cookie", "x-csrftoken"}
        sent = json.dumps(headers).encode() + body
        assert not any(key.encode() in sent for key in keys)
        assert b"tdn_" not in sent
        assert b"tda_" not in sent
        for value in headers.values():
            assert Caller(value).post("/api/v1/nodes/heartbeat", {"boot_id": "boot-evil"}).status == 401


@pytest.mark.django_db(transaction=True)
def test_a07_a_captured_request_serves_for_no_other_route_and_no_other_body(
    captured: list[Request], tmp_path: Path
) -> None:
    with node_server(tmp_path, credentials.push_key(NodeRow.objects.get(name="evil"))) as url:
        for method, path, headers, body in captured:
            other = "/control" if path == "/tasks" else "/tasks"
            assert sent_to(url, ("POST", other, headers, body)) == 401
            assert sent_to(url, (method, path, headers, body + b" "), **{"Content-Length": str(len(body) + 1)}) == 401
            later = str(int(time.time()) + 200)
            assert sent_to(url, (method, path, headers, body), **{protocol.HEADER_TIMESTAMP: later}) == 401


ROUTES = [("POST", "/tasks"), ("POST", "/control"), ("GET", "/status")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("how", ["unsigned", "empty", "empty key", "no version", "upper case"])
def test_a08_a_worker_answers_nothing_that_is_not_signed(tmp_path: Path, method: str, path: str, how: str) -> None:
    body = b"{}" if method == "POST" else b""
    stamp = int(time.time())
    good = protocol.sign(PUSH_KEY, message_id="x", timestamp=stamp, method=method, path=path, body=body)
    weak = protocol.sign("", message_id="x", timestamp=stamp, method=method, path=path, body=body)
    signature = {"empty": "", "empty key": weak, "no version": good[3:], "upper case": good.upper()}.get(how)
    headers = {protocol.HEADER_ID: "x", protocol.HEADER_TIMESTAMP: str(stamp)}
    if signature is not None:
        headers[protocol.HEADER_SIGNATURE] = signature
    with node_server(tmp_path, PUSH_KEY) as url:
        assert sent_to(url, (method, path, headers, body)) == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a08_a_worker_without_a_key_answers_nobody(tmp_path: Path, method: str, path: str) -> None:
    body = b"{}" if method == "POST" else b""
    stamp = int(time.time())
    signature = protocol.sign("", message_id="x", timestamp=stamp, method=method, path=path, body=body)
    headers = {
        protocol.HEADER_ID: "x", protocol.HEADER_TIMESTAMP: str(stamp), protocol.HEADER_SIGNATURE: signature,
    }  # fmt: skip
    with node_server(tmp_path, "") as url:
        assert sent_to(url, (method, path, headers, body)) == 503


def test_a08_a_worker_that_is_given_an_empty_key_does_not_count_itself_registered(tmp_path: Path) -> None:
    class Dispatcher:
        def post(self, path: str, body: bytes) -> Answer:
            said = protocol.Registered(node_id=1, name="n", push_key="", heartbeat_seconds=5.0, lease_seconds=30.0)
            return Answer(200, msgspec.json.encode(said))

        def close(self) -> None: ...

    node = Node(name="n", limits=Limits(1, 1), types={}, outbox=Outbox(tmp_path / "outbox"), runners={})
    membership = Membership(node, Dispatcher(), None, url="http://127.0.0.1:9", labels={}, queues=[])
    assert membership._register() > 0
    assert (membership._is_registered, node.push_keys.current) == (False, "")


def test_a08_a_worker_does_not_start_without_a_token_and_listens_on_this_machine_only(tmp_path: Path) -> None:
    needed = ["--dispatcher", "http://127.0.0.1:9", "--name", "n"]
    assert parse(needed, {"TASKDIST_TOKEN": "tdn_12345678"}).bind == "127.0.0.1"
    command = [
        sys.executable,
        "-m",
        "workers",
        *needed,
        "--state-dir",
        str(tmp_path),
        "--import",
        "workers.handlers.demo",
    ]
    environment = node_environment() | {"PYTHONPATH": str(REPOSITORY), "TASKDIST_TOKEN": ""}
    ended = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, "token" in ended.stderr) == (2, True)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A real worker with one command: it prints its arguments, its environment and where it is."""
    dispatcher = DispatcherDouble()
    prints = [
        sys.executable, "-c",
        "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))", "{word}",
    ]  # fmt: skip
    floods = [sys.executable, "-c", "print('x' * 3_000_000)"]
    folder = tmp_path_factory.mktemp("commands") / "state"
    options = ["--allow-commands"]
    for name, argv in {"c.prints": prints, "c.floods": floods}.items():
        options += ["--command", f"{name}={json.dumps(argv)}"]
    environment = {"LD_PRELOAD": "", "SECRET_OF_THE_NODE": "canary"}
    with NodeProcess(dispatcher, folder, *options, environment=environment) as running:
        yield running
    dispatcher.close()


HOSTILE = ["; rm -rf /", "$(id)", "`id`", "a\nb", "| cat /etc/passwd", "../../etc", "&& true", "${IFS}x", "'\"", "*"]


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
@pytest.mark.parametrize("word", HOSTILE)
def test_a38_a_field_of_a_command_is_one_argument_and_no_shell_sees_it(node: NodeProcess, word: str) -> None:
    ended = node.run(a_task("c.prints", {"word": word}))
    arguments, environment, folder = json.loads(json.loads(bytes(ended.result))["stdout"])
    assert arguments == [word]
    assert "SECRET_OF_THE_NODE" not in environment
    assert "LD_PRELOAD" not in environment
    assert not [name for name in environment if name.startswith("TASKDIST_") and name != "TASKDIST_RUN"]
    assert folder.endswith("/state/commands")


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
@pytest.mark.parametrize(
    "payload",
    [{"word": "-oProxyCommand=id"}, {"word": "--flag"}, {"word": "a\0b"}, {"word": ["a"]}, {"word": {"a": 1}},
     {"word": "x", "env": {"LD_PRELOAD": "/x"}}, {"word": "x", "cwd": "/"}, ["x"], "x"],
)  # fmt: skip
def test_a38_what_is_no_plain_value_of_a_declared_field_is_refused(node: NodeProcess, payload: object) -> None:
    ended = node.run(a_task("c.prints", payload))
    assert (ended.outcome, ended.retryable) == ("failed", False)


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
def test_a38_the_output_of_a_command_is_cut_and_marked(node: NodeProcess) -> None:
    said = json.loads(bytes(node.run(a_task("c.floods", {})).result))
    assert (said["truncated"], len(said["stdout"])) == (True, 64 * 1024)


@pytest.mark.e2e
@pytest.mark.xdist_group("node")
@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "__import__", "subprocess:run", "workers.handlers.demo", "t.double.__globals__",
     "../t.double", "T.DOUBLE", "t.double ", ""],
)  # fmt: skip
def test_a39_only_the_registry_names_handlers(node: NodeProcess, name: str) -> None:
    (item,) = node.client.push(a_task(name, "id > /tmp/taskdist-a39"))
    assert (item.status, item.reason) == ("rejected", "unknown_type")


@pytest.mark.django_db
def test_a39_an_error_that_names_a_class_stays_text(caller_of: object, operator: Caller) -> None:
    row = make_node("n-9", now=now())
    task = make_task(state=TaskState.RUNNING, node=row, now=now())
    error = {"type": "os.system", "message": "touch /tmp/taskdist-a39", "traceback": "cposix\nsystem\n(S'id'\ntR."}
    report = {
        "boot_id": row.boot_id,
        "results": [{"task_id": str(task.pk), "attempt": 1, "outcome": "failed", "retryable": False, "error": error}],
    }
    assert caller_of(row).post("/api/v1/nodes/results", report).status == 200
    shown = operator.read(f"/api/v1/tasks/{task.pk}").json
    assert (shown["failure"]["type"], shown["failure"]["message"]) == (error["type"], error["message"])
    assert not Path("/tmp/taskdist-a39").exists()

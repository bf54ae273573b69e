"""The installation in the pictures: real nodes, real work of every kind, and people who steer it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher.launch.programs import Address, worker_program
from tests.architecture.sources import ROOT
from tests.e2e.rest import Api
from tests.launch.installation import Installation
from tests.launch.programs import eventually

HANDLERS = "tests.pictures.handlers"
#: Name: slots and labels.
NODES = {
    "atlas-1": (8, {"zone": "eu-west", "disk": "nvme"}),
    "atlas-2": (8, {"zone": "eu-west", "disk": "nvme"}),
    "lyra-1": (8, {"zone": "us-east"}),
    "lyra-2": (8, {"zone": "us-east"}),
    "nova-gpu": (4, {"zone": "eu-west", "gpu": "a100"}),
    "orion-1": (4, {"zone": "ap-east"}),
}
DRAINING, DEAD = "lyra-2", "orion-1"
PEOPLE = ("ada", "lin")
#: A port at which no mail server listens.
NO_SERVER = 1
FEED_SECONDS = 0.5
PATIENCE_SECONDS = 150.0
#: Log lines that the long task of the pictures has at least.
LOG_LINES = 24

Task = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What the addresses of the pages are made of."""

    running: str = "1"
    failed: str = "2"
    succeeded: str = "3"
    waiting: str = "4"
    bulk_running: str = "1"
    bulk_done: str = "2"


@contextmanager
def nodes(installed: Installation, logs: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """All nodes, running; they end with the block."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        output = stack.enter_context((logs / "nodes.log").open("wb"))
        token = logs / "enrolment.token"
        enrol = ("node_token", "enrol", "--uses", str(len(NODES)), "--label", "rack 4")
        token.write_text(installed.manage(*enrol).stdout.strip())
        for name, (slots, labels) in NODES.items():
            program = worker_program(
                name=name,
                address=Address(host="127.0.0.1", port=installed.port),
                slots=slots,
                node_dir=installed.var / "nodes" / name,
                token_file=token,
                environment=installed.environment,
            )
            more = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
            started[name] = subprocess.Popen(
                [*program.command, "--import", HANDLERS, *more],
                cwd=ROOT,
                env=program.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            stack.callback(_end, started[name])
        yield started


def _end(node: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait(20)


def people(installed: Installation) -> dict[str, Api]:
    """Accounts beside the admin's, with tokens."""
    script = "from django.contrib.auth.models import User; " + "; ".join(
        f"User.objects.create_user({name!r}, password='{name} works here', is_staff=True)" for name in PEOPLE
    )
    installed.manage("shell", "-c", script)
    return {name: Api(installed, name) for name in ("admin", *PEOPLE)}


@contextmanager
def steady_work(api: Api) -> Iterator[None]:
    """Some twenty small tasks a second, until the block ends."""
    done = threading.Event()

    def feed() -> None:
        dice = random.Random(7)
        while not done.wait(FEED_SECONDS):
            with suppress(OSError):
                api.submit(*_small_tasks(dice))

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


def _small_tasks(dice: random.Random) -> list[Task]:
    def one(queue: str, kind: str, **payload: Any) -> Task:
        return {"queue": queue, "type": kind, "payload": payload}

    number = dice.randrange(10_000)
    found = [
        one("search", "search.index", collection=dice.choice(("articles", "products", "people")), documents=40)
        for _ in range(5)
    ]
    found += [one("media", "media.thumbnail", image=f"s3://photos/2026/{number}.jpg", width=320) for _ in range(2)]
    found.append(one("mail", "mail.send", to=f"customer-{number}@example.org"))
    if dice.random() < 0.2:
        found.append(one("imports", "imports.read", source="warehouse", text="[1, 2, 3]"))
    if dice.random() < 0.1:
        found.append(one("mail", "mail.send", to="branch@example.org", port=NO_SERVER) | {"max_attempts": 1})
    if dice.random() < 0.03:
        found.append(one("imports", "imports.read", source="till 12", text='[{"id": 7, "na') | {"max_attempts": 2})
    return found


def make(installed: Installation, nodes: dict[str, subprocess.Popen[bytes]], by: dict[str, Api]) -> Scene:
    """Give all of them something to do, and return when every page has something to show."""
    api = by["admin"]
    _await(lambda: _num_online(api) == len(NODES), "nodes")
    films = _films()
    running = by["ada"].submit(*films)[0]
    _await(lambda: _holds(api, DEAD) and _holds(api, DRAINING), "work on the nodes that will leave")
    os.killpg(nodes[DEAD].pid, signal.SIGKILL)
    reason = {"reason": "new memory at noon", "deadline_seconds": 14_400}
    by["lin"].ask(f"/api/v1/nodes/{DRAINING}/drain", reason)
    # After that: a node that meets many failures is kept from work for that reason.
    ids = _submit(by, films[0]) | {"running": running}
    done, running = _bulk(by["ada"])
    installed.manage("demo", "--tasks", "120", "--no-wait")
    api.await_state(ids["succeeded"], "succeeded")
    api.await_state(ids["failed"], "failed")
    _await(lambda: api.node(DEAD)["state"] == "offline", "the loss of a node")
    _await(lambda: _has_log(api, ids["running"]), "log")
    return Scene(**ids, bulk_running=running, bulk_done=done)


def _await(condition: Callable[[], object], what: str) -> None:
    if not eventually(condition, seconds=PATIENCE_SECONDS):
        raise TimeoutError(f"no {what} within {PATIENCE_SECONDS:.0f} s")


def _num_online(api: Api) -> int:
    return sum(node["state"] == "online" for node in api.ask("/api/v1/nodes")["nodes"])


def _holds(api: Api, node: str) -> bool:
    return bool(api.node(node)["held"])


def _has_log(api: Api, task: str) -> bool:
    return len(api.ask(f"/api/v1/tasks/{task}/logs?limit={LOG_LINES}")["lines"]) >= LOG_LINES


def describe(by: dict[str, Api]) -> None:
    """Queues with words, one of them paused."""
    for name, policy, description in (
        ("search", "least_loaded", "Keeps the index fresh; many and short"),
        ("media", "spread", "Films and pictures"),
        ("mail", "round_robin", "Letters to customers"),
        ("reports", "affinity", "Monthly reports for the branches"),
        ("nightly", "fastest", "Runs when the shops are closed"),
    ):
        with suppress(OSError):
            by["ada"].ask("/api/v1/queues", {"name": name, "policy": policy, "description": description})
    by["ada"].ask("/api/v1/queues/nightly/pause", {"reason": "the warehouse database is being moved"})


def _films() -> list[Task]:
    """Long work for all nodes."""
    return [
        {
            "type": "media.transcode",
            "queue": "media",
            "priority": 20,
            "payload": {"video": f"s3://films/{name}.mov", "height": 1080, "segments": 900 + 37 * number},
            "tags": ["film", "autumn"],
        }
        for number, name in enumerate(("harbour", "orchard", "winter-bridge", "paper-lamp", "copper", "signal") * 4)
    ]


def _submit(by: dict[str, Api], film: Task) -> dict[str, str]:
    """Work of every kind; the ids of the tasks that have pages of their own in the pictures."""
    ada, lin = by["ada"], by["lin"]
    ada.submit(*[film | {"labels": {"gpu": "a100"}, "priority": 0}] * 9)
    report = {"type": "reports.build", "queue": "reports", "tags": ["monthly"]}
    people = ["ada@example.org", "lin@example.org"]
    # One by one among what succeeds: a node that fails many in a row is kept from work.
    failed, *_ = lin.submit(
        *(
            report
            | {"max_attempts": 3, "backoff_seconds": 1, "delay_seconds": 6 * number}
            | {"payload": {"month": month, "currency": "XQX"}}
            for number, month in enumerate(("2026-10", "2026-09", "2026-08"))
        )
    )
    payload = {"month": "2026-10", "currency": "USD", "recipients": people}
    [succeeded] = lin.submit(report | {"payload": payload})
    [waiting] = ada.submit(film | {"labels": {"gpu": "h100"}, "tags": ["film", "8k"]})
    letter = {"type": "mail.send", "queue": "mail", "payload": {"to": "branch@example.org", "port": NO_SERVER}}
    # Between two attempts for as long as the pictures take.
    lin.submit(letter | {"max_attempts": 9, "backoff_seconds": 900, "backoff_cap_seconds": 3600})
    ada.submit({"type": "demo.crash", "payload": {}, "backoff_seconds": 4, "delay_seconds": 3})
    ada.submit(*[{"type": "reports.build", "queue": "nightly", "payload": {"month": "2026-11"}}] * 96)
    campaign = letter | {"payload": {"to": "everybody@example.org"}, "tags": ["campaign-41"], "delay_seconds": 5400}
    ada.submit(*[campaign] * 240)
    later = [campaign | {"tags": ["reminder"], "delay_seconds": 600 * hour} for hour in range(1, 25)]
    lin.submit(*later)
    return {"failed": failed, "succeeded": succeeded, "waiting": waiting}


def _bulk(api: Api) -> tuple[str, str]:
    """One bulk action that is done, and one that goes on for as long as the pictures take."""
    wanted = {"action": "cancel", "q": "tag:campaign-41 state:scheduled", "batch_size": 100, "per_second": None}
    done: str = api.ask("/api/v1/bulk", wanted)["job"]["id"]
    _await(lambda: api.ask(f"/api/v1/bulk/{done}")["job"]["state"] == "done", "end of a bulk action")
    again = {"action": "retry", "q": "tag:campaign-41 state:cancelled", "batch_size": 3, "per_second": 0.6}
    running: str = api.ask("/api/v1/bulk", again)["job"]["id"]
    return done, running

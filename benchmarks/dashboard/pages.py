"""How long the server takes for each page and list: through the whole stack of the web tier but the socket."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dispatcher.models import Task
from dispatcher.states import TaskState

#: Times in ms that a page and the overview may take at the 95th percentile.
LIST_MS, OVERVIEW_MS = 150.0, 300.0
STATEMENT_MS = 2000.0
#: What nodes hold may be counted: there is an index of just that, and no more of it than there are slots.
_COUNT_OF_TASKS = re.compile(
    r'COUNT\([^)]*\).*FROM "dispatcher_task"(?! WHERE "dispatcher_task"."state" IN \(\(?2\)?, \(?3\)?\))'
)

PAGES = (
    "/", "/?range=6h", "/?range=7d", "/queues/", "/queues/gpu/", "/nodes/", "/nodes/w-03/", "/types/", "/types/render/",
    "/types/render/?range=24h", "/activity/",
    "/activity/?who=person-3", "/submit/", "/submit/?type=render", "/settings/", "/tokens/", "/bulk/",
)  # fmt: skip
SEARCHES = (
    "", "state:failed", "state:queued", "state:running", "state:succeeded", "state:expired", "queue:gpu", "type:render",
    "node:w-03", "tag:customer-10", "queue:gpu type:render state:failed", "-state:succeeded", "state:failed node:w-03",
    "rend", "created:<1h", "args.user.id:42", "error:TimeoutError", "ran:>5s", "queue:gpu -type:render",
    "state:cancelled queue:mail created:>1d",
)  # fmt: skip
#: In other orders, and as scripts ask for them.
SORTED = (
    "/tasks/?sort=created", "/tasks/?sort=created&q=state:expired", "/tasks/?sort=created&q=queue:gpu",
    "/tasks/?sort=-ran", "/tasks/?sort=-waited&q=state:failed", "/tasks/?sort=-priority&q=queue:gpu",
    "/tasks/?sort=-ended&q=error:TimeoutError", "/tasks/rows/", "/tasks/rows/?q=state:failed", "/tasks/rows/?sort=-ran",
    "/api/v1/tasks?sort=-try", "/api/v1/views",
)  # fmt: skip
ROUTES = (
    "/api/v1/tasks", "/api/v1/counts", "/api/v1/nodes", "/api/v1/queues", "/api/v1/types", "/api/v1/changes",
    "/api/v1/series", "/api/v1/series?range=24h", "/api/v1/series?range=7d", "/api/v1/series?queue=gpu&range=7d",
    "/api/v1/series?type=render", "/api/v1/series?node=w-03", "/live/snapshot?topic=overview",
    "/live/snapshot?topic=nodes", "/live/snapshot?topic=queues",
    "/live/snapshot?topic=node:w-03",
)  # fmt: skip


@dataclass
class Figures:
    """Of one address, in milliseconds."""

    address: str
    times: list[float]
    num_statements: int
    slowest_statement: float
    complaints: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the requests."""
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        """Of the requests."""
        return statistics.quantiles(self.times, n=20, method="inclusive")[18]


def measure(rounds: int) -> Iterator[Figures]:
    """Ask for every address ``rounds`` times, once more to see its statements."""
    client = Client(raise_request_exception=True)
    client.force_login(_user())
    for address in addresses():
        client.get(address)
        times = [_timed(client, address) for _ in range(rounds)]
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
            _drain(answer)
        slowest = max((float(query["time"]) * 1000 for query in captured.captured_queries), default=0.0)
        found = Figures(address, times, len(captured), slowest)
        if answer.status_code != 200:
            found.complaints.append(f"HTTP {answer.status_code}")
        if found.p95 > (OVERVIEW_MS if address.split("?")[0] == "/" else LIST_MS):
            found.complaints.append("too slow")
        if slowest > STATEMENT_MS:
            found.complaints.append("a statement takes too long")
        if any(_COUNT_OF_TASKS.search(query["sql"]) for query in captured.captured_queries):
            found.complaints.append("counts tasks")
        yield found


def addresses() -> list[str]:
    """Every page and list there is, with the filters that people use."""
    failed, running, middle = (
        Task.objects.filter(state=TaskState.FAILED).order_by("-id").values_list("id", flat=True)[0],
        Task.objects.filter(state=TaskState.RUNNING).values_list("id", flat=True)[0],
        (Task.objects.order_by("-id").values_list("id", flat=True)[0]) // 2,
    )
    pages = [*PAGES, *SORTED, f"/tasks/{failed}/", f"/tasks/{running}/", f"/tasks/{middle}/", f"/tasks/?after={middle}"]
    pages += [f"/tasks/?q={quote(text)}" for text in (*SEARCHES, f"id:{middle}")]
    api = [*ROUTES, f"/api/v1/tasks/{failed}", f"/live/snapshot?topic=task:{failed}"]
    api += [f"/api/v1/tasks?q={quote(text)}" for text in SEARCHES if text]
    return pages + api


def _timed(client: Client, address: str) -> float:
    started = time.perf_counter()
    _drain(client.get(address))
    return (time.perf_counter() - started) * 1000


def _drain(answer: Any) -> None:
    if answer.streaming:
        for _ in answer:
            pass


def _user() -> Any:
    return get_user_model().objects.create_superuser("measure", password=None)

"""Where attacks are let loose: a small installation that is put back after every batch, and looked at before."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.test import Client, override_settings

from dispatcher import credentials
from dispatcher.models import Node, lanes
from dispatcher.queries import counts, failures, minutes
from dispatcher.states import NodeState, TaskState
from tests.api.conftest import Caller, now, token_of
from tests.factories import make_node, make_queue, make_task, make_user
from tests.fuzz.corpus import Attack

#: Attacks between two looks at the lists.
BATCH = 25
LISTS = ("tasks", "nodes", "queues", "counts", "changes")
#: How fast a run is shall not decide what is answered.
UNHURRIED = {
    "max_node_requests_per_second": 1e6,
    "login_failures_per_minute": 10**6,
    "token_failures_per_minute": 10**6,
}


class Undone(Exception):
    """Ends a transaction without keeping anything."""


class Range:
    """The installation: a running, a failed and a queued task, a node, an admin by token and one by browser."""

    #: What is wrong with the last answer beside its status.
    complaint = ""

    def __init__(self) -> None:
        moment = now()
        self.node: Node = make_node("n-1", now=moment, state=NodeState.ONLINE)
        make_queue("default", now=moment)
        self.running = make_task(state=TaskState.RUNNING, node=self.node, now=moment)
        make_task(state=TaskState.FAILED, node=self.node, now=moment)
        make_task(state=TaskState.QUEUED, now=moment)
        user = make_user("ada", is_superuser=True, is_staff=True)
        self.browser = Client(raise_request_exception=False)
        self.browser.force_login(user)
        given_away = credentials.issue_api_token(user=user, label="given away", actor="tests", now=moment)
        self._places = {"{id}": self.running.pk, "{token}": credentials.find(given_away).pk}  # type: ignore[union-attr]
        self._session = self.browser.cookies[settings.SESSION_COOKIE_NAME].value
        self.callers = {"admin": Caller(token_of(user)), "node": _node_caller(self.node), "nobody": Caller()}
        credentials.request_rotation(self.node, actor="tests", now=moment)
        for caller in self.callers.values():
            caller.raise_request_exception = False

    def strike(self, attack: Attack) -> int:
        """The status of the answer."""
        client: Any = self.browser if attack.who == "browser" else self.callers[attack.who]
        path, body = attack.path, attack.body
        for word, number in self._places.items():
            path, body = path.replace(word, str(number)), body.replace(word.encode(), b"%d" % number)
        headers = {"CONTENT_TYPE": "application/json"} | attack.headers
        response = client.generic(attack.method, path, body, content_type=headers.pop("CONTENT_TYPE"), **headers)
        return int(response.status_code)

    def sign_in_again(self) -> None:
        """The browser, whose cookie an attack may have taken away."""
        self.browser.cookies[settings.SESSION_COOKIE_NAME] = self._session

    def broken(self) -> list[str]:
        """The lists and pages that do not answer 200."""
        paths = [f"/api/v1/{name}" for name in (*LISTS, f"tasks/{self.running.pk}", f"tasks/{self.running.pk}/logs")]
        found = [path for path in paths if self.callers["admin"].read(path).status != 200]
        pages = ("/", "/tasks/", f"/tasks/{self.running.pk}/", "/nodes/", "/nodes/n-1/", "/queues/", "/tokens/")
        return found + [path for path in pages if self.browser.get(path).status_code != 200]


class Outcome:
    """What came of a run."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        #: (number, attack, status) of what was answered with a 5xx other than 503.
        self.errors: list[tuple[int, Any, int]] = []
        #: (number of the last attack, list) of what no longer answered 200 after a batch.
        self.broken: list[tuple[int, str]] = []
        #: (number, attack, complaint) of answers that the OpenAPI document does not foresee.
        self.undocumented: list[tuple[int, Any, str]] = []


def run(given: Iterable[Any], make: Callable[[], Range] | None = None) -> Outcome:
    """Let the attacks loose, batch by batch, each on the same installation. ``make``: another kind of range."""
    outcome = Outcome()
    with _no_look_ups(), override_settings(TASKDIST=UNHURRIED):
        place = (make or Range)()
        remaining = iter(given)
        while batch := list(islice(remaining, BATCH)):
            _forget()
            try:
                with transaction.atomic():
                    _run_batch(place, batch, outcome)
                    raise Undone
            except Undone:
                pass
    _forget()
    return outcome


def _run_batch(place: Range, batch: Sequence[Any], outcome: Outcome) -> None:
    for attack in batch:
        with transaction.atomic():
            status = place.strike(attack)
            if status >= 500 and status != 503:
                outcome.errors.append((len(outcome.codes), attack, status))
                transaction.set_rollback(True)
        if place.complaint:
            outcome.undocumented.append((len(outcome.codes), attack, place.complaint))
        outcome.codes.append(status)
    place.sign_in_again()
    outcome.broken += [(len(outcome.codes) - 1, path) for path in place.broken()]


def _node_caller(node: Node) -> Caller:
    from dispatcher import node_registry

    return Caller(node_registry.issue_credential(name=node.name, actor="tests", now=now()))


def _forget() -> None:
    """The caches of rows that never change in production: a rollback takes these rows away."""
    for cache in (lanes, counts, failures, minutes):
        cache.forget()


@contextmanager
def _no_look_ups() -> Iterator[None]:
    """Names that nobody has resolve to nothing at once: no test waits for a resolver."""
    real = socket.getaddrinfo

    def numeric(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        # Of the host alone: what is no host at all still fails as it would.
        kwargs["flags"] = kwargs.get("flags", 0) | socket.AI_NUMERICHOST
        return real(host, port, *args, **kwargs)

    socket.getaddrinfo = numeric
    try:
        yield
    finally:
        socket.getaddrinfo = real

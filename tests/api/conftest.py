"""People, programs and nodes that call the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from dispatcher import credentials, node_registry
from dispatcher.models import Node
from dispatcher.states import NodeState
from tests.factories import make_node, make_user


class Caller(APIClient):
    """A client that sends and reads JSON as programs do, with or without a token."""

    def __init__(self, token: str = "", *, check_csrf: bool = False) -> None:
        super().__init__(enforce_csrf_checks=check_csrf)
        self.token = token
        if token:
            self.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Call the route; ``body`` is encoded unless it is bytes. Headers by their names with underscores."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        extra = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        if body is None:
            return Answer(self.generic(method, path, **extra))
        return Answer(self.generic(method, path, raw, content_type="application/json", **extra))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:  # type: ignore[override]
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:  # type: ignore[override]
        return self.send("PATCH", path, body, **headers)

    def read(self, path: str, **params: str) -> Answer:
        return Answer(self.get(path, params))


class Answer:
    """An answer with its JSON decoded."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.content: bytes = response.content
        self.type: str = response.headers.get("Content-Type", "")
        self.json: Any = msgspec.json.decode(response.content) if "json" in self.type and response.content else None

    def __repr__(self) -> str:
        return f"<{self.status} {self.content[:500]!r}>"

    @property
    def is_problem(self) -> bool:
        return self.type == "application/problem+json" and self.json["status"] == self.status

    @property
    def fields(self) -> list[tuple[int | None, str]]:
        """(index, field) of every error in a problem document."""
        return [(error.get("index"), error.get("field", "")) for error in self.json.get("errors", [])]


def now() -> datetime:
    return datetime.now(UTC)


def token_of(user: Any) -> str:
    return credentials.issue_api_token(user=user, label="tests", actor="tests", now=now())


@pytest.fixture
def nobody(db: None) -> Caller:
    return Caller()


@pytest.fixture
def viewer(db: None) -> Caller:
    return Caller(token_of(make_user("vera")))


@pytest.fixture
def operator(db: None) -> Caller:
    user = make_user("otto")
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    return Caller(token_of(user))


@pytest.fixture
def admin(db: None) -> Caller:
    user = make_user("ada")
    user.groups.add(Group.objects.get_or_create(name="admin")[0])
    return Caller(token_of(user))


@pytest.fixture
def node(db: None) -> Node:
    """A node that has registered just now."""
    moment = now()
    return make_node("n-1", now=moment, state=NodeState.ONLINE)


@pytest.fixture
def caller_of() -> Callable[[Node], Caller]:
    """Makes a client with a node's own credential."""

    def make(node: Node) -> Caller:
        return Caller(node_registry.issue_credential(name=node.name, actor="tests", now=now()))

    return make


@pytest.fixture
def node_caller(node: Node, caller_of: Callable[[Node], Caller]) -> Caller:
    return caller_of(node)

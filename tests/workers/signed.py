"""The dispatcher's side of the wire for tests: signed requests to a node over one kept-alive connection."""

from __future__ import annotations

import http.client
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.workers.dispatcher_double import PUSH_KEY
from workers import protocol
from workers.protocol import (
    AttemptRef,
    Control,
    ControlReply,
    NodeStatus,
    Push,
    PushItem,
    PushReply,
    PushTask,
)


class SignedClient:
    """Talks to the node at ``url``; ``last`` is the status of the last answer."""

    def __init__(self, url: str, *, key: str = PUSH_KEY, boot_id: str = "") -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self.prefix = parts.path
        self.key = key
        self.boot_id = boot_id
        self.last = 0
        self.last_headers: dict[str, str] = {}

    def headers(self, method: str, path: str, body: bytes, **changes: Any) -> dict[str, str]:
        message_id = changes.get("message_id", uuid.uuid4().hex)
        timestamp = changes.get("timestamp", int(time.time()))
        signature = protocol.sign(
            self.key, message_id=message_id, timestamp=timestamp, method=method, path=path, body=body
        )
        return {
            protocol.HEADER_ID: message_id,
            protocol.HEADER_TIMESTAMP: str(timestamp),
            protocol.HEADER_SIGNATURE: signature,
        }

    def send(self, method: str, route: str, body: bytes = b"", **changes: Any) -> bytes:
        path = self.prefix + route
        self.connection.request(method, path, body or None, self.headers(method, path, body, **changes))
        response = self.connection.getresponse()
        self.last = response.status
        self.last_headers = dict(response.headers)
        return response.read()

    def push(self, *tasks: PushTask, ack: list[AttemptRef] | None = None, **changes: Any) -> list[PushItem]:
        message = Push(boot_id=self.boot_id, tasks=list(tasks), ack=ack or [])
        answer = self.send("POST", "/tasks", msgspec.json.encode(message), **changes)
        return msgspec.json.decode(answer, type=PushReply).items

    def control(self, **orders: Any) -> ControlReply:
        changes = {"message_id": orders.pop("message_id")} if "message_id" in orders else {}
        message = Control(boot_id=self.boot_id, **orders)
        return msgspec.json.decode(
            self.send("POST", "/control", msgspec.json.encode(message), **changes), type=ControlReply
        )

    def status(self) -> NodeStatus:
        return msgspec.json.decode(self.send("GET", "/status"), type=NodeStatus)

    def close(self) -> None:
        self.connection.close()


def a_task(kind: str, payload: Any = None, *, attempt: int = 1, task_id: str = "", **fields: Any) -> PushTask:
    """A pushed task with an id of its own."""
    return PushTask(
        task_id=task_id or str(uuid.uuid4()),
        attempt=attempt,
        type=kind,
        payload=msgspec.Raw(msgspec.json.encode(payload)),
        **fields,
    )


def ref(task: PushTask) -> AttemptRef:
    return AttemptRef(task_id=task.task_id, attempt=task.attempt)

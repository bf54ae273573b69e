"""A browser's side of the live protocol, as docs/live_protocol.md describes it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from taskdist_site.asgi import application

ORDER = {
    "series": lambda row: row["minute"],
    "nodes": lambda row: (row.get("rank", 0), row["name"]),
    "cells": lambda row: (row["rank"], row["name"]),
    "events": lambda row: -int(row["id"]),
    "queues": lambda row: row["name"],
    "types": lambda row: row["name"],
    "rows": lambda row: -int(row["id"]),
    "tasks": lambda row: -int(row["id"]),
    "attempts": lambda row: (row["number"], float("inf") if row["id"] == "current" else int(row["id"])),
    "logs": lambda row: (row["attempt"], row["n"]),
}
KEEP = {"logs": 200}
PATIENCE_SECONDS = 30


def applied(document: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """The document after the delta."""
    result = {**document, **delta.get("data", {})}
    for name, changes in delta.get("rows", {}).items():
        rows = {row[changes["key"]]: row for row in document[name]}
        for key in changes["remove"]:
            rows.pop(key, None)
        for row in changes["upsert"]:
            rows[row[changes["key"]]] = row
        result[name] = sorted(rows.values(), key=ORDER[name])[-KEEP.get(name, 10**9) :]
    return result


async def cookie_of(user: Any) -> str:
    """The session cookie of a signed-in user."""
    client = Client()
    await sync_to_async(client.force_login)(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


class Browser:
    """One tab. Keeps the documents, acknowledges what it gets, asks again after a gap."""

    def __init__(self, cookie: str = "", *, origin: str | None = "http://testserver", host: str = "testserver") -> None:
        headers = [(b"host", host.encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        self._socket = WebsocketCommunicator(application, "/ws/v1/live", headers=headers)
        self.documents: dict[str, dict[str, Any]] = {}
        self.frames: list[dict[str, Any]] = []
        self._places: dict[str, tuple[str, int]] = {}
        self.num_data_frames = 0
        self.acknowledges = True

    async def open(self) -> dict[str, Any]:
        """Connect; returns the welcome."""
        accepted, code = await self._socket.connect(PATIENCE_SECONDS)
        assert accepted, code
        return await self.frame()

    async def refused(self) -> bool:
        """Whether the connection is refused before it exists."""
        accepted, _ = await self._socket.connect(PATIENCE_SECONDS)
        return not accepted

    async def accepted_and_closed(self) -> int:
        """The code with which a connection is closed at once."""
        accepted, _ = await self._socket.connect(PATIENCE_SECONDS)
        assert accepted
        return await self.closed()

    async def closed(self) -> int:
        """Wait for the close; its code."""
        while True:
            output = await self._socket.receive_output(PATIENCE_SECONDS)
            if output["type"] == "websocket.close":
                return int(output["code"])

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self._socket.send_to(text_data=json.dumps(message))

    async def say_text(self, text: str) -> None:
        """Send text that may be no message at all."""
        await self._socket.send_input({"type": "websocket.receive", "text": text})

    async def say_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        await self._socket.send_to(bytes_data=data)

    async def frame(self, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next frame, taken in."""
        text = await self._socket.receive_from(patience)
        frame: dict[str, Any] = json.loads(text)
        self.frames.append(frame)
        await self._take_in(frame)
        return frame

    async def _take_in(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "gone":
            del self.documents[frame["topic"]]
        if frame["type"] not in {"snapshot", "delta"}:
            return
        self.num_data_frames += 1
        topic = frame["topic"]
        if frame["type"] == "snapshot":
            self.documents[topic] = frame["data"]
        else:
            assert self._places[topic] == (frame["epoch"], frame["from"]), "a gap"
            self.documents[topic] = applied(self.documents[topic], frame)
        self._places[topic] = (frame["epoch"], frame["seq"])
        if self.acknowledges:
            await self.say(type="ack", n=self.num_data_frames)

    async def watch(self, topic: str, **params: Any) -> dict[str, Any]:
        """Subscribe; returns the document, or the error."""
        await self.say(type="sub", topic=topic, **({"params": params} if params else {}))
        while True:
            frame = await self.frame()
            if frame.get("topic") == topic and frame["type"] in {"snapshot", "error"}:
                return frame["data"] if frame["type"] == "snapshot" else frame

    async def until(self, topic: str, condition: Any) -> dict[str, Any]:
        """Take frames until the topic's document meets the condition; returns it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(self.documents[topic]):
                await self.frame()
        return self.documents[topic]

    async def is_silent(self, seconds: float = 0.7) -> bool:
        """Whether no frame comes for a while."""
        return bool(await self._socket.receive_nothing(seconds, 0.05))

    async def leave(self) -> None:
        """Close the tab."""
        await self._socket.disconnect()

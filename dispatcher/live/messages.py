"""The messages of the live protocol, version 1: strict towards the browser, see ``docs/live_protocol.md``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PROTOCOL = 1
PING_SECONDS = 10
MAX_HZ = 4

#: The largest message from a browser, in characters.
MAX_MESSAGE_CHARS = 64 * 1024

SnapshotReason = Literal["sub", "slow", "visible"]
ErrorCode = Literal["unknown_topic", "bad_params", "not_found", "too_many_topics", "failed"]

_Name = Annotated[str, Meta(max_length=200)]


class _FromBrowser(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True):
    """Base of what browsers send."""


class TasksParams(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a page of tasks shows. Texts are checked when they are read."""

    filters: dict[str, str] = {}
    ids: Annotated[list[_Name], Meta(max_length=500)] = []
    after: str | None = None
    #: In an order in which new tasks do not come first: they are those with an id above this one.
    newest: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class Place(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How far a browser is in a topic, from an earlier connection."""

    epoch: Annotated[str, Meta(max_length=32)]
    seq: Annotated[int, Meta(ge=0)]


class Sub(_FromBrowser, tag="sub", frozen=True):
    """Wants a topic: what came after ``known`` if that can still be told, otherwise a snapshot; then deltas."""

    topic: _Name
    params: TasksParams | None = None
    known: Place | None = None


class Unsub(_FromBrowser, tag="unsub", frozen=True):
    """Wants no more of a topic."""

    topic: _Name


class Visible(_FromBrowser, tag="visible", frozen=True):
    """Somebody looks, or nobody does."""

    visible: bool


class Ack(_FromBrowser, tag="ack", frozen=True):
    """So many data frames have arrived on this connection."""

    n: Annotated[int, Meta(ge=0)]


class Ping(_FromBrowser, tag="ping", frozen=True):
    """Asks for a pong with the same ``t``."""

    t: float


FromBrowser = Sub | Unsub | Visible | Ack | Ping

_decoder: msgspec.json.Decoder[FromBrowser] = msgspec.json.Decoder(FromBrowser)


def decode(text: str) -> FromBrowser:
    """The message; ``msgspec.ValidationError`` or ``DecodeError`` for what the protocol does not know."""
    return _decoder.decode(text)


class _ToBrowser(msgspec.Struct, tag_field="type", kw_only=True):
    """Base of what browsers get."""


class Welcome(_ToBrowser, tag="welcome", kw_only=True):
    """The first frame of a connection."""

    protocol: int = PROTOCOL
    server_time: datetime
    epoch: str
    version: str
    ping_seconds: int = PING_SECONDS
    max_hz: int = MAX_HZ


class Snapshot(_ToBrowser, tag="snapshot"):
    """A whole document."""

    topic: str
    epoch: str
    seq: int
    reason: SnapshotReason
    data: Any


class DeltaFrame(_ToBrowser, tag="delta", rename={"since": "from"}, omit_defaults=True):
    """What changed in a document."""

    topic: str
    epoch: str
    since: int
    seq: int
    data: dict[str, Any] = {}
    rows: dict[str, Any] = {}


class Resumed(_ToBrowser, tag="resumed"):
    """What the browser knows of a topic is still all there is."""

    topic: str
    seq: int


class Gone(_ToBrowser, tag="gone"):
    """What the topic was about exists no more."""

    topic: str


class Error(_ToBrowser, tag="error"):
    """A subscription that did not come about, or has ended."""

    topic: str
    code: ErrorCode
    message: str


class Pong(_ToBrowser, tag="pong"):
    """The answer to a ping."""

    t: float
    server_time: datetime


_encoder = msgspec.json.Encoder()


def encode(message: Any) -> str:
    """A message, or a document, as JSON text."""
    return _encoder.encode(message).decode()

"""What the node and a child process say to each other: length-prefixed msgpack over a socket pair."""

from __future__ import annotations

import signal
import socket
import struct
import threading
from typing import Any, Final

import msgspec

from workers.context import Level, StopReason

_LENGTH: Final = struct.Struct("!I")


class Setup(msgspec.Struct, tag="setup"):
    """First message down: what to load."""

    imports: list[str]
    commands: dict[str, CommandSpec]
    command_dir: str
    max_result_bytes: int
    node_pid: int


class CommandSpec(msgspec.Struct, frozen=True):
    """A command type: the argument list, in which ``{field}`` stands for a payload field as one whole argument."""

    argv: tuple[str, ...]
    timeout_seconds: float | None = None
    description: str = ""


class Run(msgspec.Struct, tag="run"):
    """Run one attempt; ``seconds`` is what is left until its timeout."""

    task_id: str
    attempt: int
    max_attempts: int
    task_type: str
    payload: bytes
    seconds: float | None


class Stop(msgspec.Struct, tag="stop"):
    """Ask an attempt to stop; ignored if the child runs another by now."""

    task_id: str
    attempt: int
    reason: StopReason


class Ready(msgspec.Struct, tag="ready"):
    """First message up: handlers are loaded, or why not."""

    error: str = ""


class Begun(msgspec.Struct, tag="begun"):
    """The attempt is about to be run: from here on the end of the child is the end of the attempt."""


class Line(msgspec.Struct, tag="line"):
    """One log line of the running attempt."""

    level: Level
    text: str


class Moved(msgspec.Struct, tag="moved"):
    """Progress of the running attempt."""

    fraction: float | None
    message: str


class Done(msgspec.Struct, tag="done"):
    """The attempt has ended; ``result`` is a ``TaskResult`` as JSON."""

    result: bytes


Down = Setup | Run | Stop
Up = Ready | Begun | Line | Moved | Done


class Pipe:
    """One end. Sending is safe from several threads; receiving is for one."""

    def __init__(self, end: socket.socket, kinds: Any) -> None:
        self._socket = end
        self._lock = threading.Lock()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kinds)

    def send(self, message: Down | Up) -> None:
        """Raises ``OSError`` if the other end is gone."""
        data = self._encode(message)
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Any:
        """The next message, one of ``kinds``; ``None`` once the other end is closed."""
        head = self._read(_LENGTH.size)
        if head is None:
            return None
        data = self._read(_LENGTH.unpack(head)[0])
        return None if data is None else self._decoder.decode(data)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _read(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._socket.recv(min(size - len(parts), 1 << 20))
            except ConnectionError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)


def describe_status(status: int) -> str:
    """A process status as ``Popen`` gives it, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"signal {-status}"

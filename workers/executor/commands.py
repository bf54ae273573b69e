"""Task types that are commands: an argument list, never a shell.

``["convert", "{input}", "-resize", "{size}", "{output}"]``: a placeholder is a whole argument and is replaced by that
field of the payload. The command runs inside a child process (``executor.child``), in its session, so a timeout or a
cancellation ends it with everything that it started. It gets a bare environment, an empty standard input and a
directory of the node's as its working directory.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from workers.context import Fail, TaskContext
from workers.executor.guardian import MARK
from workers.executor.pipe import CommandSpec, describe_status
from workers.registry import TaskType
from workers.signature import Binding, PayloadError

#: What is kept of each output stream, in bytes; the rest is read and dropped.
MAX_OUTPUT_BYTES: Final = 64 * 1024
#: Environment variables that a command sees.
_ENVIRONMENT: Final = (MARK, "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LATE_OUTPUT_SECONDS: Final = 2.0


class CommandError(Exception):
    """A command type is declared in a way that cannot work; the message says what to change."""


class CommandFailed(Exception):
    """The command ended with another exit status than 0."""


def check_command(name: str, argv: list[str]) -> tuple[str, ...]:
    """The argument list with its program as an absolute path; raises ``CommandError``."""
    if not argv or not all(isinstance(part, str) for part in argv):
        raise CommandError(f"command {name!r}: give a JSON list of strings, the program first.")
    if any("\0" in part for part in argv):
        raise CommandError(f"command {name!r}: an argument holds a NUL character.")
    for part in argv:
        if _PLACEHOLDER.search(part) and not _PLACEHOLDER.fullmatch(part):
            raise CommandError(
                f"command {name!r}: {part!r} mixes text and a field; a field can only be an argument of its own."
            )
    program = shutil.which(argv[0])
    if program is None or _PLACEHOLDER.fullmatch(argv[0]):
        raise CommandError(f"command {name!r}: there is no program {argv[0]!r} here.")
    return (str(Path(program).absolute()), *argv[1:])


def command_types(commands: Mapping[str, CommandSpec], directory: str) -> dict[str, TaskType]:
    """Task types that run the given commands in ``directory``."""
    return {name: _command_type(name, spec, directory) for name, spec in commands.items()}


def _command_type(name: str, spec: CommandSpec, directory: str) -> TaskType:
    fields = [match[1] for part in spec.argv if (match := _PLACEHOLDER.fullmatch(part))]

    def call(context: TaskContext, payload: bytes | msgspec.Raw) -> dict[str, Any]:
        return _run(context, fill(spec.argv, bytes(payload)), directory)

    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field: {"type": ["string", "number"]} for field in fields},
        "required": sorted(set(fields)),
        "additionalProperties": False,
    }
    return TaskType(
        name=name,
        handler=_run,
        binding=Binding(call, schema),
        timeout_seconds=spec.timeout_seconds,
        description=spec.description or f"Command: {Path(spec.argv[0]).name}",
        executor="process",
    )


def fill(argv: tuple[str, ...], payload: bytes) -> list[str]:
    """The arguments with the payload's fields in their places; raises ``PayloadError`` for a value that is not safe."""
    try:
        values = msgspec.json.decode(b"{}" if payload == b"null" else payload, type=dict[str, str | int | float])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"{error} (a command takes an object of strings and numbers)") from None
    fields = {match[1] for part in argv if (match := _PLACEHOLDER.fullmatch(part))}
    if values.keys() != fields:
        raise PayloadError(f"the command takes exactly these fields: {', '.join(sorted(fields)) or 'none'}")
    for field, value in values.items():
        # An argument that starts with a dash would be read as an option that the operator never allowed.
        if isinstance(value, str) and (value.startswith("-") or "\0" in value):
            raise PayloadError(f"field {field!r}: a value may not start with '-' or hold a NUL character")
    return [str(values[match[1]]) if (match := _PLACEHOLDER.fullmatch(part)) else part for part in argv]


def _run(context: TaskContext, argv: list[str], directory: str) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=environment,
            preexec_fn=_death_signal(),  # noqa: PLW1509 - the function is loaded before; it only makes one system call
        )
    except OSError as error:
        raise Fail(f"the command cannot be started: {error}") from None
    outputs = [_Output(stream) for stream in (process.stdout, process.stderr) if stream is not None]
    context.on_stop(lambda _reason: process.terminate())
    try:
        status = process.wait()
    finally:
        context.on_stop(None)
    # Something that it left running may hold the streams open: what comes late is not waited for.
    patience = _LATE_OUTPUT_SECONDS if context.stop_reason is None else 0.0
    for output in outputs:
        output.thread.join(patience)
    context.check_cancelled()
    out, err = outputs
    if status != 0:
        raise CommandFailed(f"The command ended with {describe_status(status)}. {err.text()[-2000:].strip()}")
    return {"exit_status": status, "stdout": out.text(), "stderr": err.text(), "truncated": out.is_cut or err.is_cut}


def _death_signal() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(1, signal.SIGKILL)

    return die_with_parent


class _Output:
    """Reads one stream to its end and keeps the start of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self.is_cut = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        while part := os.read(self._stream.fileno(), 65536):
            room = MAX_OUTPUT_BYTES - len(self._kept)
            self.is_cut = self.is_cut or len(part) > room
            self._kept += part[: max(0, room)]

    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")

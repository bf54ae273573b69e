"""The command line and environment of a node, read into one checked value."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from workers.executor.commands import CommandError, check_command
from workers.executor.pipe import CommandSpec
from workers.identity import is_token
from workers.invoke import DEFAULT_MAX_RESULT_BYTES
from workers.options import ConfigError, build_parser
from workers.registry import ExecutorName

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TYPE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_MAX_LABEL_CHARS: Final = 100
_MAX_LABEL_KEY_CHARS: Final = 63


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything that a node is told from outside."""

    dispatcher: str
    token: str
    name: str
    state_dir: Path
    slots: int = 1
    max_queue: int = 2000
    imports: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    queues: list[str] = field(default_factory=list)
    bind: str = "127.0.0.1"
    port: int = 0
    advertise_url: str = ""
    executor: ExecutorName = "thread"
    commands: dict[str, CommandSpec] = field(default_factory=dict)
    drain_seconds: float = 30.0
    max_result_bytes: int = DEFAULT_MAX_RESULT_BYTES
    outbox_results: int = 50_000
    ca_file: str | None = None
    log_level: str = "info"

    def url(self, port: int) -> str:
        """The address to register, ``port`` being the one that the server really has."""
        if self.advertise_url:
            return self.advertise_url.rstrip("/")
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"http://{host}:{port}"


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> NodeConfig:
    """Read options; raises ``ConfigError``. ``--help`` prints and exits."""
    options = build_parser().parse_args(arguments)
    name = options.name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:100] or "node"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name {name!r}: up to 100 letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
    config = NodeConfig(
        dispatcher=_dispatcher(options.dispatcher or environment.get("TASKDIST_DISPATCHER", "")),
        token=_token(options.token, options.token_file, environment),
        name=name,
        state_dir=_state_dir(options.state_dir, name, environment),
        slots=_whole("--slots", options.slots, 1, 1000),
        max_queue=_whole("--max-queue", options.max_queue, 0, 100_000),
        imports=options.imports,
        labels=_labels(options.label),
        queues=options.queue,
        bind=options.bind,
        port=_whole("--port", options.port, 0, 65535),
        advertise_url=_url("--advertise-url", options.advertise_url) if options.advertise_url else "",
        executor=options.executor,
        commands=_commands(options.command, options.commands_file, allowed=options.allow_commands),
        drain_seconds=_seconds("--drain-seconds", options.drain_seconds),
        max_result_bytes=_whole("--max-result-bytes", options.max_result_bytes, 1000, 64 * 1024 * 1024),
        outbox_results=_whole("--outbox-results", options.outbox_results, 100, 10_000_000),
        ca_file=_ca_file(options.ca_file),
        log_level=options.log_level,
    )
    _check_reachable(config)
    return config


def _dispatcher(value: str) -> str:
    if not value:
        raise ConfigError("Say where the dispatcher is: --dispatcher URL, or the variable TASKDIST_DISPATCHER.")
    return _url("--dispatcher", value)


def _url(option: str, value: str) -> str:
    if not _is_address(value):
        raise ConfigError(f"{option} {value!r} is no address like http://host:8000, without user, query or fragment.")
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    has_more = "@" in parts.netloc or parts.query or parts.fragment or " " in value
    return is_whole and value.isascii() and not has_more


def _token(given: str, file: str | None, environment: Mapping[str, str]) -> str:
    if given and file:
        raise ConfigError("Give --token or --token-file, not both.")
    token = given or ("" if file else environment.get("TASKDIST_TOKEN", ""))
    if file:
        try:
            token = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {file}: {getattr(error, 'strerror', None) or error}.") from None
        if not token:
            raise ConfigError(f"--token-file {file}: the file is empty.")
    if token and not is_token(token):
        raise ConfigError("The token is none: it has blanks, other characters than ASCII, or too few of them.")
    return token


def _state_dir(given: str | None, name: str, environment: Mapping[str, str]) -> Path:
    if given:
        return Path(given)
    base = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "taskdist" / name


def _whole(option: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise ConfigError(f"{option} {value!r}: give a whole number from {least} to {most}.")
    return int(value)


def _seconds(option: str, value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value):
        raise ConfigError(f"{option} {value!r}: give seconds as a number, 0 or more.")
    return float(value)


def _labels(given: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        is_short = len(key) <= _MAX_LABEL_KEY_CHARS and len(value) <= _MAX_LABEL_CHARS
        if not (equals and _NAME.fullmatch(key) and is_short and value.isprintable()):
            raise ConfigError(f"--label {item!r}: write KEY=VALUE, such as gpu=yes.")
        if key in labels:
            raise ConfigError(f"--label {key!r} is given twice.")
        labels[key] = value
    return labels


def _commands(given: Sequence[str], file: str | None, *, allowed: bool) -> dict[str, CommandSpec]:
    if (given or file) and not allowed:
        raise ConfigError("Commands are declared, but this node may not run any: add --allow-commands if it shall.")
    specs = _commands_file(file) if file else {}
    for item in given:
        name, _, text = item.partition("=")
        try:
            specs[name] = CommandSpec(argv=tuple(msgspec.json.decode(text, type=list[str])))
        except msgspec.DecodeError as error:
            raise ConfigError(f'--command {item!r}: write NAME=\'["program", "{{field}}"]\'; {error}.') from None
    for name, spec in specs.items():
        if not _TYPE_NAME.fullmatch(name):
            raise ConfigError(f"command {name!r}: that is no name for a task type.")
        try:
            specs[name] = msgspec.structs.replace(spec, argv=check_command(name, list(spec.argv)))
        except CommandError as error:
            raise ConfigError(str(error)) from None
    return specs


def _commands_file(file: str) -> dict[str, CommandSpec]:
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=dict[str, CommandSpec])
    except OSError as error:
        raise ConfigError(f"--commands-file {file}: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"--commands-file {file}: {error}.") from None


def _ca_file(given: str | None) -> str | None:
    if given and not Path(given).is_file():
        raise ConfigError(f"--ca-file {given}: there is no such file.")
    return given


def _check_reachable(config: NodeConfig) -> None:
    if config.bind in ("0.0.0.0", "::", "") and not config.advertise_url:  # noqa: S104 - compared, not bound
        raise ConfigError(
            f"--bind {config.bind} is no address that the dispatcher could use: add --advertise-url http://THIS-HOST:PORT."
        )
    if config.advertise_url and config.port == 0 and urlsplit(config.advertise_url).port is not None:
        raise ConfigError("--advertise-url names a port, but --port 0 takes any: give the same --port.")

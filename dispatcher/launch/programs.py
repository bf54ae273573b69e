"""The command lines of an installation's processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEMO_HANDLERS = "workers.handlers.demo"
# How long the web server waits for open requests and websockets when it is told to stop.
WEB_CLOSE_SECONDS = 2
# How long a local worker lets its tasks finish when it is told to stop: less than the supervisor waits for it.
DRAIN_SECONDS = 4
# A worker runs handlers of its users: it gets neither the database nor the key that signs sessions.
KEPT_FROM_WORKERS = ("DJANGO_SETTINGS_MODULE", "TASKDIST_DATABASE_URL", "TASKDIST_SECRET_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to keep running. Lower `stop_rank` is stopped earlier; equal ranks together."""

    name: str
    command: tuple[str, ...]
    stop_rank: int
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the web tier listens, and how this machine reaches it."""

    host: str
    port: int

    @property
    def reachable_host(self) -> str:
        """The host to connect to: an address of this machine where the web tier listens on all of them."""
        return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (compared, not bound)

    @property
    def url(self) -> str:
        """The URL for programs and browsers on this machine."""
        host = self.reachable_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def base_environment(var_dir: Path, address: Address) -> dict[str, str]:
    """Return the environment that all our processes share: ours, with this installation's folder and address."""
    return {
        **os.environ,
        "TASKDIST_VAR": str(var_dir),
        "TASKDIST_HOST": address.host,
        # No node may be there.
        "TASKDIST_PORT": str(address.port),
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "taskdist_site.settings"),
        # A log line is on disk when it is written, also if the process is killed next.
        "PYTHONUNBUFFERED": "1",
    }


def web_program(address: Address, environment: Mapping[str, str]) -> Program:
    """Return the web tier: pages, API and websockets in one daphne."""
    options = ["--bind", address.host, "--port", str(address.port), "--verbosity", "0"]
    closing = ["--application-close-timeout", str(WEB_CLOSE_SECONDS)]
    return Program(
        name="web",
        command=(sys.executable, "-m", "daphne", *options, *closing, "taskdist_site.asgi:application"),
        stop_rank=2,
        environment=environment,
    )


def engine_program(manage: Path, environment: Mapping[str, str]) -> Program:
    """Return the engine: all loops in one process."""
    return Program(
        name="engine",
        command=(sys.executable, str(manage), "engine"),
        stop_rank=1,
        environment=environment,
    )


def worker_program(
    *, name: str, address: Address, slots: int, node_dir: Path, token_file: Path, environment: Mapping[str, str]
) -> Program:
    """Return one local worker node on a free port, with the handlers of the demo."""
    options = {
        "--dispatcher": address.url,
        "--token-file": str(token_file),
        "--name": name,
        "--slots": str(slots),
        "--bind": "127.0.0.1",
        "--port": "0",
        "--state-dir": str(node_dir),
        "--import": DEMO_HANDLERS,
        "--drain-seconds": str(DRAIN_SECONDS),
    }
    return Program(
        name=name,
        command=(sys.executable, "-m", "workers", *(word for pair in options.items() for word in pair)),
        stop_rank=0,
        environment=_worker_environment(environment, node_dir),
    )


def _worker_environment(environment: Mapping[str, str], node_dir: Path) -> dict[str, str]:
    """Return what a local node sees: no secrets of the dispatcher, and the folder that demo tasks work on."""
    kept = {key: value for key, value in environment.items() if key not in KEPT_FROM_WORKERS}
    return {"TASKDIST_DEMO_ROOT": str(node_dir.parent.parent / "demo"), **kept}

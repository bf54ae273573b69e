"""The console of `manage.py up`, which may go away before the installation does."""

from __future__ import annotations

import os
import select
import sys

STDIN, STDOUT = 0, 1


class Console:
    """Lines for whoever watches, and whether that can still be anybody. Never raises because nobody does."""

    def __init__(self, stdin: int = STDIN, stdout: int = STDOUT) -> None:
        self._stdout = stdout
        self._terminal = select.poll()
        # A pipe whose writer has gone looks hung up as well, and means nothing.
        if _is_terminal(stdin):
            self._terminal.register(stdin, select.POLLHUP)

    def say(self, line: str) -> None:
        """Write a line. Where that fails (a closed terminal, a `| tee` that Ctrl-C ended too), write no more."""
        data = f"{line}\n".encode(sys.stdout.encoding or "utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._stdout, data) :]
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stdout)
            os.close(nowhere)

    def is_gone(self) -> bool:
        """Return whether the terminal was closed. SIGHUP does not always tell: `make` keeps it to itself."""
        return any(event & select.POLLHUP for _, event in self._terminal.poll(0))


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False

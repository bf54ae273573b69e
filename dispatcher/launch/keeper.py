"""A small program that outlives the supervisor by seconds, to end its children if it was killed.

    python -m dispatcher.launch.keeper GRACE_SECONDS

It reads lines from standard input: `+ID` names a process group, `-ID` says that it has ended. When the
input closes with groups left, the supervisor has died without stopping them: they get SIGTERM and, after
the grace time, SIGKILL. Whole groups are ended, so that what a worker started goes with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

CHECK_SECONDS = 0.1


def follow(lines: Iterable[str]) -> set[int]:
    """Return the groups that are named and not taken back by the end of the input."""
    groups: set[int] = set()
    for line in lines:
        sign, number = line[:1], line[1:].strip()
        if not number.isdigit():
            continue
        if sign == "+":
            groups.add(int(number))
        elif sign == "-":
            groups.discard(int(number))
    return groups


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether anybody was there to get it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's group has this id by now: ours has ended.
        return False
    return True


def end_groups(groups: set[int], grace_seconds: float) -> None:
    """Ask the groups to end, wait for up to the grace time, and kill what is left."""
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + grace_seconds
    pause = threading.Event()
    while left and time.monotonic() < deadline:
        pause.wait(CHECK_SECONDS)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def main() -> int:
    """Watch standard input to its end, then end what is left."""
    # The terminal's and the service manager's signals are for the supervisor, which closes our input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(follow(sys.stdin), grace_seconds=float(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

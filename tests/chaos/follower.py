"""Follows the feed as a program of a user would, from the first change to the last: the witness of I17."""

from __future__ import annotations

import http.client
import threading

from tests.chaos.journal import Journal
from tests.chaos.rig import Rig

LOOK_SECONDS = 0.2


class Follower:
    """A thread of its own between ``start`` and ``stop``. It writes down what it is given, and asks on from there."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._journal = Journal(rig.folder / "follower.jsonl")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        #: The number of the last change it was given.
        self.position = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                page = self._rig.ask(f"/api/v1/changes?after={self.position}&limit=200")
            except (OSError, ValueError, http.client.HTTPException):
                page = {"changes": [], "next": self.position}
            if page["changes"]:
                self._journal.write("page", ids=[int(change["id"]) for change in page["changes"]])
                self.position = int(page["next"])
            else:
                self._stop.wait(LOOK_SECONDS)

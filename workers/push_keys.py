"""The keys that requests of the dispatcher are checked with: the one in use, and for a while the one before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from workers.protocol import SIGNATURE_WINDOW_SECONDS

#: How long the old key is taken after the first request that was signed with the new one. By then the dispatcher has
#: moved to it with all its processes.
OLD_KEY_SECONDS: Final = 2.0 * SIGNATURE_WINDOW_SECONDS


class PushKeys:
    """Thread-safe. Without a key nothing is trusted."""

    def __init__(self) -> None:
        self.current = ""
        self._previous = ""
        #: Monotonic; None until the new key has been seen in use.
        self._previous_ends_at: float | None = None
        self._lock = threading.Lock()

    def replace(self, key: str) -> None:
        """Use this one; go on taking the one in use until the dispatcher has changed as well."""
        with self._lock:
            if key == self.current:
                return
            self._previous, self._previous_ends_at = self.current, None
            self.current = key

    def fits(self, is_signed_with: Callable[[str], bool], now: float) -> bool:
        """Whether a request is signed with a key that is taken now. ``now`` is monotonic."""
        with self._lock:
            if self._previous_ends_at is not None and now >= self._previous_ends_at:
                self._previous, self._previous_ends_at = "", None
            current, previous = self.current, self._previous
        if not current:
            return False
        if is_signed_with(current):
            if previous:
                self._end_of_previous(previous, now + OLD_KEY_SECONDS)
            return True
        return bool(previous) and is_signed_with(previous)

    def _end_of_previous(self, key: str, ends_at: float) -> None:
        with self._lock:
            if self._previous == key and self._previous_ends_at is None:
                self._previous_ends_at = ends_at

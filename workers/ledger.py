"""Which attempts this node holds or has seen: the rules for duplicates, late pushes and tombstones.

Pure bookkeeping without threads or clocks of its own; the node calls it under its lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, Literal, Protocol, TypeVar

Judgement = Literal["new", "duplicate", "superseded"]
Whereabouts = Literal["held", "seen", "tombstoned"]

#: What is remembered at most in one generation: about 45 MB of memory.
MAX_GENERATION: Final = 250_000


class Attempt(Protocol):
    """What the ledger needs to know of a held attempt."""

    @property
    def task_id(self) -> str:
        """The task."""

    @property
    def attempt(self) -> int:
        """Which attempt of it."""


Held = TypeVar("Held", bound=Attempt)


class Ledger(Generic[Held]):
    """At most one held attempt per task, and of each task lately here the highest attempt seen.

    Memory is two generations, so that forgetting costs nothing per task: what ended is remembered for at least
    ``memory_seconds``, unless more than ``MAX_GENERATION`` attempts end within that time.
    """

    def __init__(self, *, memory_seconds: float, now: float) -> None:
        self.memory_seconds = memory_seconds
        self._held: dict[str, Held] = {}
        # task id -> attempt * 2, plus 1 if it is tombstoned: a plain int keeps the memory per task small
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._turned_at = now

    def __len__(self) -> int:
        return len(self._held)

    def held(self) -> Iterator[Held]:
        """What is on the node and not yet ended, in the order of arrival."""
        return iter(self._held.values())

    def get(self, task_id: str, attempt: int) -> Held | None:
        """The held attempt, if it is this very one."""
        held = self._held.get(task_id)
        return held if held is not None and held.attempt == attempt else None

    def judge(self, task_id: str, attempt: int) -> Judgement:
        """What a push of this attempt is; ``new`` is the only one that may run."""
        held = self._held.get(task_id)
        held_attempt = 0 if held is None else held.attempt
        seen = self._seen(task_id)
        if attempt < held_attempt or attempt < seen >> 1:
            return "superseded"
        if seen and attempt == seen >> 1:
            return "superseded" if seen & 1 else "duplicate"
        return "duplicate" if attempt == held_attempt else "new"

    def hold(self, held: Held) -> Held | None:
        """Take in a new attempt; returns the older attempt of the same task that it replaces, if one is held."""
        older = self._held.pop(held.task_id, None)
        self._held[held.task_id] = held
        return older

    def end(self, held: Held) -> bool:
        """The attempt has ended with a result. ``False``: it was let go or replaced before, so nobody wants it."""
        if self._held.get(held.task_id) is not held:
            return False
        del self._held[held.task_id]
        self._remember(held.task_id, held.attempt << 1)
        return True

    def remember_ended(self, task_id: str, attempt: int) -> None:
        """Take in an attempt that ended before this program started (its result came from the disk)."""
        self._remember(task_id, attempt << 1)

    def let_go(self, task_id: str, attempt: int) -> Held | None:
        """The attempt is no longer this node's: forget and tombstone it. Returns what was held of it."""
        held = self.get(task_id, attempt)
        if held is not None:
            del self._held[task_id]
        self._remember(task_id, attempt << 1 | 1)
        return held

    def resolve(self, task_id: str, attempt: int) -> Whereabouts:
        """Whether this attempt is or was here. One that was not is tombstoned: it will be refused from now on."""
        if self.get(task_id, attempt) is not None:
            return "held"
        if self._seen(task_id) == attempt << 1:
            return "seen"
        self._remember(task_id, attempt << 1 | 1)
        return "tombstoned"

    def turn(self, now: float) -> None:
        """Forget the older generation when its time has come. Call it now and then."""
        if now - self._turned_at >= self.memory_seconds or len(self._recent) >= MAX_GENERATION:
            self._older, self._recent = self._recent, {}
            self._turned_at = now

    def _seen(self, task_id: str) -> int:
        # The recent generation is never lower than the older one: _remember takes the highest of both.
        return self._recent.get(task_id) or self._older.get(task_id, 0)

    def _remember(self, task_id: str, mark: int) -> None:
        self._recent[task_id] = max(self._seen(task_id), mark)

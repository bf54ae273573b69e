"""The words for the states of tasks and nodes, and what each means. Knows no Django."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class TaskState(IntEnum):
    """States of a task; the numbers are stored. ``docs/task_lifecycle.md`` draws the transitions."""

    #: Waits for its time: submitted for later, or between two attempts.
    SCHEDULED = 0
    #: Ready to run; waits for a free slot on a node that fits.
    QUEUED = 1
    #: Claimed for a node and sent there, not yet known to run.
    DISPATCHED = 2
    #: Known to run on its node.
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLED = 6
    #: Was not started by its deadline.
    EXPIRED = 7

    @property
    def word(self) -> str:
        """The name as the API and the dashboard show it."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> TaskState:
        """The state called ``word``; ``ValueError`` if there is none."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"unknown state {word!r}; one of {', '.join(s.word for s in cls)}") from None


WAITING = frozenset({TaskState.SCHEDULED, TaskState.QUEUED})
#: A node has it, as far as we know.
ACTIVE = frozenset({TaskState.DISPATCHED, TaskState.RUNNING})
TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED})


class NodeState(StrEnum):
    """What operators and the failure detector make of a node."""

    #: Heard from within its lease; takes work.
    ONLINE = "online"
    #: Silent for a while: no new work, nothing taken away yet.
    SUSPECT = "suspect"
    #: Silent beyond its lease: its tasks were given to others.
    OFFLINE = "offline"


class NodeIntent(StrEnum):
    """What the operator wants of a node."""

    RUN = "run"
    #: Finish what it has, take nothing new.
    DRAIN = "drain"
    #: Not part of the pool: gets no work until it is resumed.
    DISABLED = "disabled"


class BreakerState(StrEnum):
    """The circuit breaker of a node."""

    CLOSED = "closed"
    #: Failed too often in a row: no work until the cool-down ends.
    OPEN = "open"
    #: The cool-down has ended: one task at a time proves it well again.
    HALF_OPEN = "half_open"


class AttemptOutcome(StrEnum):
    """How an attempt ended that did not end its task, or the last one of a failed task."""

    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    #: The node fell silent, restarted, or never reported by the attempt's deadline.
    LOST = "lost"
    #: The node did not take it; does not count.
    REJECTED = "rejected"
    #: The node handed it back; does not count.
    RELEASED = "released"
    #: Reported after another attempt had taken over; refused and kept for the record.
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"

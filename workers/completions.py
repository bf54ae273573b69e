"""Where ended jobs meet those who carry the results away: the answer to a push, or the reporter."""

from __future__ import annotations

import threading

from workers.executor.job import Job
from workers.protocol import EMPTY_JSON, TaskResult

#: As many ended jobs are worth a report at once.
FLUSH_RESULTS = 200


class Burst:
    """The jobs of one push, while its answer is still open."""

    __slots__ = ("all_ended", "done", "is_open", "remaining")

    def __init__(self, size: int) -> None:
        self.remaining = size
        self.is_open = True
        self.done: list[tuple[Job, TaskResult]] = []
        self.all_ended = threading.Event()


class Completions:
    """Thread-safe. A job of an open burst goes to its push's answer, any other to the reporter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[tuple[Job, TaskResult]] = []
        self._outstanding = 0
        #: Set when there is something for the reporter to see to.
        self.bell = threading.Event()
        #: Set when waiting for more results would not help: enough are here, or no job is left.
        self._flush = threading.Event()

    def expect(self, jobs: int) -> None:
        """``jobs`` more will end some time."""
        with self._lock:
            self._outstanding += jobs

    def end(self, job: Job, result: TaskResult) -> None:
        """A job has ended. Whether anybody wants the result is the ledger's to know."""
        with self._lock:
            self._outstanding -= 1
            burst = job.burst
            is_inline = burst is not None and burst.is_open and not job.has_notes
            (burst.done if is_inline and burst is not None else self._ended).append((job, result))
            if burst is not None:
                burst.remaining -= 1
                if burst.remaining == 0:
                    burst.all_ended.set()
            if is_inline:
                return
            if len(self._ended) == 1:
                self.bell.set()
            if self._outstanding == 0 or len(self._ended) >= FLUSH_RESULTS:
                self._flush.set()

    def close(self, burst: Burst) -> list[tuple[Job, TaskResult]]:
        """Close a burst: what ended so far, for the answer; the rest will go to the reporter."""
        with self._lock:
            burst.is_open = False
            return burst.done

    def hand_over(self, ended: list[tuple[Job, TaskResult]]) -> None:
        """Leave to the reporter what does not fit into the answer of a push."""
        if ended:
            with self._lock:
                self._ended.extend(ended)
            self.bell.set()
            self._flush.set()

    def take(self, *, patience: float) -> list[tuple[Job, TaskResult]]:
        """What has ended since the last call. If jobs still run, wait up to ``patience`` seconds for more."""
        if self._ended and patience > 0:
            self._flush.wait(patience)
        with self._lock:
            self.bell.clear()
            self._flush.clear()
            taken, self._ended = self._ended, []
            return taken

    def wait(self, timeout: float | None) -> None:
        """Wait until there is something to report, or ``ring`` is called."""
        self.bell.wait(timeout)

    def ring(self) -> None:
        """Have the reporter look at once."""
        self.bell.set()

    @property
    def is_idle(self) -> bool:
        """Whether every job that was expected has ended."""
        return self._outstanding == 0

    @property
    def has_ended(self) -> bool:
        """Whether ended jobs wait to be taken."""
        return bool(self._ended)


def fitting(
    ended: list[tuple[Job, TaskResult]], room: int
) -> tuple[list[tuple[Job, TaskResult]], list[tuple[Job, TaskResult]]]:
    """What of ``ended`` fits into an answer of ``room`` bytes of results, and the rest."""
    for index, (_, result) in enumerate(ended):
        size = 0 if result.result is EMPTY_JSON else len(bytes(result.result))
        if result.error is not None:
            size += len(result.error.message) + len(result.error.traceback)
        room -= size
        if room < 0:
            return ended[:index], ended[index:]
    return ended, []

"""Results kept until the dispatcher has them: in memory, and on disk for the next start of the node.

The disk side is a chain of append-only files of JSON lines (``outbox-00000001.jsonl``). A batch of results is one
``write``. A file is removed once every result in it is acknowledged, and the current one is cut to nothing when
nothing is outstanding, so acknowledgements are never written: a restart may replay some results that the dispatcher
has, and it answers ``duplicate``.

What is promised: a result that is kept survives the end of the node however it comes, because the operating system
has it. The end of the *machine* (loss of power) survive those that have waited for their acknowledgement for a second
or so: only these are worth an ``fsync``, done in batches. Of others the attempt counts as lost with its node, and the
task runs again; so no task is lost either way, and short tasks cost no disk operation each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from workers.protocol import AttemptRef, TaskResult

logger = logging.getLogger(__name__)

Key = tuple[str, int]

#: After this time without an acknowledgement, a result given in a push's answer is reported like any other.
_UNCONFIRMED_SECONDS: Final = 2.0
_SEGMENT_BYTES: Final = 1024 * 1024
_CUT_BYTES: Final = 64 * 1024
_SYNC_AFTER_SECONDS: Final = 0.25
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TaskResult).decode


@dataclass(slots=True)
class _Entry:
    result: TaskResult
    size: int
    added_at: float
    segment: int


class Outbox:
    """Thread-safe. ``now`` is always the monotonic clock's."""

    def __init__(self, directory: Path, *, max_results: int = 50_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._directory = directory
        self._max_results = max_results
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: dict[Key, _Entry] = {}
        self._ready: deque[Key] = deque()
        self._unconfirmed: deque[tuple[float, list[Key]]] = deque()
        self._bytes = 0
        self._live: dict[int, int] = {}
        self._segment = 0
        self._segment_bytes = 0
        self._fd = -1
        self._is_unsynced = False
        self._unwritten = bytearray()
        self._is_broken = False

    def open(self, now: float) -> list[TaskResult]:
        """Read what an earlier run left, make it ready to be reported, and start a new file."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(self._directory.glob(f"outbox-{'[0-9]' * 8}.jsonl")):
            self._replay(path, now)
        with self._lock:
            self._start_segment()
            return [entry.result for entry in self._entries.values()]

    def _replay(self, path: Path, now: float) -> None:
        number = int(path.stem.rpartition("-")[2])
        self._segment = max(self._segment, number)
        self._live[number] = 0
        for line in path.read_bytes().split(b"\n"):
            if not line:
                continue
            try:
                result = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                # A line cut by the end of the process or of the disk: that result was never sent, its task runs again.
                logger.warning("outbox: %s has an unreadable line of %d bytes; skipped", path.name, len(line))
                continue
            key = (result.task_id, result.attempt)
            if key not in self._entries:
                self._remember(key, _Entry(result, len(line) + 1, now, number))
                self._ready.append(key)
        if self._live[number] == 0:
            del self._live[number]
            path.unlink()

    @property
    def is_full(self) -> bool:
        """Whether the node should take no more tasks: too much is outstanding, or the disk takes no more."""
        return self._is_broken or len(self._entries) >= self._max_results or self._bytes >= self._max_bytes

    @property
    def is_broken(self) -> bool:
        """Whether the last write failed (disk full); results are then kept in memory and written later."""
        return self._is_broken

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, results: Sequence[TaskResult], *, now: float, inline: bool = False) -> None:
        """Keep ``results``; they survive a kill of the node once this returns (see above for loss of power).

        ``inline``: they travel in the answer to a push, and are reported only if no acknowledgement comes in time.
        """
        if not results:
            return
        lines = [_encode(result) for result in results]
        keys: list[Key] = []
        with self._lock:
            self._write(b"\n".join(lines) + b"\n")
            for result, line in zip(results, lines, strict=True):
                key = (result.task_id, result.attempt)
                if key not in self._entries:
                    self._remember(key, _Entry(result, len(line) + 1, now, self._segment))
                    keys.append(key)
            if inline:
                self._unconfirmed.append((now + _UNCONFIRMED_SECONDS, keys))
            else:
                self._ready.extend(keys)

    def ack(self, refs: Iterable[AttemptRef]) -> None:
        """Forget results that the dispatcher has; ones that are not here are ignored."""
        with self._lock:
            for ref in refs:
                self._forget((ref.task_id, ref.attempt))
            if not self._entries:
                self._cut()

    def take(self, *, now: float, max_results: int, max_bytes: int) -> list[TaskResult]:
        """The next results to report, oldest first; at least one if there is any. They stay kept until ``ack``."""
        taken: list[TaskResult] = []
        with self._lock:
            self._promote(now)
            while self._ready and len(taken) < max_results:
                entry = self._entries.get(self._ready[0])
                if entry is not None:
                    if taken and entry.size > max_bytes:
                        break
                    max_bytes -= entry.size
                    taken.append(entry.result)
                self._ready.popleft()
        return taken

    def put_back(self, results: Sequence[TaskResult]) -> None:
        """These could not be reported: they are the next to be taken again."""
        with self._lock:
            self._ready.extendleft((result.task_id, result.attempt) for result in reversed(results))

    def replace(self, result: TaskResult, *, now: float) -> None:
        """Put ``result`` in the place of the one for the same attempt, which the dispatcher refused."""
        self.ack([AttemptRef(task_id=result.task_id, attempt=result.attempt)])
        self.add([result], now=now)

    def find(self, task_id: str, attempt: int) -> TaskResult | None:
        """The kept result of this attempt."""
        entry = self._entries.get((task_id, attempt))
        return None if entry is None else entry.result

    def waiting(self, *, now: float, older_than: float, max_results: int, max_bytes: int) -> list[TaskResult]:
        """Results that have not been acknowledged for ``older_than`` seconds: what the poller may bring home."""
        found: list[TaskResult] = []
        with self._lock:
            for entry in self._entries.values():
                if now - entry.added_at < older_than or len(found) >= max_results:
                    break
                max_bytes -= entry.size
                if found and max_bytes < 0:
                    break
                found.append(entry.result)
        return found

    def next_due(self, now: float) -> float | None:
        """Seconds until there is something to report, or ``None`` if nothing waits."""
        with self._lock:
            if self._ready:
                return 0.0
            if self._unconfirmed:
                return max(0.0, self._unconfirmed[0][0] - now)
        return None

    def tend(self, now: float) -> None:
        """Housekeeping, about every second: write what could not be written, fsync what has waited."""
        with self._lock:
            if self._unwritten:
                self._write(b"")
            oldest = next(iter(self._entries.values()), None)
            if (
                not self._is_unsynced
                or oldest is None
                or now - oldest.added_at < _SYNC_AFTER_SECONDS
                or self._is_broken
            ):
                return
            self._is_unsynced = False
            descriptor = os.dup(self._fd)
        # Outside the lock: an fsync takes as long as the disk likes.
        try:
            os.fsync(descriptor)
        except OSError:
            logger.exception("outbox: fsync failed")
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file; an empty outbox leaves none behind."""
        with self._lock:
            if self._fd < 0:
                return
            os.close(self._fd)
            self._fd = -1
            if self._live.get(self._segment, 0) == 0:
                self._path(self._segment).unlink(missing_ok=True)

    # Below here the lock is held.

    def _promote(self, now: float) -> None:
        while self._unconfirmed and self._unconfirmed[0][0] <= now:
            self._ready.extend(key for key in self._unconfirmed.popleft()[1] if key in self._entries)

    def _remember(self, key: Key, entry: _Entry) -> None:
        self._entries[key] = entry
        self._bytes += entry.size
        self._live[entry.segment] = self._live.get(entry.segment, 0) + 1

    def _forget(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size
        self._live[entry.segment] -= 1
        if self._live[entry.segment] == 0 and entry.segment != self._segment:
            del self._live[entry.segment]
            self._path(entry.segment).unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        pending = bytes(self._unwritten) + data
        written = 0
        try:
            if self._segment_bytes >= _SEGMENT_BYTES:
                self._start_segment()
            while written < len(pending):
                written += os.write(self._fd, pending[written:])
        except OSError as error:
            if not self._is_broken:
                logger.error(  # noqa: TRY400 - where the full disk was noticed tells nothing
                    "outbox: cannot write to %s: %s. The node takes no tasks until it can.", self._directory, error
                )
            # All of it comes again; after a torn line a line break first, so that only the torn one is unreadable.
            self._unwritten = bytearray(b"\n" + pending if written else pending)
            self._is_broken = True
            return
        if self._is_broken:
            logger.info("outbox: %s can be written to again", self._directory)
        self._unwritten.clear()
        self._is_broken = False
        self._segment_bytes += len(pending)
        self._is_unsynced = True

    def _start_segment(self) -> None:
        old, old_fd = self._segment, self._fd
        self._segment += 1
        self._fd = os.open(self._path(self._segment), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segment_bytes = 0
        self._live[self._segment] = 0
        if old_fd >= 0:
            os.close(old_fd)
            if self._live.get(old) == 0:
                del self._live[old]
                self._path(old).unlink(missing_ok=True)

    def _cut(self) -> None:
        # Only when it is worth a system call; a small rest is replayed as duplicates, which is harmless.
        self._ready.clear()
        self._unconfirmed.clear()
        if self._segment_bytes >= _CUT_BYTES and self._fd >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                self._segment_bytes = 0

    def _path(self, number: int) -> Path:
        return self._directory / f"outbox-{number:08d}.jsonl"

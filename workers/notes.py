"""What running tasks have to say before they end: started, progress, log lines, until the reporter sends it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from workers.context import Level, TaskContext
from workers.executor.job import Job
from workers.invoke import clean_text
from workers.protocol import MAX_LOG_LINE_CHARS, LogLine, Progress, Started

#: How long log lines and progress are collected before they are sent: at most four times a second.
COLLECT_SECONDS: Final = 0.25
#: Lines kept while the dispatcher cannot be reached; the oldest go first.
MAX_PENDING_LINES: Final = 10_000
#: Starts, and attempts with progress, kept while the dispatcher cannot be reached; the oldest go first.
MAX_PENDING_NOTES: Final = 5_000
#: Lines taken of one attempt.
MAX_LINES_PER_ATTEMPT: Final = 10_000
#: Lines sent in one report.
MAX_REPORT_LINES: Final = 1_000
_MAX_PROGRESS_MESSAGE_CHARS: Final = 500


class Notes:
    """Thread-safe; the ``ContextSink`` of jobs that run in this process, and of those whose children pass theirs on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: list[tuple[Started, float]] = []
        self._progress: dict[tuple[str, int], Progress] = {}
        self._lines: deque[tuple[LogLine, float]] = deque(maxlen=MAX_PENDING_LINES)
        self._due_at: float | None = None

    def started(self, job: Job) -> None:
        """A job has been running long enough to be shown as running."""
        note = Started(task_id=job.task_id, attempt=job.attempt)
        with self._lock:
            self._started.append((note, job.started_at))
            del self._started[:-MAX_PENDING_NOTES]
            self._due_at = time.monotonic()

    def progress(self, context: TaskContext, fraction: float | None, message: str) -> None:
        """How far a task is; only the latest word of each is sent."""
        text = clean_text(message)[:_MAX_PROGRESS_MESSAGE_CHARS]
        note = Progress(task_id=context.task_id, attempt=context.attempt, fraction=fraction, message=text)
        with self._lock:
            self._progress[context.task_id, context.attempt] = note
            self._trim()
            self._collect()

    def line(self, context: TaskContext, level: Level, text: str) -> None:
        """One log line; of the lines of an attempt beyond ``MAX_LINES_PER_ATTEMPT`` nothing is kept."""
        text = clean_text(text)
        if len(text) > MAX_LOG_LINE_CHARS:
            text = text[: MAX_LOG_LINE_CHARS - 1] + "…"
        with self._lock:
            if context.line_number >= MAX_LINES_PER_ATTEMPT:
                return
            context.line_number += 1
            if context.line_number == MAX_LINES_PER_ATTEMPT:
                level, text = (
                    "warning",
                    f"Further lines are dropped: {MAX_LINES_PER_ATTEMPT:,} is the most for one attempt.",
                )
            note = LogLine(
                task_id=context.task_id, attempt=context.attempt, n=context.line_number, text=text, level=level
            )
            self._lines.append((note, time.monotonic()))
            self._collect()

    def next_due(self, now: float) -> float | None:
        """Seconds until the notes should be sent, or ``None`` if there are none."""
        due_at = self._due_at
        return None if due_at is None else max(0.0, due_at - now)

    def take(self, now: float) -> tuple[list[Started], list[Progress], list[LogLine]]:
        """What is to be sent now, ages filled in."""
        with self._lock:
            started, self._started = self._started, []
            progress, self._progress = list(self._progress.values()), {}
            lines = [self._lines.popleft() for _ in range(min(len(self._lines), MAX_REPORT_LINES))]
            self._due_at = now if self._lines else None
        for note, at in started:
            note.running_ms = (now - at) * 1000.0
        for line, at in lines:
            line.age_ms = (now - at) * 1000.0
        return [note for note, _ in started], progress, [line for line, _ in lines]

    def put_back(
        self, started: list[Started], progress: list[Progress], lines: list[LogLine], *, now: float, due_at: float
    ) -> None:
        """These could not be sent at ``now``: try again at ``due_at``. Newer progress of the same attempt stands."""
        with self._lock:
            self._started[:0] = [(note, now - note.running_ms / 1000.0) for note in started]
            del self._started[:-MAX_PENDING_NOTES]
            newer = self._progress
            self._progress = {(note.task_id, note.attempt): note for note in progress} | newer
            self._trim()
            room = MAX_PENDING_LINES - len(self._lines)
            kept = lines[len(lines) - room :] if room < len(lines) else lines
            self._lines.extendleft((line, now - line.age_ms / 1000.0) for line in reversed(kept))
            if started or progress or lines:
                self._due_at = due_at

    def _trim(self) -> None:
        while len(self._progress) > MAX_PENDING_NOTES:
            del self._progress[next(iter(self._progress))]

    def _collect(self) -> None:
        if self._due_at is None:
            self._due_at = time.monotonic() + COLLECT_SECONDS

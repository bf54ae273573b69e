"""The processes' log files: one each below `var/log/`, bounded, with their problems shown on the console."""

from __future__ import annotations

import re
import shutil
from collections import deque
from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 20 << 20
READ_BYTES = 1 << 20
LINES_PER_LOOK = 5
LAST_LINES = 4
REPEAT_SECONDS = 60.0
TAIL_BYTES = 8192

PROBLEM = re.compile(r"\b(ERROR|CRITICAL)\b")
NUMBERS = re.compile(r"\d+")


class LogFile:
    """One process's log, written by the process itself and read here for problems."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = self._begun_at = self._size()
        self._unfinished = b""
        self._shown: dict[str, float] = {}

    def open_for_process(self) -> BinaryIO:
        """Return the file for a process to write to. In append mode, so that cutting it leaves no hole."""
        self._begun_at = self._size()
        return self.path.open("ab")

    def problems(self, now: float) -> list[str]:
        """Return new lines at level ERROR and above: a handful at a time, and the same one once a minute.

        `now` is in monotonic seconds. Lines that differ in numbers only count as the same.
        """
        lines = [line for line in self._new_lines() if PROBLEM.search(line) and self._is_news(line, now)]
        hidden = len(lines) - LINES_PER_LOOK
        return lines if hidden <= 0 else [*lines[:LINES_PER_LOOK], f"… and {hidden} more, in {self.path}"]

    def last_lines(self) -> list[str]:
        """Return the last few lines with text of the latest process: usually the reason why it ended."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            stream.seek(max(self._begun_at, self._size() - TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
        return list(deque((line for line in lines if line.strip()), maxlen=LAST_LINES))

    def keep_bounded(self) -> None:
        """Move the content to `NAME.log.1` once it is too long; the process goes on writing to the same file.

        A line written between copying and cutting may be lost.
        """
        if self._size() <= MAX_LOG_BYTES:
            return
        shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
        with self.path.open("r+b") as stream:
            stream.truncate(0)
        self._read_to = self._begun_at = 0

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _is_news(self, line: str, now: float) -> bool:
        self._shown = {text: at for text, at in self._shown.items() if now - at < REPEAT_SECONDS}
        text = NUMBERS.sub("", line)
        if text in self._shown:
            return False
        self._shown[text] = now
        return True

    def _new_lines(self) -> list[str]:
        if not self.path.exists():
            return []
        if self._size() < self._read_to:
            self._read_to = 0
        with self.path.open("rb") as stream:
            stream.seek(self._read_to)
            data = self._unfinished + stream.read(READ_BYTES)
            self._read_to = stream.tell()
        *lines, self._unfinished = data.split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

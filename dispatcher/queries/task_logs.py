"""Log lines of a task: pages of them, the end of them, and all of them bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from dispatcher.models import LogChunk
from dispatcher.queries.shapes import LogEnd, LogLine, LogPage
from dispatcher.redaction import Sight
from workers.protocol import MAX_LOG_LINE_CHARS

#: Log lines of the live document; a browser asks for those before them.
TAIL_LINES = 200
#: Log lines of one page.
MAX_LINES = 1000
#: The newest attempts with log lines that are told of.
MAX_ENDS = 50


def task_logs(
    task_id: int,
    *,
    attempt: int | None = None,
    after: int = 0,
    limit: int = MAX_LINES,
    sight: Sight = Sight.MASKED,
) -> LogPage:
    """Log lines of one attempt (None: the newest that has any) with a number above ``after``."""
    limit = min(max(limit, 1), MAX_LINES)
    if attempt is None:
        attempt = (
            LogChunk.objects.filter(task_id=task_id).order_by("-attempt").values_list("attempt", flat=True).first()
        )
    if attempt is None:
        return LogPage(attempt=0, lines=[], next=None)
    chunks = LogChunk.objects.filter(task_id=task_id, attempt=attempt, last_n__gt=after).order_by("first_n")
    # Every chunk holds a line above ``after``, so one more of them than lines wanted shows whether there is more.
    texts = chunks.values_list("attempt", "lines")[: limit + 1]
    lines = [line for line in _lines(texts, sight) if line["n"] > after]
    page = lines[:limit]
    return LogPage(attempt=attempt, lines=page, next=page[-1]["n"] if len(lines) > limit else None)


def log_tail(task_id: int, sight: Sight = Sight.MASKED, *, limit: int = TAIL_LINES) -> list[LogLine]:
    """The last log lines of the task, of all its attempts, in order."""
    newest = LogChunk.objects.filter(task_id=task_id).order_by("-attempt", "-first_n")
    # Each chunk has at least one line that no other has, but for lines sent twice in other portions.
    texts = list(newest.values_list("attempt", "lines")[:limit])
    return _lines(texts, sight)[-limit:]


def log_ends(task_id: int) -> list[LogEnd]:
    """The newest attempts that wrote log lines, and how far each came, in order. One look-up by index for each."""
    chunks = LogChunk.objects.filter(task_id=task_id).order_by("-attempt", "-first_n")
    found: list[LogEnd] = []
    below = chunks
    while len(found) < MAX_ENDS and (end := below.values_list("attempt", "last_n").first()):
        found.append(LogEnd(attempt=end[0], last=end[1]))
        below = chunks.filter(attempt__lt=end[0])
    return found[::-1]


def log_pages(task_id: int, attempt: int | None, sight: Sight = Sight.MASKED) -> Iterator[list[LogLine]]:
    """All log lines of one attempt, or of all of them, a page at a time: no more than that is ever held."""
    attempts = LogChunk.objects.filter(task_id=task_id).order_by("attempt")
    number = attempt or attempts.values_list("attempt", flat=True).first()
    while number is not None:
        after: int | None = 0
        while after is not None:
            page = task_logs(task_id, attempt=number, after=after, sight=sight)
            yield page["lines"]
            after = page["next"]
        later = attempts.filter(attempt__gt=number).values_list("attempt", flat=True)
        number = None if attempt else later.first()


def log_line(task_id: int, attempt: int, n: int, sight: Sight = Sight.MASKED) -> LogLine | None:
    """One log line; None if there is none of that number."""
    lines = task_logs(task_id, attempt=attempt, after=n - 1, limit=1, sight=sight)["lines"]
    return lines[0] if lines and lines[0]["n"] == n else None


def _lines(chunks: Iterable[tuple[int, str]], sight: Sight) -> list[LogLine]:
    """The lines of chunks, in order, each once."""
    found: dict[tuple[int, int], LogLine] = {}
    mask = sight.words.cut_text
    for attempt, text in chunks:
        for n, unix_ms, level, line in json.loads(text):
            found.setdefault(
                (attempt, n),
                LogLine(
                    id=f"{attempt}.{n}",
                    attempt=attempt,
                    n=n,
                    at=datetime.fromtimestamp(unix_ms / 1000, UTC),
                    level=level,
                    text=mask(line, MAX_LOG_LINE_CHARS),
                ),
            )
    return [found[key] for key in sorted(found)]

"""The log of a task as plain text, to be kept: sent bit by bit, so that its length costs no memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dispatcher import queries
from dispatcher.dashboard.sight import asked_sight
from dispatcher.dashboard.terminal import ESCAPES
from dispatcher.models import Task
from dispatcher.models.task import parse_task_id
from dispatcher.queries.shapes import LogLine

_TYPE = "text/plain; charset=utf-8"
_MAX_DIGITS = 9


@login_required
@never_cache
@require_GET
def log_text(request: HttpRequest, task_id: str) -> HttpResponse | StreamingHttpResponse:
    """``/tasks/<id>/log.txt``: all attempts, ``?attempt=2`` one of them, ``&line=118`` one line of it as it is kept."""
    number = parse_task_id(task_id)
    if number is None or not Task.objects.filter(pk=number).exists():
        raise Http404
    attempt, n = _number(request, "attempt"), _number(request, "line")
    sight = asked_sight(request, number)
    if attempt and n:
        line = queries.log_line(number, attempt, n, sight)
        if line is None:
            raise Http404
        return HttpResponse(ESCAPES.sub("", line["text"]) + "\n", content_type=_TYPE)
    pages = (_written(lines) for lines in queries.log_pages(number, attempt, sight))
    # Each kind of server would gather the other's kind of iterator whole.
    parts: Any = _in_turn(pages) if isinstance(request, ASGIRequest) else pages
    name = f"task-{number}-attempt-{attempt}.log" if attempt else f"task-{number}.log"
    answer = StreamingHttpResponse(parts, content_type=_TYPE)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) or None if is_number else None


def _written(lines: Iterable[LogLine]) -> str:
    return "".join(
        f"{line['attempt']}.{line['n']}\t{line['at']:%Y-%m-%dT%H:%M:%S.%f}"[:-3]
        + f"Z\t{line['level']}\t{ESCAPES.sub('', line['text'])}\n"
        for line in lines
    )


async def _in_turn(pages: Iterator[str]) -> AsyncIterator[str]:
    """The pages, each read in a thread while others are served."""
    while (page := await sync_to_async(lambda: next(pages, None))()) is not None:
        yield page

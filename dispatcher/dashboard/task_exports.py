"""What goes with the list of tasks: what can be typed into its query, and its rows as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dispatcher import queries
from dispatcher.dashboard.csv_text import csv_answer
from dispatcher.models import TaskTag
from dispatcher.queries import FilterError, TaskFilters
from dispatcher.search import KEYS
from dispatcher.search.keys import MEMBER

MAX_CSV_ROWS: Final = 10_000
#: Values of one key that are suggested.
MAX_SUGGESTED: Final = 200
#: So many of the newest tags are looked at.
TAGS_WINDOW: Final = 10_000
CACHED_SECONDS: Final = 60

_COLUMNS: Final = (
    "id", "state", "type", "queue", "node", "counted_attempts", "max_attempts", "priority", "tags", "created_at",
    "queued_at", "started_at", "finished_at", "wait_ms", "run_ms", "error",
)  # fmt: skip


@login_required
@require_safe
def suggestions(_request: HttpRequest) -> JsonResponse:
    """The keys of the search language and the values that are known of them, at most a minute old."""
    key = f"task-suggestions:{get_language()}"
    found = cache.get(key)
    if found is None:
        found = _suggestions()
        cache.set(key, found, CACHED_SECONDS)
    return JsonResponse(found)


def _suggestions() -> dict[str, Any]:
    newest = TaskTag.objects.order_by("-id").values_list("tag", flat=True)[:TAGS_WINDOW]
    values = {
        "type": [row["name"] for row in queries.types()],
        "queue": [row["name"] for row in queries.queues(timezone.now())],
        "node": [row["name"] for row in queries.nodes(timezone.now())],
        "tag": sorted(set(newest)),
    }
    return {
        "keys": [
            {
                "name": key.name,
                "meaning": _(key.meaning),
                "example": key.example,
                "values": list(key.words) or values.get(key.name, [])[:MAX_SUGGESTED],
            }
            for key in (*KEYS.values(), MEMBER)
        ]
    }


@login_required
@require_safe
def tasks_csv(request: HttpRequest) -> HttpResponse | HttpResponseRedirect:
    """The tasks that match, newest first, as far as a search goes and at most ``MAX_CSV_ROWS`` of them."""
    try:
        filters = TaskFilters.parse(request.GET, ignore=("wider",))
    except FilterError:
        # The page says what is wrong.
        return redirect(request.get_full_path().replace("tasks.csv", "", 1))
    return csv_answer("tasks.csv", _rows(filters, is_wider=request.GET.get("wider") == "true"))


def _rows(filters: TaskFilters, *, is_wider: bool) -> Iterator[Sequence[Any]]:
    yield _COLUMNS
    after: int | None = None
    for _page in range(MAX_CSV_ROWS // queries.MAX_LIMIT):
        page = queries.task_page(filters, after=after, limit=queries.MAX_LIMIT, wider=is_wider)
        for row in page["rows"]:
            values: dict[str, Any] = dict(row)
            yield [values[name] for name in _COLUMNS]
        if len(page["rows"]) < queries.MAX_LIMIT or page["next"] is None:
            return
        after = int(page["next"])

"""What the page of a task shows around its document: which tab is open, and what its scripts begin with."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dispatcher.conf import conf
from dispatcher.dashboard.json_tree import Part, TreeHtml, places_of, tree_html
from dispatcher.dashboard.waiting_formats import waiting_texts
from dispatcher.models.bulk import is_bulk_tag, job_of
from dispatcher.queries import task_events
from dispatcher.queries.shapes import TaskDetail, TaskDocument

#: Log lines of the page as it is loaded; scripts ask for those before them.
PAGE_TAIL: Final = 1000

_MAX_DIGITS: Final = 8
#: What a program says to submit a task like this one, but for its payload.
_AGAIN: Final = (
    "type", "queue", "priority", "max_attempts", "timeout_seconds", "backoff_seconds", "backoff_cap_seconds", "labels",
    "affinity_key", "tags",
)  # fmt: skip


def context(document: TaskDocument, asked: str, *, is_unmasked: bool) -> dict[str, Any]:
    """Everything but the document. ``asked``: the tab that the address names."""
    tabs = [
        {"id": "result", "label": _("Result")},
        {"id": "payload", "label": _("Payload")},
        {"id": "logs", "label": _("Logs")},
        {"id": "events", "label": _("Events")},
        {"id": "related", "label": _("Related")},
        {"id": "raw", "label": _("Raw")},
    ]
    asked = "logs" if asked == "log" else asked
    return {
        "tabs": tabs,
        "chosen_tab": asked if any(tab["id"] == asked for tab in tabs) else _likely(document),
        "trees": _trees(document, is_unmasked=is_unmasked),
        "again": {name: value for name, value in document.items() if name in _AGAIN and value is not None},
        "bulk_job": next((job_of(tag) for tag in document["tags"] if is_bulk_tag(tag)), None),
        "raw_url": reverse("api:task", args=[document["id"]]) + _query(is_unmasked=is_unmasked),
        "raw_path": f"tasks/{document['id']}" + _query(is_unmasked=is_unmasked),
        "events": task_events(int(document["id"])),
        "page_words": waiting_texts(),
        "max_log_lines": conf().max_log_lines,
        "unmasked_logs": {"logs": document["logs"], "log_ends": document["log_ends"]},
    }


def value_context(document: TaskDetail, part: str, at: str, first: str, *, is_unmasked: bool) -> dict[str, Any]:
    """The page that shows so much of payload or result as the tree on the task's own page left out."""
    text = document["payload"] if part == "payload" else document["result"]
    url, back = _value_url(document, part), reverse("dashboard:task", args=[document["id"]])
    root, places = Part.whole(text) if text is not None else None, places_of(at)
    found = root.at(places) if root is not None and places is not None else None
    number = int(first) if first.isascii() and first.isdigit() and len(first) < _MAX_DIGITS else 0
    query = _query(is_unmasked=is_unmasked)
    tree = TreeHtml(url + query).tree(found.unfold(number)) if found is not None else SafeString("")
    title = _("Payload of task %s") if part == "payload" else _("Result of task %s")
    return {
        "title": title % document["id"],
        "tree": tree,
        "back_url": f"{back}{query}{'&' if query else '?'}tab={part}",
    }


def _trees(document: TaskDetail, *, is_unmasked: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for part, text in (("payload", document["payload"]), ("result", document["result"])):
        url = _value_url(document, part) + _query(is_unmasked=is_unmasked)
        found |= {part: "" if text is None else tree_html(text, url), f"{part}_url": url}
    return found


def _value_url(document: TaskDetail, part: str) -> str:
    return reverse("dashboard:task_value", args=[document["id"], part])


def _query(*, is_unmasked: bool) -> str:
    return "?unmasked=true" if is_unmasked else ""


def missing_text() -> str:
    """Why a task may not be there."""
    days = conf().keep_tasks_days
    return ngettext(
        "It was never submitted, or it was deleted: finished tasks are kept for %(days)g day.",
        "It was never submitted, or it was deleted: finished tasks are kept for %(days)g days.",
        ceil(days),
    ) % {"days": days}


def _likely(document: TaskDocument) -> str:
    """What a reader most likely came for."""
    if document["result"] is not None:
        return "result"
    return "logs" if document["logs"] else "payload"

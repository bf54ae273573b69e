"""What the page of a task shows around its document: which tab is open, and what its scripts begin with."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dispatcher.conf import conf
from dispatcher.dashboard.snippets import programs
from dispatcher.queries import task_events
from dispatcher.queries.shapes import TaskDocument

#: Log lines of the page as it is loaded; scripts ask for those before them.
PAGE_TAIL: Final = 1000


def context(document: TaskDocument, asked: str, origin: str) -> dict[str, Any]:
    """Everything but the document. ``asked``: the tab that the address names; ``origin``: where this site is."""
    tabs = [
        {"id": "result", "label": _("Result")},
        {"id": "payload", "label": _("Payload")},
        {"id": "logs", "label": _("Logs")},
        {"id": "events", "label": _("Events")},
        {"id": "related", "label": _("Related")},
    ]
    asked = "logs" if asked == "log" else asked
    return {
        "tabs": tabs,
        "chosen_tab": asked if any(tab["id"] == asked for tab in tabs) else _likely(document),
        "programs": programs(document, origin),
        "events": task_events(int(document["id"])),
        "max_log_lines": conf().max_log_lines,
        "unmasked_logs": {"logs": document["logs"], "log_ends": document["log_ends"]},
    }


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

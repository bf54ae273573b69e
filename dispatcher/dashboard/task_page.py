"""What the page of a task shows around its document: which tab is open, and what its scripts begin with."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _

from dispatcher.conf import conf
from dispatcher.queries.shapes import TaskDocument

#: Log lines of the page as it is loaded; scripts ask for those before them.
PAGE_TAIL: Final = 1000


def context(document: TaskDocument, asked: str) -> dict[str, Any]:
    """Everything but the document. ``asked``: the tab that the address names."""
    tabs = [
        {"id": "result", "label": _("Result")},
        {"id": "payload", "label": _("Payload")},
        {"id": "logs", "label": _("Logs")},
        {"id": "related", "label": _("Related")},
    ]
    asked = "logs" if asked == "log" else asked
    return {
        "tabs": tabs,
        "chosen_tab": asked if any(tab["id"] == asked for tab in tabs) else _likely(document),
        "max_log_lines": conf().max_log_lines,
        "unmasked_logs": {"logs": document["logs"], "log_ends": document["log_ends"]},
    }


def _likely(document: TaskDocument) -> str:
    """What a reader most likely came for."""
    if document["result"] is not None:
        return "result"
    return "logs" if document["logs"] else "payload"

"""How actions on all tasks that match look. The browser's half is ``static/js/bulk_format.js``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from dispatcher.dashboard.formats import VALUE_FORMATS, icon, word

_YES, _NO = "1", ""


def bulk_state(job: Any, now: datetime) -> str:
    """The state that it is drawn as."""
    del now
    return {"done": "succeeded"}.get(job["state"], str(job["state"]))


def bulk_word(job: Any, now: datetime) -> str:
    """What its state is called."""
    return {"done": _("Done"), "cancelled": _("Stopped")}.get(job["state"]) or word(job["state"], now)


def bulk_icon(job: Any, now: datetime) -> str:
    """The address of its icon."""
    return icon(bulk_state(job, now), now)


def bulk_title(job: Any, now: datetime) -> str:
    """What it does."""
    del now
    return _("Retry all that match") if job["action"] == "retry" else _("Cancel all that match")


def bulk_query(query: Any, now: datetime) -> str:
    """Which tasks it is about."""
    del now
    return str(query) or _("all tasks")


def bulk_url(pk: Any, now: datetime) -> str:
    """Its page."""
    del now
    return f"/bulk/{pk}/"


def query_url(query: Any, now: datetime) -> str:
    """The tasks that match now."""
    del now
    return f"/tasks/?q={quote(str(query), safe='')}" if query else "/tasks/"


def tag_tasks_url(tag: Any, now: datetime) -> str:
    """The tasks with the tag."""
    del now
    return f"/tasks/?q={quote(f'tag:{tag}', safe='')}" if tag else ""


def bulk_progress(job: Any, now: datetime) -> str:
    """How many were dealt with, and of how many."""
    count = VALUE_FORMATS["count"]
    if job["expected"] is None:
        return count(job["handled"], now)
    return _("%(n)s of %(all)s") % {"n": count(job["handled"], now), "all": count(job["expected"], now)}


def bulk_pace(job: Any, now: datetime) -> str:
    """How many at a time, and how fast."""
    values = {"batch": job["batch_size"], "rate": VALUE_FORMATS["rate"](job["per_second"], now)}
    if job["per_second"] is None:
        return _("%(batch)d at a time, as fast as it goes") % values
    return _("%(batch)d at a time, at most %(rate)s a second") % values


def bulk_reason(reason: Any, now: datetime) -> str:
    """Why tasks were left as they were."""
    del now
    return {
        "not_ended": _("Has not ended"),
        "retried": _("Was retried before"),
        "ended": _("Had ended before"),
        "changed": _("Matched no longer when its turn came"),
        "gone": _("Was deleted for its age"),
        "refused": _("Refused by the database"),
    }.get(str(reason), str(reason))


def not_running(job: Any, now: datetime) -> str:
    """Hides what is for jobs that run."""
    del now
    return _NO if job["state"] == "running" else _YES


def not_paused(job: Any, now: datetime) -> str:
    """Hides what is for jobs that are paused."""
    del now
    return _NO if job["state"] == "paused" else _YES


def has_ended(job: Any, now: datetime) -> str:
    """Hides what is for jobs that have not ended."""
    del now
    return _NO if job["finished_at"] is None else _YES


BULK_FORMATS: dict[str, Callable[[Any, datetime], str]] = {
    function.__name__: function
    for function in (
        bulk_state, bulk_word, bulk_icon, bulk_title, bulk_query, bulk_url, query_url, tag_tasks_url, bulk_progress,
        bulk_pace, bulk_reason, not_running, not_paused, has_ended,
    )
}  # fmt: skip

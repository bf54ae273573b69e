"""How the figures of the overview look. The browser's half is ``static/js/overview_format.js``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from dispatcher.dashboard.formats import as_time
from dispatcher.dashboard.zones import offset_label

#: What an error type may be called to be asked for.
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def _get(row: Any, *names: str) -> Any:
    for name in names:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def range_name(row: Any, now: datetime) -> str:
    """The stretch of time, in words, or from when to when with the zone."""
    del now
    named = {
        "15m": _("The last 15 minutes"),
        "1h": _("The last hour"),
        "6h": _("The last 6 hours"),
        "24h": _("The last 24 hours"),
        "7d": _("The last 7 days"),
    }.get(_get(row, "range") or "")
    start, end = as_time(_get(row, "start")), as_time(_get(row, "end"))
    if named or start is None or end is None:
        return named or ""
    first, last = timezone.localtime(start), timezone.localtime(end)
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    zones = (offset_label(first), offset_label(last))
    # Over a change of the clocks each end has a zone of its own.
    zone = "" if zones[0] == zones[1] else f" {zones[0]}"
    return f"{first:%Y-%m-%d %H:%M}{zone} \N{EN DASH} {until} {zones[1]}"


def range_short(row: Any, now: datetime) -> str:
    """The same where there is little room."""
    del now
    return {
        "15m": _("15 min"),
        "1h": _("1 hour"),
        "6h": _("6 hours"),
        "24h": _("24 hours"),
        "7d": _("7 days"),
    }.get(_get(row, "range") or "", _("Chosen"))


def _ended_in(row: Any) -> str:
    name = _get(row, "range")
    if name:
        return f"ended:<{name}"
    start, end = as_time(_get(row, "start")), as_time(_get(row, "end"))
    return "" if start is None or end is None else f"ended:>={_stamp(start)} ended:<{_stamp(end)}"


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _tasks(**params: str) -> str:
    return f"{reverse('dashboard:tasks')}?{urlencode({name: text for name, text in params.items() if text})}"


def failed_url(row: Any, now: datetime) -> str:
    """The failed tasks of the range."""
    del now
    return _tasks(state="failed", q=_ended_in(row))


def failed_trend(row: Any, now: datetime) -> str:
    """How many more or fewer failed than in the range before."""
    del now
    failed, before = _get(row, "failed"), _get(row, "failed_before")
    if before is None or failed is None or failed == before:
        return ""
    return f"{'▲' if failed > before else '▼'}{abs(failed - before):,}"


def failed_trend_words(row: Any, now: datetime) -> str:
    """The same in words."""
    failed, before = _get(row, "failed") or 0, _get(row, "failed_before")
    if not failed_trend(row, now):
        return "" if before is None else _("As many as in the same time before")
    difference = abs(failed - before)
    if failed > before:
        return _("%(count)s more than in the same time before") % {"count": f"{difference:,}"}
    return _("%(count)s fewer than in the same time before") % {"count": f"{difference:,}"}


def stuck_count(row: Any, now: datetime) -> str:
    """How many tasks do not get on."""
    del now
    return f"{(_get(row, 'stuck', 'on_silent_nodes') or 0) + (_get(row, 'stuck', 'overdue') or 0):,}"


def stuck_note(row: Any, now: datetime) -> str:
    """Why they do not."""
    del now
    silent, overdue = _get(row, "stuck", "on_silent_nodes") or 0, _get(row, "stuck", "overdue") or 0
    node = _get(row, "stuck", "node")
    if silent and overdue:
        return _("%(silent)s on silent nodes, %(overdue)s past their deadline") % {
            "silent": f"{silent:,}",
            "overdue": f"{overdue:,}",
        }
    if silent:
        return _("on the silent node %(name)s") % {"name": node} if node else _("on silent nodes")
    return _("running past their deadline") if overdue else _("nothing is stuck")


def stuck_url(row: Any, now: datetime) -> str:
    """Where they are: on one node, on several, or anywhere."""
    del now
    node = _get(row, "stuck", "node")
    if node or not _get(row, "stuck", "on_silent_nodes"):
        return _tasks(state="dispatched,running", node=node or "")
    return reverse("dashboard:nodes")


def stuck_tone(row: Any, now: datetime) -> str:
    """The tone of what is stuck."""
    return "" if stuck_count(row, now) == "0" else "bad"


def oldest_url(row: Any, now: datetime) -> str:
    """What waits in the queue whose first task waits longest."""
    del now
    return _tasks(state="queued", queue=_get(row, "oldest_wait", "queue") or "")


def slots_share(row: Any, now: datetime) -> str:
    """How much of the slots is busy."""
    del now
    busy, total = _get(row, "slots_busy") or 0, _get(row, "slots_total") or 0
    if not total:
        return _("no slots")
    percent = int(busy * 100 / total + 0.5)
    return _("%(percent)s%% of %(total)s slots busy") % {"percent": percent, "total": f"{total:,}"}


def failures_note(row: Any, now: datetime) -> str:
    """How many of the failed tasks the groups are made of, if not of all."""
    del now
    failed = _get(row, "failed") or 0
    shown = sum(_get(group, "count") or 0 for group in _get(row, "failures") or [])
    if shown >= failed:
        return ""
    return _("%(shown)s of %(failed)s: the newest, by their most frequent causes") % {
        "shown": f"{shown:,}",
        "failed": f"{failed:,}",
    }


def failure_url(row: Any, now: datetime) -> str:
    """The failed tasks of the same type and kind of error."""
    del now
    kind = str(_get(row, "error") or "").partition(":")[0]
    return _tasks(state="failed", type=str(_get(row, "type") or ""), q=f"error:{kind}" if _NAME.fullmatch(kind) else "")


OVERVIEW_FORMATS: dict[str, Callable[[Any, datetime], str]] = {
    function.__name__: function
    for function in (
        range_name, range_short, failed_url, failed_trend, failed_trend_words, stuck_count, stuck_note, stuck_url,
        stuck_tone, oldest_url, slots_share, failures_note, failure_url,
    )
}  # fmt: skip

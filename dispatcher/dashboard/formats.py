"""How values look on a page: the server's half of ``static/js/format.js``.

Every function takes a value and the time, and returns text; both halves are held together by
``static/js/tests/format_cases.json``. None is shown as a dash where a figure is expected, and as nothing elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from dispatcher.dashboard.sparks import spark_area, spark_line
from dispatcher.dashboard.terminal import log_text
from dispatcher.dashboard.zones import offset_label

DASH = "\N{EN DASH}"
MINUTE, HOUR, DAY = 60, 3600, 86400
_UNITS_OF_TIME = (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", 1))
SECOND_MS = 1000
#: What encodeURIComponent leaves as it is, beside what quote() does.
UNRESERVED = "!~*'()"
#: From here on, one decimal would be rounded up to a whole minute, or to ten.
ALMOST_MINUTE_MS, ALMOST_TEN = 59_950, 9.95
SMALLEST_SHARE = 0.1

#: What large numbers are counted in: (from here on, size of one).
UNITS = ((1_000_000, 1_000_000), (10_000, 1000))
CHINESE_UNITS = ((100_000_000, 100_000_000), (10_000, 10_000))


def plain(value: Any, now: datetime) -> str:
    """The value as text."""
    del now
    if value is None or value is False:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | Mapping) else str(value)


def as_time(value: Any) -> datetime | None:
    """A time from JSON: ISO 8601 text."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def seconds_since(value: Any, now: datetime) -> float | None:
    """How long ago, in seconds; negative for the future."""
    at = as_time(value)
    return None if at is None else (now - at).total_seconds()


def _in_unit(number: float | str, unit: str) -> str:
    """A number of one unit of time, as narrow as CLDR has it: 5m, 5分钟. The browser's half asks its Intl."""
    told = {
        "ms": _("%(n)sms"),
        "second": _("%(n)ss"),
        "minute": _("%(n)sm"),
        "hour": _("%(n)sh"),
        "day": _("%(n)sd"),
    }[unit]
    return told % {"n": f"{number:,}" if isinstance(number, int) else number}


def span(seconds: float) -> str:
    """A rough length of time in one unit: 12s, 3m, 2h, 5d."""
    whole = int(seconds)
    unit, size = next((one for one in _UNITS_OF_TIME if whole >= one[1]), _UNITS_OF_TIME[-1])
    return _in_unit(whole // size, unit)


def ago(value: Any, now: datetime) -> str:
    """A past time as "3m ago"."""
    seconds = seconds_since(value, now)
    if seconds is None:
        return ""
    return _("just now") if seconds < 1 else _("%(span)s ago") % {"span": span(seconds)}


def due(value: Any, now: datetime) -> str:
    """A coming time as "in 40s"."""
    seconds = seconds_since(value, now)
    if seconds is None:
        return ""
    return _("now") if seconds > -1 else _("in %(span)s") % {"span": span(-seconds)}


def elapsed(value: Any, now: datetime) -> str:
    """The time since, as a length: "3m 12s"."""
    seconds = seconds_since(value, now)
    if seconds is None:
        return ""
    return duration(max(seconds, 0.0) // 1 * 1000, now)


def duration(value: Any, now: datetime) -> str:
    """Milliseconds as a length of time: 12ms, 4.2s, and from a minute on in two units: 3m 12s."""
    del now
    if value is None or value == "":
        return DASH
    ms = float(value)
    if ms < 1:
        return "<" + _in_unit(1, "ms")
    if round(ms) < SECOND_MS:
        return _in_unit(round(ms), "ms")
    if ms < ALMOST_MINUTE_MS:
        return _in_unit(f"{ms / 1000:.1f}".removesuffix(".0"), "second")
    seconds = round(ms / 1000)
    place = next(at for at, (_unit, size) in enumerate(_UNITS_OF_TIME) if seconds >= size)
    (unit, size), (smaller, part) = _UNITS_OF_TIME[place : place + 2]
    first, rest = _in_unit(seconds // size, unit), seconds % size // part
    return _("%(long)s %(short)s") % {"long": first, "short": _in_unit(rest, smaller)} if rest else first


def duration_seconds(value: Any, now: datetime) -> str:
    """Seconds as a length of time."""
    return duration(None if value is None or value == "" else float(value) * 1000, now)


def moment(value: Any, now: datetime) -> str:
    """A time in full, with its zone, that of who reads the page."""
    del now
    at = as_time(value)
    return "" if at is None else f"{(local := timezone.localtime(at)):%Y-%m-%d %H:%M:%S} {offset_label(local)}"


def log_time(value: Any, now: datetime) -> str:
    """The time of day with milliseconds, for log lines."""
    del now
    at = as_time(value)
    return "" if at is None else f"{timezone.localtime(at):%H:%M:%S}.{at.microsecond // 1000:03d}"


def iso(value: Any, now: datetime) -> str:
    """A time for machines: the ``datetime`` attribute."""
    del now
    at = as_time(value)
    return "" if at is None else at.isoformat()


def count(value: Any, now: datetime) -> str:
    """A whole number with thousands separated."""
    del now
    return DASH if value is None or value == "" else f"{round(value):,}"


def compact(value: Any, now: datetime) -> str:
    """A whole number in at most four digits: 12.3k, 1.2M; in Chinese by ten thousands: 1.2万, 120万."""
    if value is None or value == "":
        return ""
    for place, (least, size) in enumerate(CHINESE_UNITS if _is_chinese() else UNITS):
        if value >= least:
            amount = {"amount": f"{value / size:.1f}".removesuffix(".0")}
            return (_("%(amount)sk") if place else _("%(amount)sM")) % amount
    return count(value, now)


def _is_chinese() -> bool:
    return (get_language() or "").startswith("zh")


def rate(value: Any, now: datetime) -> str:
    """A rate: one decimal below ten."""
    if value is None or value == "":
        return DASH
    return f"{value:.1f}".removesuffix(".0") if value < ALMOST_TEN else count(value, now)


def per_second(value: Any, now: datetime) -> str:
    """A number a minute as one a second, with two decimals below one."""
    if value is None or value == "":
        return DASH
    if value >= MINUTE:
        return rate(value / MINUTE, now)
    return f"{value / MINUTE:.2f}".rstrip("0").removesuffix(".")


def percent(value: Any, now: datetime) -> str:
    """A share of one as a percentage."""
    del now
    return "" if value is None or value == "" else f"{int(float(value) * 100 + 0.5)}%"


def share(value: Any, now: datetime) -> str:
    """A share of one as a percentage: one decimal below ten, none of it lost to rounding."""
    del now
    if value is None or value == "":
        return DASH
    percents = float(value) * 100
    if 0 < percents < SMALLEST_SHARE:
        return "<0.1%"
    if percents < ALMOST_TEN:
        return f"{int(percents * 10 + 0.5) / 10:.1f}".removesuffix(".0") + "%"
    return f"{int(percents + 0.5)}%"


def fraction(value: Any, now: datetime) -> str:
    """A share of one for the ``value`` of a progress element."""
    del now
    return "" if value is None or value == "" else f"{float(value):.3f}"


def word(value: Any, now: datetime) -> str:
    """The label of a state, an outcome or a breaker."""
    del now
    return {
        "scheduled": _("Scheduled"),
        "queued": _("Queued"),
        "dispatched": _("Dispatched"),
        "running": _("Running"),
        "retrying": _("Retrying"),
        "cancelling": _("Cancelling"),
        "succeeded": _("Succeeded"),
        "failed": _("Failed"),
        "cancelled": _("Cancelled"),
        "expired": _("Expired"),
        "online": _("Online"),
        "suspect": _("Silent"),
        "offline": _("Offline"),
        "draining": _("Draining"),
        "disabled": _("Disabled"),
        "drained": _("Drained"),
        "breaker": _("Set aside"),
        "trial": _("On trial"),
        "refusing": _("Refuses pushes"),
        "paused": _("Paused"),
        "waiting": _("Waiting"),
        "idle": _("Idle"),
        "timed_out": _("Timed out"),
        "crashed": _("Crashed"),
        "lost": _("Lost"),
        "rejected": _("Rejected"),
        "released": _("Handed back"),
        "superseded": _("Superseded"),
        "closed": _("Closed"),
        "open": _("Open"),
        "half_open": _("Half open"),
    }.get(str(value), str(value) if value else "")


ICONS = {
    "cancelling": "cancel",
    "timed_out": "timer",
    "crashed": "zap",
    "lost": "offline",
    "rejected": "cancelled",
    "released": "retrying",
    "superseded": "cancelled",
    "paused": "pause",
    "waiting": "queued",
    "idle": "check",
    "closed": "online",
    "open": "zap",
    "half_open": "suspect",
    "drained": "check",
    "breaker": "zap",
    "trial": "timer",
    "refusing": "offline-link",
}


def icon(value: Any, now: datetime) -> str:
    """The address of the icon of a state."""
    del now
    return f"{static('icons/icons.svg')}#{ICONS.get(str(value), str(value))}" if value else ""


def task_url(value: Any, now: datetime) -> str:
    """The page of a task."""
    del now
    return reverse("dashboard:tasks") + f"{int(value)}/" if value else ""


def node_url(value: Any, now: datetime) -> str:
    """The page of a node."""
    del now
    return reverse("dashboard:nodes") + quote(str(value), safe=UNRESERVED) + "/" if value else ""


def type_url(value: Any, now: datetime) -> str:
    """The page of a task type."""
    del now
    return reverse("dashboard:types") + quote(str(value), safe=UNRESERVED) + "/" if value else ""


def type_tasks_url(value: Any, now: datetime) -> str:
    """The tasks of a type."""
    del now
    return reverse("dashboard:tasks") + "?type=" + quote(str(value), safe=UNRESERVED) if value else ""


def submit_url(value: Any, now: datetime) -> str:
    """The form for a new task of a type."""
    del now
    return reverse("dashboard:submit") + "?type=" + quote(str(value), safe=UNRESERVED) if value else ""


def queue_url(value: Any, now: datetime) -> str:
    """The page of a queue."""
    del now
    return reverse("dashboard:queues") + quote(str(value), safe=UNRESERVED) + "/" if value else ""


def queue_tasks_url(value: Any, now: datetime) -> str:
    """The tasks of a queue."""
    del now
    return reverse("dashboard:tasks") + "?queue=" + quote(str(value), safe=UNRESERVED) if value else ""


def task_number(value: Any, now: datetime) -> str:
    """A task's id as people write it."""
    del now
    return f"#{value}" if value else ""


def labels(value: Any, now: datetime) -> str:
    """Labels as name=value pairs, tags and queues as words."""
    del now
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={value[name]}" for name in sorted(value))
    return ", ".join(map(str, value)) if value else ""


def tone_bad(value: Any, now: datetime) -> str:
    """The tone of a figure that should be zero."""
    del now
    return "bad" if value else ""


def at_least_one(value: Any, now: datetime) -> str:
    """A number for the ``max`` of a progress element, which must not be zero."""
    del now
    return str(max(int(value or 0), 1))


def or_dash(value: Any, now: datetime) -> str:
    """The value as text, a dash if there is none."""
    return plain(value, now) or DASH


def ago_or_dash(value: Any, now: datetime) -> str:
    """A past time as "3m ago", a dash if there is none."""
    return ago(value, now) or DASH


def elapsed_or_dash(value: Any, now: datetime) -> str:
    """The time since, a dash if there is none."""
    return elapsed(value, now) or DASH


def labels_or_dash(value: Any, now: datetime) -> str:
    """Labels as text, a dash if there are none."""
    return labels(value, now) or DASH


def select_label(value: Any, now: datetime) -> str:
    """What a screen reader calls the box that selects a task."""
    del now
    return _("Select task %s") % value if value else ""


def breaker_title(value: Any, now: datetime) -> str:
    """What the state of a node's circuit breaker means."""
    del now
    return {
        "open": _("Failed too often in a row: it gets no work until the cool-down ends."),
        "half_open": _("The cool-down has ended: one task at a time proves it well again."),
    }.get(str(value), "")


VALUE_FORMATS: dict[str, Callable[[Any, datetime], str]] = {
    function.__name__: function
    for function in (
        plain, or_dash, ago, ago_or_dash, due, elapsed, elapsed_or_dash, duration, duration_seconds, moment, log_time,
        log_text, iso, count, compact, rate, per_second, percent, fraction, word, icon, task_url, node_url,
        queue_tasks_url, queue_url, type_url, type_tasks_url, submit_url, share,
        task_number, labels, labels_or_dash, select_label, breaker_title, spark_line, spark_area, tone_bad,
        at_least_one,
    )
}  # fmt: skip

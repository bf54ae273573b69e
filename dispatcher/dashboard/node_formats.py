"""How nodes look on their pages. The browser's half is ``static/js/node_format.js``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dispatcher.dashboard.formats import DASH, ago, icon, seconds_since, span, word

#: Statuses that the page of a node explains.
EXPLAINED = ("offline", "suspect", "breaker", "trial", "drained", "disabled")
#: The side of a node's square on the map, in its own units.
CELL = 16


def _get(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else None


def drain_note(row: Any, now: datetime) -> str:
    """What a node that drains has left, and how long it may take; nothing once it has nothing."""
    held, until = _get(row, "held") or 0, _get(row, "drain_until")
    if not held or not (_get(row, "intent") == "drain" or _get(row, "draining")):
        return ""
    passed = seconds_since(until, now)
    if passed is None:
        return ngettext("%(n)d left", "%(n)d left", held) % {"n": held}
    if passed >= 0:
        return ngettext("%(n)d left, time is up", "%(n)d left, time is up", held) % {"n": held}
    return ngettext("%(n)d left, %(span)s", "%(n)d left, %(span)s", held) % {"n": held, "span": span(-passed)}


def heartbeat(row: Any, now: datetime) -> str:
    """When a node was last heard from. Large pools do not tell as long as it is on time."""
    told = ago(_get(row, "last_seen_at"), now)
    return told or (_("on time") if _get(row, "state") == "online" else DASH)


def heartbeat_words(row: Any, now: datetime) -> str:
    """The same as a sentence."""
    told = ago(_get(row, "last_seen_at"), now)
    return _("Last heard from %(ago)s") % {"ago": told} if told else _("Not heard from yet")


def slots_words(row: Any, now: datetime) -> str:
    """How many slots are busy, and what waits on the node besides."""
    del now
    facts = {name: _get(row, name) or 0 for name in ("busy", "slots", "waiting_on_node")}
    if facts["waiting_on_node"]:
        return _("%(busy)d of %(slots)d slots busy, %(waiting_on_node)d more wait on the node") % facts
    return _("%(busy)d of %(slots)d slots busy") % facts


def _filled(row: Any) -> float:
    slots = max(int(_get(row, "slots") or 1), 1)
    return round(CELL * min(int(_get(row, "busy") or 0), slots) / slots, 1)


def cell_height(row: Any, now: datetime) -> str:
    """How high the busy part of a node's square is."""
    del now
    return f"{_filled(row):g}"


def cell_top(row: Any, now: datetime) -> str:
    """Where it begins: it grows from the ground."""
    del now
    return f"{round(CELL - _filled(row), 1):g}"


def cell_label(row: Any, now: datetime) -> str:
    """A node's square in words."""
    return _("%(name)s, %(status)s, %(busy)d of %(slots)d slots busy") % {
        "name": _get(row, "name") or "",
        "status": word(_get(row, "status"), now),
        "busy": _get(row, "busy") or 0,
        "slots": _get(row, "slots") or 0,
    }


def cell_mark(row: Any, now: datetime) -> str:
    """The icon in a node's square; none if all is well."""
    status = _get(row, "status")
    return "" if status == "online" else icon(status, now)


def is_calm(value: Any, now: datetime) -> str:
    """Whether a number of nodes is nothing to look at."""
    del now
    return "" if value else "1"


def _unless(status: str) -> Callable[[Any, datetime], str]:
    def hides(value: Any, now: datetime) -> str:
        del now
        return "" if value == status else "1"

    hides.__name__ = f"not_{status}"
    return hides


def is_disabled(row: Any, now: datetime) -> str:
    """Whether an operator took the node out of the pool."""
    del now
    return "1" if _get(row, "intent") == "disabled" else ""


def event_word(value: Any, now: datetime) -> str:
    """What happened to a node."""
    del now
    return {
        "node.registered": _("Came up"),
        "node.online": _("Was heard from again"),
        "node.suspected": _("Fell silent"),
        "node.went_offline": _("Was lost; what it held went to others"),
        "node.draining": _("Drained"),
        "node.resumed": _("Resumed"),
        "node.disabled": _("Disabled"),
        "node.breaker_changed": _("Breaker"),
        "node.held": _("Refused pushes, or asked for a pause"),
        "node.made_up_results": _("Reported ends of attempts that it was never given"),
        "credential.rotation_requested": _("Asked for a new credential"),
    }.get(str(value), str(value) if value else "")


def reason_texts() -> dict[str, str]:
    """The reasons that the dispatcher itself has for what it does to a node; people give others, in words of theirs."""
    return {
        "said.the node is stopping": _("the node is stopping"),
        "said.asked for a pause": _("it asked for a pause"),
        "said.open: by the outcomes of its tasks": _("open, by the outcomes of its tasks"),
        "said.half_open: by the outcomes of its tasks": _("half open, by the outcomes of its tasks"),
        "said.closed: by the outcomes of its tasks": _("closed, by the outcomes of its tasks"),
    }


def event_reason(value: Any, now: datetime) -> str:
    """Why it happened."""
    del now
    return reason_texts().get(f"said.{value}", str(value or ""))


_EVENT_ICONS = {
    "node.registered": "plug",
    "node.online": "online",
    "node.suspected": "suspect",
    "node.went_offline": "offline",
    "node.draining": "draining",
    "node.resumed": "play",
    "node.disabled": "disabled",
    "node.breaker_changed": "zap",
    "node.held": "offline-link",
    "node.made_up_results": "warning",
}


def event_icon(value: Any, now: datetime) -> str:
    """The address of the icon of what happened."""
    return icon(_EVENT_ICONS.get(str(value), "activity"), now) if value else ""


NODE_FORMATS: dict[str, Callable[[Any, datetime], str]] = {
    function.__name__: function
    for function in (
        drain_note, heartbeat, heartbeat_words, slots_words,
        cell_height, cell_top, cell_label, cell_mark, is_calm, is_disabled, event_word,
        event_icon, event_reason, *(_unless(status) for status in EXPLAINED),
    )
}  # fmt: skip

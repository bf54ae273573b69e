"""How tasks, nodes and queues look: formats of whole rows. The browser's half is ``static/js/row_format.js``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dispatcher.dashboard.bulk_formats import BULK_FORMATS
from dispatcher.dashboard.formats import DASH, VALUE_FORMATS, as_time, due, duration, elapsed, icon, moment, word
from dispatcher.dashboard.node_formats import NODE_FORMATS
from dispatcher.dashboard.overview_formats import OVERVIEW_FORMATS
from dispatcher.dashboard.waiting_formats import WAITING_FORMATS

#: Slots are drawn as cells of this width (px); beyond so many, the cells stand for shares of the slots.
CELL_PX, MAX_CELLS = 14, 32
#: Flags (``hidden``) are texts here: anything but nothing is true.
YES, NO = "1", ""


def _get(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else None


def task_state(row: Any, now: datetime) -> str:
    """The word a task's state is shown by: its state, or retrying or cancelling."""
    del now
    state = _get(row, "state") or ""
    if state == "scheduled" and (_get(row, "attempt") or 0) > 0:
        return "retrying"
    if state in {"dispatched", "running"} and _get(row, "cancel_requested"):
        return "cancelling"
    return str(state)


def node_state(row: Any, now: datetime) -> str:
    """The word a node's state is shown by: what the operator wants, where it is alive, or how alive it is."""
    del now
    intent, state = _get(row, "intent"), str(_get(row, "state") or "")
    if intent == "disabled" or state in {"offline", "suspect"}:
        return "disabled" if intent == "disabled" else state
    return "draining" if intent == "drain" or _get(row, "draining") else state


def task_word(row: Any, now: datetime) -> str:
    """The label of a task's state."""
    return word(task_state(row, now), now)


def node_word(row: Any, now: datetime) -> str:
    """The label of a node's state."""
    return word(node_state(row, now), now)


def task_icon(row: Any, now: datetime) -> str:
    """The address of the icon of a task's state."""
    return icon(task_state(row, now), now)


def node_icon(row: Any, now: datetime) -> str:
    """The address of the icon of a node's state."""
    return icon(node_state(row, now), now)


def cells(value: Any, slots: Any) -> float:
    """How many px of cells stand for ``value`` of ``slots``; anything above zero shows at least one cell."""
    total, share = int(slots or 0), float(value or 0)
    if total <= MAX_CELLS:
        return min(share, total) * CELL_PX
    return min(-(-share * MAX_CELLS // total), MAX_CELLS) * CELL_PX


def slots_width(row: Any, now: datetime) -> str:
    """Width of all cells of a node, in px."""
    del now
    return f"{cells(_get(row, 'slots'), _get(row, 'slots')):g}"


def slots_box(row: Any, now: datetime) -> str:
    """What the drawing of the cells shows, so that where they find no room they get narrow instead of being cut."""
    return f"0 0 {slots_width(row, now)} {CELL_PX}"


def busy_width(row: Any, now: datetime) -> str:
    """Width of the cells that run a task, in px."""
    del now
    return f"{cells(_get(row, 'busy'), _get(row, 'slots')):g}"


def slots_note(row: Any, now: datetime) -> str:
    """Busy and all slots in words."""
    del now
    return f"{_get(row, 'busy') or 0}/{_get(row, 'slots') or 0}"


def tone_nodes(row: Any, now: datetime) -> str:
    """The tone of the number of nodes that are online."""
    del now
    online, total = _get(row, "nodes_online") or 0, _get(row, "nodes_total") or 0
    if online >= total:
        return ""
    return "warn" if online else "bad"


def nodes_note(row: Any, now: datetime) -> str:
    """What to say below the number of nodes that are online."""
    del now
    missing = (_get(row, "nodes_total") or 0) - (_get(row, "nodes_online") or 0)
    if missing > 0:
        return _("%d not online") % missing
    return _("all of them") if _get(row, "nodes_total") else _("none has come up yet")


def failure_key(row: Any, now: datetime) -> str:
    """What tells groups of failures apart."""
    del now
    return f"{_get(row, 'type') or ''} {_get(row, 'error') or ''}"


def not_due(row: Any, now: datetime) -> str:
    """Whether a task does not wait for its time."""
    del now
    return NO if _get(row, "state") == "scheduled" and _get(row, "run_at") else YES


def nodes_more(value: Any, now: datetime) -> str:
    """How many nodes are not named."""
    del now
    number = value or 0
    return ngettext("and one more node", "and %(n)d more nodes", number) % {"n": number}


def tries(row: Any, now: datetime) -> str:
    """Attempts that count, of those allowed."""
    del now
    return f"{_get(row, 'counted_attempts') or 0}/{_get(row, 'max_attempts') or 0}"


def waited(row: Any, now: datetime) -> str:
    """How long a task waited for its start, has been waiting, or when it is due."""
    state = _get(row, "state")
    if state == "scheduled":
        return due(_get(row, "run_at"), now)
    if state == "queued":
        return elapsed(_get(row, "queued_at"), now)
    if _get(row, "wait_ms") is None:
        return attempt_waited(_last_attempt(row), now)
    return duration(_get(row, "wait_ms"), now)


def ran_for(row: Any, now: datetime) -> str:
    """How long a task ran, or has been running."""
    if _get(row, "run_ms") is not None:
        return duration(_get(row, "run_ms"), now)
    if _get(row, "state") == "running" and _get(row, "started_at"):
        return elapsed(_get(row, "started_at"), now)
    return attempt_ran(_last_attempt(row), now)


def _last_attempt(row: Any) -> Any:
    """Where there are any: a task that failed within milliseconds has its times on its attempt only."""
    attempts = _get(row, "attempts")
    return attempts[-1] if attempts and _get(row, "finished_at") else None


def _between(start: Any, end: Any, now: datetime) -> str:
    first, last = as_time(start), as_time(end)
    return duration((last - first).total_seconds() * 1000, now) if first and last else DASH


def attempt_waited(row: Any, now: datetime) -> str:
    """How long an attempt waited for its start."""
    return _between(_get(row, "queued_at"), _get(row, "started_at"), now)


def attempt_ran(row: Any, now: datetime) -> str:
    """How long an attempt ran, or has been running."""
    if _get(row, "outcome") == "running":
        return elapsed(_get(row, "started_at"), now)
    return _between(_get(row, "started_at"), _get(row, "ended_at"), now)


def attempt_queued(row: Any, now: datetime) -> str:
    """How long an attempt was ready before it was sent to its node."""
    return _between(_get(row, "queued_at"), _get(row, "dispatched_at"), now)


def attempt_sent(row: Any, now: datetime) -> str:
    """How long an attempt was on its way: sent, and not yet known to have started."""
    if _get(row, "outcome") == "dispatched":
        return elapsed(_get(row, "dispatched_at"), now)
    return _between(_get(row, "dispatched_at"), _get(row, "started_at") or _get(row, "ended_at"), now)


def attempt_backoff(row: Any, now: datetime) -> str:
    """How long after an attempt the next one was due, or will be."""
    ended, due_at = as_time(_get(row, "ended_at")), as_time(_get(row, "retry_at"))
    return _between(ended, due_at, now) if ended and due_at and due_at > ended else DASH


def relation(value: Any, now: datetime) -> str:
    """What another task is to this one."""
    del now
    words = {
        "retry_of": _("This is a retry of"),
        "clone_of": _("This is a clone of"),
        "retry": _("Retried as"),
        "clone": _("Cloned as"),
    }
    return words.get(str(value), "")


def cause(value: Any, now: datetime) -> str:
    """How many failed for the same cause."""
    del now
    number = _get(value, "count") or 0
    if _get(value, "is_more"):
        return _("Same cause: the newest %(n)d failures in the last hour") % {"n": number}
    words = ngettext(
        "Same cause: %(n)d failure in the last hour", "Same cause: %(n)d failures in the last hour", number
    )
    return words % {"n": number}


def breaker_closed(row: Any, now: datetime) -> str:
    """Whether a node's circuit breaker lets work through."""
    del now
    return NO if _get(row, "breaker") in {"open", "half_open"} else YES


def cannot_drain(row: Any, now: datetime) -> str:
    """Whether there is nothing to drain: an operator took the node out already."""
    del now
    return NO if _get(row, "intent") == "run" else YES


def cannot_resume(row: Any, now: datetime) -> str:
    """Whether there is nothing to resume."""
    del now
    return NO if _get(row, "intent") in {"drain", "disabled"} else YES


def queue_state(row: Any, now: datetime) -> str:
    """The word a queue's state is shown by."""
    del now
    if _get(row, "paused"):
        return "paused"
    if _get(row, "active"):
        return "running"
    return "waiting" if _get(row, "depth") else "idle"


def queue_word(row: Any, now: datetime) -> str:
    """The label of a queue's state."""
    return word(queue_state(row, now), now)


def queue_icon(row: Any, now: datetime) -> str:
    """The address of the icon of a queue's state."""
    return icon(queue_state(row, now), now)


def queue_eta(row: Any, now: datetime) -> str:
    """When a queue will be empty at the pace of the last minute."""
    depth = _get(row, "depth") or 0
    if not depth or _get(row, "paused"):
        return DASH
    per_minute = (_get(row, "out_per_minute") or 0) - (_get(row, "in_per_minute") or 0)
    if per_minute > 0:
        return duration(depth / per_minute * 60_000, now)
    return _("∞ ↑ grows") if per_minute else "∞"


def type_nodes_tone(row: Any, now: datetime) -> str:
    """The tone of how many nodes run a type: nobody does."""
    del now
    return "" if _get(row, "nodes_online") else "warn"


def has_tasks(row: Any, now: datetime) -> str:
    """Whether any task was ever submitted, by an overview's counts."""
    del now
    return YES if any((_get(row, "counts") or {}).values()) else NO


def has_no_tasks(row: Any, now: datetime) -> str:
    """The opposite of ``has_tasks``."""
    return NO if has_tasks(row, now) else YES


def event_words(row: Any, now: datetime) -> str:
    """What happened to a task, as a sentence."""
    kind, actor = str(_get(row, "kind") or ""), _get(row, "actor") or ""
    texts = {
        "created": _("Submitted"),
        "created_by": _("Submitted by %(actor)s"),
        "queued": _("Ready: waits for a node"),
        "dispatched": _("Sent to %(node)s"),
        "started": _("Started on %(node)s"),
        "retry_scheduled": _("Next attempt due %(until)s"),
        "cancel_requested": _("Asked to cancel it"),
        "cancel_requested_by": _("%(actor)s asked to cancel it"),
        "cancelled_by": _("Cancelled by %(actor)s"),
        "unmasked_by": _("%(actor)s looked at its secrets"),
    }
    text = (actor and texts.get(f"{kind}_by")) or texts.get(kind)
    facts = {"actor": actor, "node": _get(row, "node") or DASH, "until": moment(_get(row, "until"), now)}
    return text % facts if text else word(kind, now)


_OF_PAGES = NODE_FORMATS | OVERVIEW_FORMATS | BULK_FORMATS | WAITING_FORMATS
FORMATS: dict[str, Callable[[Any, datetime], str]] = VALUE_FORMATS | _OF_PAGES | {
    function.__name__: function
    for function in (
        task_state, node_state, task_word, node_word, task_icon, node_icon, slots_width, slots_box, busy_width,
        slots_note, tone_nodes, nodes_note, failure_key, not_due, nodes_more,
        tries, waited, ran_for, attempt_waited, attempt_ran, attempt_queued, attempt_sent, attempt_backoff,
        relation, cause,
        breaker_closed, cannot_drain, cannot_resume, queue_state, queue_word, queue_icon, queue_eta,
        type_nodes_tone, has_tasks,
        has_no_tasks, event_words,
    )
}  # fmt: skip

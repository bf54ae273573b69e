"""Why a task waits, in the reader's language. The browser's half is ``static/js/waiting_format.js``.

The scheduling core says it in English, for programs; pages make their own sentences of its codes and facts. Only the
page of a task says them: its scripts get the words from the page, not from the tables that all pages load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from dispatcher.dashboard.formats import duration_seconds

#: Flags (``hidden``) are texts here: anything but nothing is true.
_YES, _NO = "1", ""
_KINDS = ("transient", "operator", "impossible")


def waiting_texts() -> dict[str, str]:
    """The words for every code; those with ``.more`` tell of one node or queue what is not the same for others."""
    return {
        "why.comma": _(", "),
        "why.transient": _("{clause}; this passes by itself."),
        "why.operator": _("{clause}; somebody has to act."),
        "why.impossible": _("{clause}; no node that is known can ever run it as declared."),
        "why.besides": _("{said} Besides: {clause}."),
        "why.none": _("No node of {n} can take it: {list}"),
        "why.count": _("{count} {what}"),
        "why.one": _("Node {node}: {what}"),
        "why.open": _("could take it now"),
        "why.queue_paused": _("Queue {queue} is paused"),
        "why.queue_paused.more": _("Queue {queue} is paused ({why})"),
        "why.no_nodes": _("No node has come up yet"),
        "why.queue_not_served": _("not serving queue {queue}"),
        "why.type_not_run": _("not running type {type}"),
        "why.label_missing": _("without label {label}={wanted}"),
        "why.label_differs": _("without label {label}={wanted}"),
        "why.label_differs.more": _("label {label} is {found}, not {wanted}"),
        "why.node_without_slots": _("without slots"),
        "why.node_disabled": _("disabled"),
        "why.node_drained": _("drained by an operator"),
        "why.node_offline": _("offline"),
        "why.node_suspect": _("silent for a while"),
        "why.node_stopping": _("shutting down"),
        "why.node_resting": _("left alone for now"),
        "why.node_resting.more": _("left alone for another {span}"),
        "why.breaker_open": _("set aside after failures"),
        "why.breaker_open.more": _("set aside after failures for another {span}"),
        "why.breaker_trial": _("on trial with one task after failures"),
        "why.node_full": _("full"),
        "why.node_full.more": _("full: {held} tasks on it, {slots} slots"),
    }


def _get(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else None


def not_blocked(row: Any, now: datetime) -> str:
    """Whether nothing but its turn keeps a task waiting: not worth a word, it is over in a moment."""
    del now
    return _NO if _get(_get(row, "waiting"), "kind") in _KINDS else _YES


def waiting_tone(value: Any, now: datetime) -> str:
    """The tone of why a task waits."""
    del now
    return {"operator": "warn", "impossible": "bad"}.get(str(value), "")


def _words(cause: Mapping[str, Any], texts: Mapping[str, str], now: datetime, *, is_one: bool) -> str:
    """What is closed; of one (``is_one``) with what is not the same for others."""
    key, facts = f"why.{cause['code']}", cause["facts"]
    # Without a reason for the pause, or a known end, there is no more to say.
    has_more = is_one and all(facts.get(name, True) for name in ("why", "seconds"))
    text = (texts.get(f"{key}.more") if has_more else None) or texts.get(key)
    span = duration_seconds(facts["seconds"], now) if "seconds" in facts else ""
    return text.format(span=span, **facts) if text else str(cause["text"])


def _clause(causes: list[Mapping[str, Any]], texts: Mapping[str, str], now: datetime) -> str:
    """What the causes have to say together. No full stop."""
    total = sum(cause["nodes"] for cause in causes)
    if total > 1:
        counted = [
            texts["why.count"].format(count=one["nodes"], what=_words(one, texts, now, is_one=False)) for one in causes
        ]
        return texts["why.none"].format(n=total, list=texts["why.comma"].join(counted))
    [cause] = causes
    words = _words(cause, texts, now, is_one=True)
    return texts["why.one"].format(node=cause["facts"]["node"], what=words) if total else words


def waiting_words(value: Any, now: datetime) -> str:
    """Why a task waits and what it takes, in a sentence or two; nothing if it is only not its turn."""
    if _get(value, "kind") not in _KINDS:
        return ""
    texts = waiting_texts()
    said = texts[f"why.{value['kind']}"].format(clause=_clause(value["because"], texts, now))
    if value["besides"]:
        said = texts["why.besides"].format(said=said, clause=_clause(value["besides"], texts, now))
    return said


def obstacles(row: Any, now: datetime) -> str:
    """What keeps a task from a node."""
    texts = waiting_texts()
    said = [_words(reason, texts, now, is_one=True) for reason in _get(row, "reasons") or ()]
    return texts["why.comma"].join(said) or texts["why.open"]


WAITING_FORMATS: dict[str, Callable[[Any, datetime], str]] = {
    function.__name__: function for function in (not_blocked, waiting_tone, waiting_words, obstacles)
}

"""Who did what: the rows of the feed that a person or program asked for."""

from __future__ import annotations

import json
from typing import Any

from dispatcher.models import Change
from dispatcher.queries.shapes import AuditPage, AuditRow
from dispatcher.redaction import redactor

MAX_LIMIT = 500
#: Rows looked through for those of one actor.
WINDOW = 5000
#: Tasks named per row; an action on many is still one row.
MAX_FACTS = 20


def audit_page(*, actor: str = "", after: int | None = None, limit: int = 100) -> AuditPage:
    """The newest actions with an id below ``after``, of one actor or of all. A short page may have a next one."""
    limit = min(max(limit, 1), MAX_LIMIT)
    actions = Change.objects.exclude(actor="").order_by("-id")
    if after is not None:
        actions = actions.filter(id__lt=after)
    if not actor:
        rows = list(actions[: limit + 1])
        following = rows[limit - 1].pk if len(rows) > limit else None
        return AuditPage(rows=[_row(row) for row in rows[:limit]], next=_text(following))
    window = list(actions.values_list("id", "actor")[:WINDOW])
    ids = [pk for pk, who in window if who == actor]
    following = ids[limit - 1] if len(ids) > limit else window[-1][0] if len(window) == WINDOW else None
    found = Change.objects.filter(id__in=ids[:limit]).order_by("-id")
    return AuditPage(rows=[_row(row) for row in found], next=_text(following))


def _row(change: Change) -> AuditRow:
    body: dict[str, Any] = json.loads(redactor().json(change.body))
    facts = {name: value[:MAX_FACTS] if isinstance(value, list) else value for name, value in body.items()}
    return AuditRow(id=str(change.pk), at=change.at, kind=change.kind, actor=change.actor, facts=facts)


def _text(pk: int | None) -> str | None:
    return None if pk is None else str(pk)

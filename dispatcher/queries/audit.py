"""Who did what: the rows of the feed that a person or program asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from dispatcher.models import Change, Node, Queue
from dispatcher.queries.shapes import AuditPage, AuditRow
from dispatcher.redaction import redactor
from dispatcher.states import NodeIntent

MAX_LIMIT: Final = 500
#: Rows looked through for those of one actor or about one kind of thing.
WINDOW: Final = 5000
#: Tasks named per row; an action on many is still one row.
MAX_FACTS: Final = 20

#: What an action can be about → the first words of the events' names.
AREAS: Final[Mapping[str, tuple[str, ...]]] = {
    "tasks": ("tasks", "task"),
    "nodes": ("node",),
    "queues": ("queue",),
    "tokens": ("credential",),
    "accounts": ("account",),
    "bulk": ("bulk",),
    "views": ("view",),
}


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Whose actions, and about what (one of ``AREAS``); "" for all."""

    actor: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        """``ValueError`` for what no action is about."""
        if self.about and self.about not in AREAS:
            raise ValueError(f"about must be one of {', '.join(AREAS)}")

    def match(self, actor: str, kind: str) -> bool:
        """Whether an action counts."""
        return self.actor in ("", actor) and (not self.about or kind.partition(".")[0] in AREAS[self.about])


def audit_page(filters: AuditFilters | None = None, *, after: int | None = None, limit: int = 100) -> AuditPage:
    """The newest actions with an id below ``after``. With filters a short page may have a next one: it says in
    ``searched_to`` down to which action it was looked for.
    """  # fmt: skip
    limit = min(max(limit, 1), MAX_LIMIT)
    actions = _actions()
    if after is not None:
        actions = actions.filter(id__lt=after)
    window = list(actions.values_list("id", "actor", "kind")[:WINDOW])
    wanted = filters or AuditFilters()
    ids = [pk for pk, actor, kind in window if wanted.match(actor, kind)]
    is_cut = len(window) == WINDOW
    following = ids[limit - 1] if len(ids) > limit else window[-1][0] if is_cut else None
    found = Change.objects.filter(id__in=ids[:limit]).order_by("-id")
    searched_to = str(window[-1][0]) if is_cut and len(ids) <= limit else None
    return AuditPage(rows=[_row(row) for row in found], next=_text(following), searched_to=searched_to)


def newest_action(filters: AuditFilters) -> str | None:
    """The id of the newest action among the last ``WINDOW``; None without one."""
    window = _actions().values_list("id", "actor", "kind")[:WINDOW]
    return next((str(pk) for pk, actor, kind in window if filters.match(actor, kind)), None)


def walk_actions(filters: AuditFilters, limit: int) -> Iterator[AuditRow]:
    """The newest actions one by one, at most ``limit`` of them."""
    after, left = None, limit
    while left > 0:
        page = audit_page(filters, after=after, limit=min(left, MAX_LIMIT))
        yield from page["rows"]
        left -= len(page["rows"])
        if page["next"] is None:
            return
        after = int(page["next"])


def recent_actors() -> list[str]:
    """Who did something lately, by name."""
    return sorted(set(_actions().values_list("actor", flat=True)[:WINDOW]))


@dataclass(frozen=True, slots=True)
class Standing:
    """What of the things that actions were about stands as the action left it, and so can be taken back."""

    held_nodes: frozenset[str]
    paused_queues: frozenset[str]


def standing(rows: list[AuditRow]) -> Standing:
    """Of the nodes and queues in these rows."""
    nodes = {str(row["facts"].get("name", "")) for row in rows if row["kind"].startswith("node.")}
    queues = {str(row["facts"].get("queue", "")) for row in rows if row["kind"].startswith("queue.")}
    held = Node.objects.filter(name__in=nodes).exclude(intent=NodeIntent.RUN).values_list("name", flat=True)
    paused = Queue.objects.filter(name__in=queues, paused_at__isnull=False).values_list("name", flat=True)
    return Standing(frozenset(held), frozenset(paused))


def _actions() -> QuerySet[Change]:
    return Change.objects.exclude(actor="").order_by("-id")


def _row(change: Change) -> AuditRow:
    body: dict[str, Any] = json.loads(redactor().json(change.body))
    facts = {name: value[:MAX_FACTS] if isinstance(value, list) else value for name, value in body.items()}
    return AuditRow(
        id=str(change.pk),
        at=change.at,
        kind=change.kind,
        actor=change.actor,
        facts=facts,
        num_tasks=len(body.get("rows", [])),
    )


def _text(pk: int | None) -> str | None:
    return None if pk is None else str(pk)

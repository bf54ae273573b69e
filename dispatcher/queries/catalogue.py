"""Task types: what nodes can run and what was seen."""

from __future__ import annotations

from django.db.models import Count, Q

from dispatcher import task_types
from dispatcher.models import Lane, Node
from dispatcher.queries.shapes import TypeRow
from dispatcher.states import NodeIntent, NodeState


def types() -> list[TypeRow]:
    """All known task types, by name: advertised by nodes that are not offline, or seen on tasks."""
    found: dict[str, TypeRow] = {}
    for name, known in task_types.known().items():
        online = [offer for offer in known.offers if offer.is_online]
        if not online:
            continue
        row = found[name] = _row(name)
        row["description"] = known.newest.description
        row["timeout_seconds"] = known.newest.timeout_seconds
        row["schema"] = known.chosen.schema
        row["nodes"] = sorted(offer.node for offer in online)
        row["versions"] = sorted({offer.word.version for offer in online if offer.word.version})
    for task_type, queue in Lane.objects.values_list("type", "queue").order_by("type", "queue").distinct():
        found.setdefault(task_type, _row(task_type))["queues"].append(queue)
    return [found[name] for name in sorted(found)]


def pool() -> tuple[int, int]:
    """How many nodes are online, and how many of them run any type."""
    alive = Node.objects.exclude(state=NodeState.OFFLINE).exclude(intent=NodeIntent.DISABLED)
    counted = alive.aggregate(all=Count("id"), any=Count("id", filter=Q(types__isnull=True)))
    return counted["all"], counted["any"]


def _row(name: str) -> TypeRow:
    return TypeRow(name=name, description="", timeout_seconds=None, schema=None, nodes=[], versions=[], queues=[])

"""Task types: what nodes can run and what was seen."""

from __future__ import annotations

from dispatcher.models import Lane, Node
from dispatcher.queries.node_rows import type_infos
from dispatcher.queries.shapes import TypeRow
from dispatcher.states import NodeIntent, NodeState


def types() -> list[TypeRow]:
    """All known task types, by name. Two small statements: nodes and lanes are few."""
    found: dict[str, TypeRow] = {}
    nodes = Node.objects.exclude(state=NodeState.OFFLINE).exclude(intent=NodeIntent.DISABLED)
    # The latest start comes last and has the last word.
    for node in nodes.order_by("registered_at", "name"):
        for info in type_infos(node.types) or ():
            row = found.setdefault(info["name"], _row(info["name"]))
            row["description"] = info["description"]
            row["timeout_seconds"] = info["timeout_seconds"]
            row["schema"] = info["schema"]
            row["nodes"].append(node.name)
            if info["version"] and info["version"] not in row["versions"]:
                row["versions"].append(info["version"])
    for task_type, queue in Lane.objects.values_list("type", "queue").order_by("type", "queue").distinct():
        found.setdefault(task_type, _row(task_type))["queues"].append(queue)
    for row in found.values():
        row["nodes"].sort()
        row["versions"].sort()
    return [found[name] for name in sorted(found)]


def _row(name: str) -> TypeRow:
    return TypeRow(name=name, description="", timeout_seconds=None, schema=None, nodes=[], versions=[], queues=[])

"""Tasks that have to do with one: what it was made from, what was made from it, what failed as it did."""

from __future__ import annotations

from datetime import datetime

from dispatcher.queries.failures import failed_alike
from dispatcher.queries.shapes import RelatedTask, SameCause, TaskDetail
from dispatcher.queries.task_rows import task_rows

#: Of those that failed alike; as many as a query can name.
MAX_ALIKE = 50


def related(task: TaskDetail) -> list[RelatedTask]:
    """Those that are still there: first where it comes from, then what came from it, newest first."""
    ids: dict[str, list[str | None]] = {
        "retry_of": [task["retry_of"]],
        "clone_of": [task["clone_of"]],
        "retry": [*task["retries"]],
        "clone": [*task["clones"]],
    }
    relations = {pk: relation for relation, found in ids.items() for pk in found if pk is not None}
    rows = {row["id"]: row for row in task_rows([int(pk) for pk in relations])}
    return [
        RelatedTask(
            id=pk,
            relation=relation,
            state=rows[pk]["state"],
            type=rows[pk]["type"],
            attempt=rows[pk]["attempt"],
            cancel_requested=rows[pk]["cancel_requested"],
            created_at=rows[pk]["created_at"],
        )
        for pk, relation in relations.items()
        if pk in rows
    ]


def same_cause(task: TaskDetail, now: datetime) -> SameCause | None:
    """The failures of the last hour that have the cause of this one, if it is one."""
    if task["state"] != "failed":
        return None
    ids = failed_alike(task["type"], task["error"], now, limit=MAX_ALIKE + 1)
    named = ids[:MAX_ALIKE]
    if not named or named == [int(task["id"])]:
        return None
    return SameCause(count=len(named), is_more=len(ids) > MAX_ALIKE, query="id:" + ",".join(map(str, named)))

"""Activity: who did what, in words, with the way to take it back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from dispatcher.dashboard.csv_text import csv_answer
from dispatcher.dashboard.views import page_of
from dispatcher.queries import AuditFilters, audit_page
from dispatcher.queries.audit import AREAS, Standing, recent_actors, standing, walk_actions
from dispatcher.queries.shapes import AuditRow
from dispatcher.states import TaskState

PAGE_SIZE: Final = 50
#: Tasks that are linked to; the others are counted.
SHOWN_TASKS: Final = 5
MAX_EXPORTED: Final = 10_000
_MAX_ID: Final = 2**63 - 1
_MAX_CHARS: Final = 150

_AREA_NAMES: Final = {
    "tasks": gettext_lazy("Tasks"),
    "nodes": gettext_lazy("Nodes"),
    "queues": gettext_lazy("Queues"),
    "tokens": gettext_lazy("Tokens"),
    "accounts": gettext_lazy("Accounts"),
    "bulk": gettext_lazy("Bulk actions"),
    "views": gettext_lazy("Views"),
}
_ICONS: Final = {
    "tasks": "tasks",
    "nodes": "nodes",
    "queues": "queues",
    "tokens": "lock",
    "accounts": "user",
    "bulk": "tasks",
    "views": "tasks",
}
_WORDS: Final = {
    "tasks.changed": gettext_lazy("Changed"),
    "tasks.cancel_requested": gettext_lazy("Asked to stop"),
    "task.unmasked": gettext_lazy("Looked at the secrets of"),
    "node.draining": gettext_lazy("Drained the node"),
    "node.resumed": gettext_lazy("Resumed the node"),
    "node.disabled": gettext_lazy("Disabled the node"),
    "queue.created": gettext_lazy("Made the queue"),
    "queue.paused": gettext_lazy("Paused the queue"),
    "queue.resumed": gettext_lazy("Resumed the queue"),
    "queue.edited": gettext_lazy("Changed the queue"),
    "credential.issued": gettext_lazy("Made the token"),
    "credential.revoked": gettext_lazy("Revoked the token"),
    "credential.rotation_requested": gettext_lazy("Asked for new credentials of the node"),
    "account.created": gettext_lazy("Made the account"),
    "account.edited": gettext_lazy("Changed the account"),
    "account.deleted": gettext_lazy("Deleted the account"),
    "bulk.paused": gettext_lazy("Paused the bulk action"),
    "bulk.resumed": gettext_lazy("Resumed the bulk action"),
    "bulk.cancelled": gettext_lazy("Stopped the bulk action"),
    "view.saved": gettext_lazy("Saved the view"),
    "view.edited": gettext_lazy("Changed the view"),
    "view.deleted": gettext_lazy("Deleted the view"),
}


@dataclass(frozen=True, slots=True)
class Undo:
    """A request to the REST API that takes the action back as far as that is possible."""

    label: str
    path: str
    body: str = "{}"


@dataclass(frozen=True, slots=True)
class Told:
    """An action as the page shows it."""

    row: AuditRow
    icon: str
    words: str
    #: (text, address or "")
    objects: list[tuple[str, str]] = field(default_factory=list)
    more: str = ""
    reason: str = ""
    undo: Undo | None = None


def told(row: AuditRow, now: Standing) -> Told:
    """The action in words. One that a newer version wrote is told by its name."""
    area = next((name for name, heads in AREAS.items() if row["kind"].partition(".")[0] in heads), "")
    return Told(
        row,
        icon=_ICONS.get(area, "activity"),
        words=_words(row),
        objects=_objects(row, area),
        more=_more(row),
        reason=str(row["facts"].get("query") or row["facts"].get("reason", "")),
        undo=_undo(row, now),
    )


def _words(row: AuditRow) -> str:
    if _made_tasks(row):
        return _("Submitted again as")
    if row["kind"] == "bulk.started":
        is_retry = row["facts"].get("action") == "retry"
        return _("Began to retry all that match") if is_retry else _("Began to cancel all that match")
    return _("Cancelled") if _cancelled_tasks(row) else str(_WORDS.get(row["kind"], row["kind"]))


def _made_tasks(row: AuditRow) -> bool:
    return row["kind"] == "tasks.changed" and all(moved[1] is None for moved in row["facts"]["rows"])


def _cancelled_tasks(row: AuditRow) -> bool:
    return row["kind"] == "tasks.changed" and all(moved[2] == TaskState.CANCELLED for moved in row["facts"]["rows"])


def _objects(row: AuditRow, area: str) -> list[tuple[str, str]]:
    facts = row["facts"]
    if area == "tasks":
        found = [facts["task_id"]] if "task_id" in facts else _task_ids(row)[:SHOWN_TASKS]
        return [(f"#{pk}", reverse("dashboard:task", args=[pk])) for pk in found]
    if area == "queues":
        name = str(facts.get("queue", ""))
        return [(name, f"{reverse('dashboard:tasks')}?{urlencode({'queue': name})}")]
    if area == "nodes" or row["kind"] == "credential.rotation_requested":
        name = str(facts.get("name", ""))
        return [(name, reverse("dashboard:node", args=[name]))] if name else []
    if area == "tokens":
        label = str(facts.get("label", ""))
        return [(f"{facts.get('prefix', '')}… {label}".strip(), "")]
    if area == "bulk":
        return [(f"#{facts['job_id']}", reverse("dashboard:bulk_job", args=[facts["job_id"]]))]
    return [(str(facts.get("name", "")), "")]


def _task_ids(row: AuditRow) -> list[int]:
    return [int(moved[0]) for moved in row["facts"].get("rows", [])]


def _more(row: AuditRow) -> str:
    more = row["num_tasks"] - SHOWN_TASKS
    return ngettext("and %(n)d more", "and %(n)d more", more) % {"n": more} if more > 0 else ""


def _undo(row: AuditRow, now: Standing) -> Undo | None:
    """Only where the thing still stands as the action left it, and no more tasks are meant than the row names."""
    facts = row["facts"]
    if row["kind"] in ("node.draining", "node.disabled") and facts.get("name") in now.held_nodes:
        return Undo(_("Resume the node"), f"nodes/{quote(facts['name'], safe='')}/resume", '{"reason": ""}')
    if row["kind"] == "queue.paused" and facts.get("queue") in now.paused_queues:
        return Undo(_("Resume the queue"), f"queues/{quote(facts['queue'], safe='')}/resume")
    n = row["num_tasks"]
    if _cancelled_tasks(row) and n == len(_task_ids(row)):
        label = ngettext("Submit it again", "Submit them again", n)
        return Undo(label, "tasks/retry", json.dumps({"ids": [str(pk) for pk in _task_ids(row)]}))
    return None


def _asked(request: HttpRequest) -> AuditFilters:
    """The filters in the address; ``ValueError`` for what makes no sense."""
    actor, about = request.GET.get("who", ""), request.GET.get("about", "")
    if len(actor) > _MAX_CHARS or "\x00" in actor:
        raise ValueError(_("No name is like that."))
    if about and about not in AREAS:
        raise ValueError(_("There is no such kind of thing."))
    return AuditFilters(actor, about)


def _after(request: HttpRequest) -> int | None:
    text = request.GET.get("after", "")
    is_id = text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_ID))
    return min(int(text), _MAX_ID) if is_id else None


def _query(filters: AuditFilters, **more: str) -> str:
    params = {"who": filters.actor, "about": filters.about} | more
    return urlencode({name: value for name, value in params.items() if value})


@login_required
@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """What people and programs did on purpose, newest first."""
    error, filters = "", AuditFilters()
    try:
        filters = _asked(request)
    except ValueError as problem:
        error = str(problem)
    after = _after(request)
    page = audit_page(filters, after=after, limit=PAGE_SIZE)
    now = standing(page["rows"])
    return page_of(
        request,
        "activity",
        "activity",
        status=HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK,
        rows=[told(row, now) for row in page["rows"]],
        filters=filters,
        filter_error=error,
        actors=recent_actors(),
        areas=list(_AREA_NAMES.items()),
        after=after,
        query=_query(filters),
        next_query=_query(filters, after=page["next"]) if page["next"] else "",
        searched_to=page["searched_to"],
    )


@login_required
@require_safe
def activity_export(request: HttpRequest) -> HttpResponse:
    """The same as CSV, at most the newest ``MAX_EXPORTED`` actions."""
    try:
        filters = _asked(request)
    except ValueError as problem:
        return HttpResponse(str(problem), status=HTTPStatus.BAD_REQUEST, content_type="text/plain; charset=utf-8")
    return csv_answer("activity.csv", _rows(filters))


def _rows(filters: AuditFilters) -> Iterator[Sequence[Any]]:
    yield ["id", "at", "who", "what", "facts"]
    for row in walk_actions(filters, MAX_EXPORTED):
        yield [row["id"], row["at"], row["actor"], row["kind"], json.dumps(row["facts"], ensure_ascii=False)]

"""Counts, figures over time, and the change feed in pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from dispatcher import queries
from dispatcher.api.problems import FieldError, Problem, invalid
from dispatcher.api.views import ApiView, answer, known_params, known_text, page_limit, whole_number
from dispatcher.models import Change
from dispatcher.redaction import redactor
from dispatcher.scopes import Scope

#: On PostgreSQL an id may appear after a larger one. A page ends before a gap in the ids while it may yet be filled.
SETTLED_AFTER: Final = timedelta(seconds=10)

_MAX_POSITION: Final = 2**63 - 1


class CountsView(ApiView):
    """``/counts``."""

    reads = Scope.TASKS_READ

    def get(self, request: Request) -> HttpResponse:
        """Tasks per state."""
        known_params(request.query_params)
        return answer(queries.live_counts().totals())


class SeriesView(ApiView):
    """``/series``."""

    reads = Scope.TASKS_READ

    def get(self, request: Request) -> HttpResponse:
        """Figures over time: what charts show, of everything, of one queue, of one type or of one node.

        The last hour, another ``range``, or ``from`` and ``to``. Steps are the shortest that give 120 points at most.
        """
        params = known_params(request.query_params, "range", "from", "to", "queue", "type", "node")
        queue, kind, node = (known_text(params, name) for name in ("queue", "type", "node"))
        given = [name for name, value in (("queue", queue), ("type", kind), ("node", node)) if value]
        if len(given) > 1:
            raise invalid([FieldError(f"cannot be given together with {given[0]}", given[1])])
        now = self.now
        try:
            span = queries.parse_range(params, now)
        except queries.RangeError as error:
            raise invalid([FieldError(error.message, error.name)]) from None
        if not node:
            return answer(queries.time_series(span, now, queries.Subject(queue, kind)))
        series = queries.node_series(node, span)
        if series is None:
            raise Problem(404, "There is no such node.")
        return answer(series)


class ChangesView(ApiView):
    """``/changes``: what happened, oldest first. ``audited=true``: only what someone did."""

    reads = Scope.TASKS_READ

    def get(self, request: Request) -> HttpResponse:
        """The changes above ``after``; ask again with ``next``. ``next`` does not move when there is nothing new."""
        params = known_params(request.query_params, "after", "limit", "audited")
        after = whole_number(params, "after", 0, most=_MAX_POSITION)
        audited = params.get("audited", "false")
        if audited not in ("true", "false"):
            raise invalid([FieldError("must be true or false", "audited")])
        limit = page_limit(params)
        changes = list(Change.objects.filter(id__gt=after).order_by("id")[:limit])
        changes = _settled(changes, after, self.now)
        return answer(
            {
                "changes": [
                    {
                        "id": str(change.pk),
                        "at": change.at,
                        "kind": change.kind,
                        "actor": change.actor,
                        "facts": msgspec.Raw(redactor().json(change.body).encode()),
                    }
                    for change in changes
                    if change.actor or audited == "false"
                ],
                "next": str(changes[-1].pk if changes else after),
            }
        )


def _settled(changes: list[Change], after: int, now: datetime) -> list[Change]:
    """The changes up to the first gap that a transaction still open may fill."""
    expected = after + 1
    for place, change in enumerate(changes):
        # A gap before the first row of a reader that starts somewhere in the past is the work of the pruner.
        if change.pk != expected and now - change.at < SETTLED_AFTER and (place or after):
            return changes[:place]
        expected = change.pk + 1
    return changes

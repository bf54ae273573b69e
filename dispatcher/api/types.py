"""Task types: what there is, who runs it, how it goes, by which schema payloads are checked."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from dispatcher import queries
from dispatcher.api.problems import Problem
from dispatcher.api.views import ApiView, answer, known_params
from dispatcher.scopes import Scope


class TypesView(ApiView):
    """``/types``."""

    reads = Scope.TASKS_READ

    def get(self, request: Request) -> HttpResponse:
        """All task types that nodes advertise or tasks have, with their last hour."""
        known_params(request.query_params)
        return answer(queries.types_document(self.now))


class TypeView(ApiView):
    """``/types/{name}``; a name may hold slashes."""

    reads = Scope.TASKS_READ

    def get(self, request: Request, name: str) -> HttpResponse:
        """The schema of its payloads, the nodes that run it by version, and its last hour minute by minute."""
        known_params(request.query_params)
        detail = queries.type_detail(name, self.now)
        if detail is None:
            raise Problem(404, "There is no task type of that name.")
        return answer(detail)

"""``/openapi.json``: this API as an OpenAPI document."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from dispatcher.api.views import ApiView, answer, known_params
from dispatcher.scopes import Scope


class DocumentView(ApiView):
    """``/openapi.json``. Asks for what the commonest reads ask for: no door is open to everybody."""

    reads = Scope.TASKS_READ

    def get(self, request: Request) -> HttpResponse:
        """This document, for programs that make clients of it."""
        # Reads the addresses, of which this is one.
        from dispatcher.api.openapi.document import document

        known_params(request.query_params)
        return answer(document())

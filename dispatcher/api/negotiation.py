"""The answer is JSON, whatever the request asks for."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class AlwaysJson(BaseContentNegotiation):
    """No choice to make, and no 406 to give."""

    def select_parser(self, _request: Request, _parsers: Any) -> None:
        """No parser of the framework: bodies are read through the guard."""

    def select_renderer(self, _request: Request, renderers: Any, _format_suffix: Any = None) -> Any:
        """The only one."""
        return renderers[0], renderers[0].media_type

"""``manage.py openapi``: print the OpenAPI document of the REST API."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from dispatcher.api.openapi.document import document


class Command(BaseCommand):
    """For generators of clients; takes neither a database nor a token."""

    help = "Print the OpenAPI document of the REST API."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print it, as JSON."""
        self.stdout.write(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode())

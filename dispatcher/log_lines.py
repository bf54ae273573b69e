"""How web tier and engine write their logs: see ``workers.log_lines``."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from dispatcher.redaction import redactor
from workers.log_lines import SafeFormatter
from workers.redaction import Redactor

FORMAT = "{asctime} {levelname:<7} {name}: {message}"


def formatter() -> SafeFormatter:
    """The formatter of every handler; for ``settings.LOGGING``."""
    return SafeFormatter(FORMAT, style="{", redactor=_redactor)


def _redactor() -> Redactor:
    try:
        return redactor()
    except ImproperlyConfigured:
        # What is wrong with the settings is just being logged.
        return Redactor()

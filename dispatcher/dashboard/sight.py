"""How much of a task somebody at a page sees."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from dispatcher import lifecycle, roles
from dispatcher.redaction import Sight


def asked_sight(request: HttpRequest, task_id: int | None) -> Sight:
    """How a task is shown: an operator may ask for its secrets (``?unmasked=true``), which goes on record."""
    if not task_id or request.GET.get("unmasked") != "true" or not roles.may_operate(request.user):
        return Sight.MASKED
    lifecycle.note_unmasked(task_id, actor=request.user.get_username(), now=timezone.now())
    return Sight.ALL

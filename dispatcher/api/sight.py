"""Who sees a task with its secrets: operators who ask for it, and the program that submitted it."""

from __future__ import annotations

from django.http import QueryDict
from rest_framework.request import Request

from dispatcher import lifecycle, roles
from dispatcher.api.problems import FieldError, Problem, invalid
from dispatcher.api.views import ApiView
from dispatcher.models import Credential, Task
from dispatcher.models.task import parse_task_id
from dispatcher.redaction import Sight


def asked_sight(view: ApiView, task_id: str, params: QueryDict) -> Sight:
    """How the request may see the task: ``unmasked=true`` takes an operator and goes on record.

    A token whose account submitted the task, and may submit, gets payload and result as they are without asking: they
    are what it sent and what it waits for. Errors and log lines are words of the node, and stay masked.
    """
    wish = params.get("unmasked", "false")
    if wish not in ("true", "false"):
        raise invalid([FieldError("must be true or false", "unmasked")])
    number = parse_task_id(task_id)
    owners = Task.objects.filter(pk=number).values_list("submitted_by", flat=True) if number else ()
    owner = next(iter(owners), None)
    if owner is None:
        return Sight.MASKED
    if wish == "true":
        return _unmasked(view, number or 0)
    return Sight.OWN if _is_program(view.request) and owner == view.actor else Sight.MASKED


def _unmasked(view: ApiView, number: int) -> Sight:
    if not roles.may_operate(view.request.user):
        raise Problem(403, "Seeing secrets takes the role of an operator.")
    lifecycle.note_unmasked(number, actor=view.actor, now=view.now)
    return Sight.ALL


def _is_program(request: Request) -> bool:
    """Whether the caller came with a token that may submit, not with a browser's session."""
    return isinstance(request.auth, Credential) and roles.may_operate(request.user)

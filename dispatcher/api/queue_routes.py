"""Queues: list, make, edit, pause, resume."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request

from dispatcher import queries, queues
from dispatcher.api.nodes import read_reason
from dispatcher.api.problems import STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.validation import LINE, NAME, name_error, text_error
from dispatcher.api.views import ApiView, answer, known_name, known_params
from dispatcher.models import Queue
from dispatcher.scheduling.policies import POLICIES
from dispatcher.scheduling.snapshot import DEFAULT_POLICY
from dispatcher.scopes import Scope

_Description = Annotated[str, msgspec.Meta(max_length=200), LINE]
_Policy = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(POLICIES)})]


class NewQueue(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A queue to make."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100), NAME]
    policy: _Policy = DEFAULT_POLICY
    description: _Description = ""


class QueueEdit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a queue; what is left out stays."""

    policy: _Policy | None = None
    description: _Description | None = None


_new_queue = msgspec.json.Decoder(NewQueue)
_queue_edit = msgspec.json.Decoder(QueueEdit)


class QueuesView(ApiView):
    """``/queues``."""

    reads = Scope.TASKS_READ
    writes = Scope.OPERATE

    body_required = True

    def get(self, request: Request) -> HttpResponse:
        """All queues with their depth and rates."""
        known_params(request.query_params)
        return answer({"queues": queries.queues(self.now)})

    def post(self, _request: Request) -> HttpResponse:
        """Make a queue. 409 if there is one of that name."""
        wanted = self.read(_new_queue)
        _check(policy=wanted.policy, description=wanted.description, name=wanted.name)
        if Queue.objects.filter(name=wanted.name).exists():
            raise Problem(409, f"There is a queue called {wanted.name} already.", type=STATE_CONFLICT)
        queue = queues.create(
            wanted.name, policy=wanted.policy, description=wanted.description, actor=self.actor, now=self.now
        )
        return answer(_document(queue), status=201, headers={"Location": reverse("api:queue", args=[queue.name])})


class QueueView(ApiView):
    """``/queues/{name}``."""

    reads = Scope.TASKS_READ
    writes = Scope.OPERATE

    body_required = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """The queue with its depth and rates, as in the list."""
        known_params(request.query_params)
        known_name(name)
        row = next((row for row in queries.queues(self.now) if row["name"] == name), None)
        if row is None:
            raise queues.UnknownQueue(name)
        return answer(row)

    def patch(self, _request: Request, name: str) -> HttpResponse:
        """Change the policy or the description."""
        wanted = self.read(_queue_edit)
        _check(policy=wanted.policy, description=wanted.description)
        queue = queues.edit(
            known_name(name), policy=wanted.policy, description=wanted.description, actor=self.actor, now=self.now
        )
        return answer(_document(queue))


class PauseView(ApiView):
    """``/queues/{name}/pause``."""

    writes = Scope.OPERATE

    def post(self, _request: Request, name: str) -> HttpResponse:
        """Hand out no more tasks of the queue. Repeating it changes nothing."""
        reason = read_reason(self)
        return answer(_document(queues.pause(known_name(name), reason=reason, actor=self.actor, now=self.now)))


class ResumeView(ApiView):
    """``/queues/{name}/resume``."""

    writes = Scope.OPERATE

    def post(self, _request: Request, name: str) -> HttpResponse:
        """Hand out tasks again."""
        read_reason(self)
        return answer(_document(queues.resume(known_name(name), actor=self.actor, now=self.now)))


def _check(*, policy: _Policy | None, description: str | None, name: str | None = None) -> None:
    found = [
        ("name", "" if name is None else name_error(name)),
        ("policy", "" if policy is None or policy in POLICIES else f"must be one of {', '.join(sorted(POLICIES))}"),
        ("description", text_error(description or "")),
    ]
    if errors := [FieldError(message, field) for field, message in found if message]:
        raise invalid(errors)


def _document(queue: Queue) -> dict[str, Any]:
    paused = None
    if queue.paused_at is not None:
        paused = {"by": queue.paused_by, "reason": queue.pause_reason, "since": queue.paused_at}
    return {"name": queue.name, "policy": queue.policy, "description": queue.description, "paused": paused}

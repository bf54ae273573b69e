"""Nodes as people see and steer them, and enrolment tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from dispatcher import credentials, node_registry, queries
from dispatcher.api.problems import STATE_CONFLICT, FieldError, Problem, invalid
from dispatcher.api.validation import LINE, text_error
from dispatcher.api.views import ApiView, NoFields, answer, known_name, known_params
from dispatcher.models import Node
from dispatcher.scopes import Scope

#: An enrolment token lives this long unless it is asked for longer, in seconds; and at most a year.
DEFAULT_ENROLMENT_SECONDS: Final = 24 * 3600.0
MAX_ENROLMENT_SECONDS: Final = 366 * 86400.0
MAX_ENROLMENT_USES: Final = 1000
#: The longest deadline of a drain, in seconds: what a task may run at most.
MAX_DRAIN_SECONDS: Final = 7 * 86400.0


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    """Why an operator does it; shown to the others."""

    reason: Annotated[str, msgspec.Meta(max_length=200), LINE] = ""


class DrainRequest(Reason, forbid_unknown_fields=True):
    """Why, how long it may take, and what becomes of what outlasts that."""

    #: Without one the node takes as long as it takes.
    deadline_seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_DRAIN_SECONDS)] | None = None
    #: At the deadline: hand back what still runs, so that it starts anew elsewhere, or leave it.
    hand_back: bool = True


class EnrolmentRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an enrolment token shall be good for."""

    label: Annotated[str, msgspec.Meta(max_length=100), LINE] = ""
    uses: Annotated[int, msgspec.Meta(ge=1, le=MAX_ENROLMENT_USES)] = 1
    expires_in_seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_ENROLMENT_SECONDS)] = DEFAULT_ENROLMENT_SECONDS


reason_decoder = msgspec.json.Decoder(Reason)
_drain = msgspec.json.Decoder(DrainRequest)
_no_fields = msgspec.json.Decoder(NoFields)
_enrolment = msgspec.json.Decoder(EnrolmentRequest)

#: What an operator can want of a node, by the last part of the address.
ACTIONS: Final[dict[str, Callable[..., list[Node]]]] = {
    "drain": node_registry.drain,
    "resume": node_registry.resume,
    "disable": node_registry.disable,
}


class NodesView(ApiView):
    """``/nodes``."""

    reads = Scope.NODES_READ

    def get(self, request: Request) -> HttpResponse:
        """All nodes with their load."""
        known_params(request.query_params)
        return answer({"nodes": queries.nodes(self.now)})


class NodeView(ApiView):
    """``/nodes/{name}``."""

    reads = Scope.NODES_READ

    def get(self, request: Request, name: str) -> HttpResponse:
        """Everything about one node."""
        known_params(request.query_params)
        detail = queries.node_detail(known_name(name), self.now)
        if detail is None:
            raise Problem(404, "There is no such node.")
        return answer(detail)


class NodeActionView(ApiView):
    """``/nodes/{name}/drain``, ``/resume``, ``/disable``."""

    writes = Scope.OPERATE

    def post(self, _request: Request, name: str, action: str) -> HttpResponse:
        """Say what is wanted of the node. Repeating it changes nothing."""
        wanted: Reason = self.read(_drain) if action == "drain" else self.read(reason_decoder)
        reason = _checked(wanted)
        node = Node.objects.filter(name=known_name(name)).first()
        if node is None:
            raise Problem(404, "There is no such node.")
        more = {"deadline": _deadline(wanted)} if isinstance(wanted, DrainRequest) else {}
        changed = ACTIONS[action]([node], reason=reason, actor=self.actor, now=self.now, **more)
        node.refresh_from_db()
        return answer(
            {
                "name": node.name,
                "state": node.state,
                "intent": node.intent,
                "reason": node.intent_reason,
                "drain_until": node.drain_until,
                "hands_back": node.hands_back,
                "changed": bool(changed),
            }
        )


def _deadline(wanted: DrainRequest) -> node_registry.Deadline | None:
    if wanted.deadline_seconds is None:
        return None
    return node_registry.Deadline(wanted.deadline_seconds, wanted.hand_back)


class RotateView(ApiView):
    """``/nodes/{name}/rotate``."""

    writes = Scope.ADMIN

    def post(self, _request: Request, name: str) -> HttpResponse:
        """Let the node fetch a new credential with its next heartbeat. 409 if it has none that is good."""
        self.read(_no_fields)
        node = Node.objects.filter(name=known_name(name)).first()
        if node is None:
            raise Problem(404, "There is no such node.")
        asked = credentials.request_rotation(node, actor=self.actor, now=self.now)
        if not asked:
            raise Problem(409, "This node has no credential that is good: nothing to rotate.", type=STATE_CONFLICT)
        return answer({"name": node.name, "credentials": asked})


class EnrolmentTokensView(ApiView):
    """``/nodes/enrolment-tokens``."""

    writes = Scope.ADMIN

    def post(self, _request: Request) -> HttpResponse:
        """A new token, shown this once."""
        wanted = self.read(_enrolment)
        if error := text_error(wanted.label):
            raise invalid([FieldError(error, "label")])
        now = self.now
        expires_at = now + timedelta(seconds=wanted.expires_in_seconds)
        token = credentials.issue_enrolment_token(
            label=wanted.label, uses=wanted.uses, expires_at=expires_at, actor=self.actor, now=now
        )
        return answer({"token": token, "uses": wanted.uses, "expires_at": expires_at}, status=201)


def read_reason(view: ApiView) -> str:
    """The reason in the body of a view's request; "" if it names none."""
    return _checked(view.read(reason_decoder))


def _checked(wanted: Reason) -> str:
    reason = wanted.reason.strip()
    if error := text_error(reason):
        raise invalid([FieldError(error, "reason")])
    return reason

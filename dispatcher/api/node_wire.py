"""The routes that nodes call: register, heartbeat, results. Messages as in ``workers.protocol``."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Any, cast

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from dispatcher import credentials, node_registry
from dispatcher.api import node_intake
from dispatcher.api.authentication import EnrollingNodeAuthentication, NodeAuthentication
from dispatcher.api.permissions import IsNode
from dispatcher.api.problems import Problem
from dispatcher.api.views import ApiView, NoFields, answer
from dispatcher.conf import conf
from dispatcher.models import Credential, Node
from dispatcher.models.clock import database_now
from dispatcher.overload.buckets import Buckets
from workers import protocol

_buckets = Buckets()
_register = msgspec.json.Decoder(protocol.Register)
_heartbeat = msgspec.json.Decoder(protocol.Heartbeat)
_no_fields = msgspec.json.Decoder(NoFields)


class NodeRoute(ApiView):
    """Base of the routes for nodes. Who calls is known from the credential alone."""

    authentication_classes = (NodeAuthentication,)
    permission_classes = (IsNode,)
    body_required = True
    #: Of ``max_node_requests_per_second``, for this route.
    share = 1.0

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Hold a node that floods to its share: of the others' time, and of the body only its headers were read."""
        super().initial(request, *args, **kwargs)
        rate = conf().max_node_requests_per_second * self.share
        wait = _buckets.take((self.credential.pk, self.share), rate=rate, burst=2 * rate, now=time.monotonic())
        if wait:
            raise Problem(429, f"More than {rate:g} requests a second.", headers={"Retry-After": str(math.ceil(wait))})

    @property
    def credential(self) -> Credential:
        """What the node shows."""
        return cast("Credential", self.request.auth)

    @property
    def node(self) -> Node:
        """The calling node; only on routes that take no enrolment tokens."""
        return cast("Node", self.credential.node)


class LeaseRoute(NodeRoute):
    """Base of the routes that renew a node's lease."""

    share = 0.1

    @property
    def now(self) -> datetime:
        """The time of this request on the clock that leases are measured by."""
        return database_now()


class RegisterView(LeaseRoute):
    """``/nodes/register``: the node's program has started. With an enrolment token the node is let in first."""

    authentication_classes = (EnrollingNodeAuthentication,)

    def post(self, _request: Request) -> HttpResponse:
        """The node's push key and intervals, and its credential if it was let in just now."""
        message = node_intake.receive(self.http, _register)
        node_intake.check_registration(message)
        node, credential = node_intake.admit(message, self.credential, now=self.now)
        return answer(node_registry.registered(node, credential=credential))


class HeartbeatView(LeaseRoute):
    """``/nodes/heartbeat``: the node lives. 409 asks it to register first."""

    def post(self, _request: Request) -> HttpResponse:
        """What the node shall do."""
        message = node_intake.tidy_heartbeat(node_intake.receive(self.http, _heartbeat))
        return answer(node_registry.heartbeat(message, node=self.node, credential=self.credential, now=self.now))


class CredentialView(NodeRoute):
    """``/nodes/credential``: the node was told by a heartbeat to renew its credential."""

    body_required = False

    def post(self, _request: Request) -> HttpResponse:
        """Another credential and push key. The old ones are good until the new credential has been used for a while."""
        self.read(_no_fields)
        token, key = credentials.renew(self.credential, node=self.node, now=self.now)
        return answer(protocol.Renewed(credential=token, push_key=key))


class ResultsView(NodeRoute):
    """``/nodes/results``: what happened since the last report."""

    def post(self, _request: Request) -> HttpResponse:
        """A verdict for every result, and what the node shall stop."""
        report = node_intake.receive_report(self.http)
        return answer(node_intake.record(report, node=self.node, now=self.now))

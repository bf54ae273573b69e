"""Who calls: a person's or program's API token, a browser's session, or a node's own credential.

A request that brings a token is judged by that token alone; a session counts only without one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from dispatcher import credentials, throttle
from dispatcher.api.problems import CHALLENGE
from dispatcher.models import Credential
from dispatcher.states import NodeIntent

#: How to come by another, by kind.
_ANOTHER: Final = {
    Credential.Kind.API: "Make another on the page /tokens/ or by manage.py api_token create.",
    Credential.Kind.ENROLMENT: "Make another by manage.py node_token enrol.",
    Credential.Kind.NODE: "Make another by manage.py node_token create NAME.",
}


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser's session; whatever changes something needs the CSRF token as well."""

    def enforce_csrf(self, request: Request) -> None:
        """Check on Django's own request: asking the framework's for a form field would make it parse the body."""
        super().enforce_csrf(cast("Request", request._request))  # noqa: SLF001 - as the framework itself does


class TokenAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer tdk_…``: the rights of the account that the token belongs to."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, Credential] | None:
        """The account and the token; None if the request brings no token. A bad one is 401, another kind 403."""
        credential = _credential(request)
        if credential is None:
            return None
        if credential.kind != Credential.Kind.API:
            raise PermissionDenied(
                f"This route takes API tokens (tdk_…); a token of the kind {credential.kind} was given."
            )
        user = credential.user
        if user is None or not user.is_active:
            raise AuthenticationFailed("The account of this token is not active.")
        return user, credential

    def authenticate_header(self, _request: Request) -> str:
        """The challenge of a 401."""
        return CHALLENGE


class NodeAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer tdn_…``: a node, known by its credential and by nothing that it says in the body."""

    kinds: tuple[str, ...] = (Credential.Kind.NODE,)
    #: Whether an enrolment token that has been used passes: a node whose answer was lost comes with it again.
    takes_used = False

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Credential] | None:
        """Nobody's account, and the credential with its node. 401: a bad token; 403: another kind, a disabled node."""
        credential = _credential(request, takes_used=self.takes_used)
        if credential is None:
            return None
        if credential.kind not in self.kinds:
            raise PermissionDenied(
                f"This route takes node credentials (tdn_…); a token of the kind {credential.kind} was given."
            )
        node = credential.node
        if node is not None and node.intent == NodeIntent.DISABLED:
            raise PermissionDenied(f"The node {node.name} is disabled. An operator has to resume it.")
        return AnonymousUser(), credential

    def authenticate_header(self, _request: Request) -> str:
        """The challenge of a 401."""
        return CHALLENGE


class EnrollingNodeAuthentication(NodeAuthentication):
    """Also lets in enrolment tokens (``tde_…``), with which a node gets its credential."""

    kinds = (Credential.Kind.NODE, Credential.Kind.ENROLMENT)
    takes_used = True


def _credential(request: Request, *, takes_used: bool = False) -> Credential | None:
    """The live credential that the request names; None if it names none."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed("Authorize with: Authorization: Bearer <token>.")
    token, now = token.strip(), timezone.now()
    credential = credentials.find(token)
    if credential is None:
        _count_failure(request, now)
        kind = credentials.KINDS.get(token[:4], Credential.Kind.API)
        raise AuthenticationFailed(f"The token is unknown; was it copied whole? {_ANOTHER[kind]}")
    if reason := credentials.why_ended(credential, now):
        if takes_used and credential.revoked_at is None and (credential.expires_at or now) >= now:
            return credential
        _count_failure(request, now)
        kind = Credential.Kind(credential.kind)
        raise AuthenticationFailed(f"The token {credential.prefix}… {reason}. {_ANOTHER[kind]}")
    credentials.touch(credential, now=now)
    return credential


def _count_failure(request: Request, now: datetime) -> None:
    """429 in place of 401 once an address has sent too many bad tokens. Good ones from there are not touched."""
    seconds = throttle.take(throttle.token_limits(request._request), now=now)  # noqa: SLF001 - Django's own request
    if seconds:
        raise Throttled(seconds, "Too many requests with a bad token came from this address.")

"""The only writer of credentials: issue, check, revoke. A token is shown once; only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, transaction
from django.db.models import F

from dispatcher import events, faults
from dispatcher.models import Change, Credential, Node

PREFIXES = {Credential.Kind.API: "tdk_", Credential.Kind.ENROLMENT: "tde_", Credential.Kind.NODE: "tdn_"}
_KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}
#: 256 bits, as URL-safe text.
_SECRET_BYTES = 32
#: Longer than any token that was ever issued.
_MAX_TOKEN_CHARS = 100
#: Characters of a token that are stored and shown to recognise it by.
_SHOWN = 12
#: ``last_used_at`` is written at most this often per token.
_TOUCH_EVERY = timedelta(minutes=1)
#: After a time that it could not be written, none is tried for so long.
_TOUCH_PAUSE_SECONDS = 10.0
_no_touch_before = 0.0


def issue_api_token(
    *, user: AbstractBaseUser, label: str, actor: str, now: datetime, expires_at: datetime | None = None
) -> str:
    """A token with the rights of ``user`` for the REST API."""
    return _issue(Credential.Kind.API, label=label, actor=actor, now=now, user=user, expires_at=expires_at)


def issue_enrolment_token(
    *,
    label: str,
    actor: str,
    now: datetime,
    uses: int = 1,
    expires_at: datetime | None = None,
    node: Node | None = None,
) -> str:
    """A token with which ``uses`` nodes (or this one) may join and get a credential of their own."""
    return _issue(
        Credential.Kind.ENROLMENT, label=label, actor=actor, now=now, uses_left=uses, expires_at=expires_at, node=node
    )


def issue_node_credential(*, node: Node, actor: str, now: datetime) -> str:
    """A credential for this node; earlier ones stay valid. ``node_registry.issue_credential`` makes the node, too."""
    return _issue(Credential.Kind.NODE, label=node.name, actor=actor, now=now, node=node)


def authenticate(token: str, *, now: datetime) -> Credential | None:
    """The live credential behind a token, with its user or node; None if it is unknown, expired or revoked."""
    kind = _KINDS.get(token[:4])
    if kind is None or len(token) > _MAX_TOKEN_CHARS:
        return None
    # Every request passes here: one look by the unique digest, the join that this kind needs, the rest in Python.
    owner = "user" if kind == Credential.Kind.API else "node"
    credential = next(iter(Credential.objects.select_related(owner).filter(digest=_digest(token))), None)
    if credential is None or credential.kind != kind or not _is_live(credential, now):
        return None
    if credential.last_used_at is None or now - credential.last_used_at > _TOUCH_EVERY:
        _touch(credential, now)
    return credential


def _touch(credential: Credential, now: datetime) -> None:
    """Note the use. Only a note: a disk that is full or a table that is locked must not keep anybody from reading."""
    global _no_touch_before  # noqa: PLW0603 - of the process: after a failure nobody waits for the next one
    if time.monotonic() < _no_touch_before:
        return
    try:
        Credential.objects.filter(pk=credential.pk).update(last_used_at=now)
    except DatabaseError as error:
        if faults.outage(error) is None:
            raise
        _no_touch_before = time.monotonic() + _TOUCH_PAUSE_SECONDS


def _is_live(credential: Credential, now: datetime) -> bool:
    return (
        credential.revoked_at is None
        and (credential.expires_at is None or credential.expires_at > now)
        and (credential.uses_left is None or credential.uses_left > 0)
    )


def use_once(credential: Credential) -> bool:
    """Take one use of an enrolment token; False if none was left. Call inside the transaction that enrols."""
    return Credential.objects.filter(pk=credential.pk, uses_left__gt=0).update(uses_left=F("uses_left") - 1) == 1


def revoke(credential: Credential, *, actor: str, now: datetime) -> None:
    """Take the token back. A second time changes nothing."""
    with transaction.atomic():
        if Credential.objects.filter(pk=credential.pk, revoked_at__isnull=True).update(revoked_at=now):
            event = events.CredentialRevoked(
                credential_kind=credential.kind, prefix=credential.prefix, label=credential.label
            )
            Change.objects.append(event, now=now, actor=actor)


def revoke_node(node: Node, *, actor: str, now: datetime) -> int:
    """Take back all credentials of a node; returns how many there were."""
    live = list(Credential.objects.filter(node=node, kind=Credential.Kind.NODE, revoked_at__isnull=True))
    for credential in live:
        revoke(credential, actor=actor, now=now)
    return len(live)


def push_key(node: Node) -> str:
    """The key with which requests to this node are signed. Derived from the server's secret, stored nowhere."""
    material = f"taskdist push key, node {node.pk}"
    return hmac.new(settings.SECRET_KEY.encode(), material.encode(), hashlib.sha256).hexdigest()


def _issue(kind: Credential.Kind, *, label: str, actor: str, now: datetime, **fields: Any) -> str:
    token = PREFIXES[kind] + secrets.token_urlsafe(_SECRET_BYTES)
    prefix = token[:_SHOWN]
    with transaction.atomic():
        Credential.objects.create(
            kind=kind, prefix=prefix, digest=_digest(token), label=label, created_at=now, **fields
        )
        event = events.CredentialIssued(credential_kind=kind, prefix=prefix, label=label)
        Change.objects.append(event, now=now, actor=actor)
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

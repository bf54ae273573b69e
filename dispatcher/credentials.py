"""The only writer of credentials: issue, check, revoke. A token is shown once; only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext

from dispatcher import events, faults, roles, scopes
from dispatcher.conf import conf
from dispatcher.models import Change, Credential, Node
from dispatcher.scopes import Scope

PREFIXES: Final = {Credential.Kind.API: "tdk_", Credential.Kind.ENROLMENT: "tde_", Credential.Kind.NODE: "tdn_"}
KINDS: Final = {prefix: kind for kind, prefix in PREFIXES.items()}
#: 256 bits, as URL-safe text.
_SECRET_BYTES: Final = 32
#: Longer than any token that was ever issued.
_MAX_TOKEN_CHARS: Final = 100
#: Characters of a token that are stored and shown to recognise it by.
_SHOWN: Final = 12
#: ``last_used_at`` is written at most this often per token.
_TOUCH_EVERY: Final = timedelta(minutes=1)
#: After a time that it could not be written, none is tried for so long.
_TOUCH_PAUSE_SECONDS: Final = 10.0
_no_touch_before = 0.0


class ScopeRefused(ValueError):
    """A token was asked for with scopes that the role of its account does not allow, or with none."""


class RenewalRefused(Exception):
    """The node was not asked to renew this credential, or has another in its place already."""


def issue_api_token(
    *,
    user: AbstractBaseUser,
    label: str,
    actor: str,
    now: datetime,
    wanted: Iterable[Scope] | None = None,
    expires_at: datetime | Literal["default"] | None = "default",
) -> str:
    """A token for the REST API in the name of ``user``. ``wanted`` None: all scopes that the account's role allows.

    ``expires_at`` None: never. Raises ``ScopeRefused``.
    """
    allowed = roles.scopes_of(user)
    given = allowed if wanted is None else frozenset(wanted)
    if beyond := given - allowed:
        raise ScopeRefused(f"the role of {user.get_username()} does not allow {scopes.join(beyond)}")
    if wanted is not None and not given:
        raise ScopeRefused("a token needs at least one scope")
    if expires_at == "default":
        expires_at = now + timedelta(days=conf().api_token_days)
    text = scopes.join(given)
    return _issue(Credential.Kind.API, label=label, actor=actor, now=now, user=user, expires_at=expires_at, scopes=text)


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


def issue_node_credential(
    *, node: Node, actor: str, now: datetime, obtained_with: Credential | None = None, push_key_version: int = 0
) -> str:
    """A credential for this node; earlier ones stay valid. ``node_registry.issue_credential`` makes the node, too."""
    days = conf().node_credential_days
    return _issue(
        Credential.Kind.NODE,
        label=node.name,
        actor=actor,
        now=now,
        node=node,
        obtained_with=obtained_with,
        push_key_version=push_key_version or node.push_key_version,
        renew_at=now + timedelta(days=days) if days else None,
    )


def find(token: str) -> Credential | None:
    """The credential behind a token, with its user or node, live or not; None if it is unknown."""
    kind = KINDS.get(token[:4])
    if kind is None or len(token) > _MAX_TOKEN_CHARS or not token.isascii():
        return None
    # Every request passes here: one look by the unique digest, the join that this kind needs, the rest in Python.
    owner = "user" if kind == Credential.Kind.API else "node"
    credential = next(iter(Credential.objects.select_related(owner).filter(digest=_digest(token))), None)
    return credential if credential is not None and credential.kind == kind else None


def why_ended(credential: Credential, now: datetime) -> str:
    """Why it opens nothing any more, to go after "the token"; "" if it is live."""
    if credential.revoked_at is not None:
        return gettext("was revoked")
    if credential.expires_at is not None and credential.expires_at <= now:
        return gettext("expired at %(time)s") % {"time": f"{credential.expires_at:%Y-%m-%d %H:%M} UTC"}
    return gettext("has been used") if credential.uses_left is not None and credential.uses_left <= 0 else ""


def authenticate(token: str, *, now: datetime) -> Credential | None:
    """The live credential behind a token, with its user or node; None if it is unknown, expired, revoked or used up."""
    credential = find(token)
    if credential is None or why_ended(credential, now):
        return None
    touch(credential, now=now)
    return credential


def touch(credential: Credential, *, now: datetime) -> None:
    """It was used just now. With the first use of a renewed credential the one before it begins to end.

    Only a note: a disk that is full or a table that is locked must not keep anybody from reading.
    """
    global _no_touch_before  # noqa: PLW0603 - of the process: after a failure nobody waits for the next one
    seen = credential.last_used_at
    if (seen is not None and now - seen <= _TOUCH_EVERY) or time.monotonic() < _no_touch_before:
        return
    try:
        _note_use(credential, now)
    except DatabaseError as error:
        if faults.outage(error) is None:
            raise
        _no_touch_before = time.monotonic() + _TOUCH_PAUSE_SECONDS


def _note_use(credential: Credential, now: datetime) -> None:
    with transaction.atomic():
        Credential.objects.filter(pk=credential.pk).update(last_used_at=now)
        is_first = credential.last_used_at is None
        if is_first and credential.node_id is not None and credential.obtained_with_id is not None:
            ends_at = now + timedelta(seconds=conf().credential_overlap_seconds)
            asked = _live(credential.node_id).filter(renew_at__lte=now).exclude(pk=credential.pk)
            asked.filter(Q(expires_at=None) | Q(expires_at__gt=ends_at)).update(expires_at=ends_at)


def use_once(credential: Credential, *, now: datetime) -> bool:
    """Take one use of an enrolment token; False if none is left. Call inside the transaction that enrols.

    Looks at everything anew: the token may have been revoked since it was shown.
    """
    is_live = Q(expires_at=None) | Q(expires_at__gt=now)
    rows = Credential.objects.filter(is_live, pk=credential.pk, uses_left__gt=0, revoked_at=None)
    return rows.update(uses_left=F("uses_left") - 1) == 1


def take_back_unused(credential: Credential, *, name: str, now: datetime) -> Node | None:
    """The node called ``name`` that was let in by this enrolment token and never used what it got, which is revoked.

    The answer to its enrolment was lost: it asks again with all it has. None if there is no such node, or the token
    itself is no longer good. Call inside the transaction that enrols.
    """
    # Held until the end of the transaction: of two such requests the second finds what the first has made.
    held = Credential.objects.select_for_update().get(pk=credential.pk)
    if held.revoked_at is not None or (held.expires_at is not None and held.expires_at <= now):
        return None
    given = Credential.objects.select_related("node").filter(obtained_with=held, node__name=name, revoked_at=None)
    unused = given.filter(last_used_at=None).first()
    if unused is None:
        return None
    revoke(unused, actor=f"enrolment {credential.prefix}", now=now)
    return unused.node


def request_rotation(node: Node, *, actor: str, now: datetime) -> int:
    """Ask the node to fetch new credentials and a new push key; returns how many of its credentials are to be renewed.

    Nothing ends by that alone: the node hears of it with its next heartbeat, and the old credential is good until
    ``credential_overlap_seconds`` after the new one was first used.
    """
    with transaction.atomic():
        asked = _live(node.pk).exclude(expires_at__lte=now).update(renew_at=now)
        if asked:
            Change.objects.append(events.RotationRequested(node_id=node.pk, name=node.name), now=now, actor=actor)
    return asked


def is_to_be_renewed(credential: Credential, now: datetime) -> bool:
    """Whether its node shall fetch another in its place. An answer that was lost does not end this; a use does."""
    return credential.renew_at is not None and credential.renew_at <= now and credential.expires_at is None


def renew(credential: Credential, *, node: Node, now: datetime) -> tuple[str, str]:
    """A new credential and push key for the node in place of this credential. Raises ``RenewalRefused``.

    May be repeated until the new one has been used: what an earlier call gave is revoked, its answer was lost.
    """
    with transaction.atomic():
        held = Credential.objects.select_for_update().get(pk=credential.pk)
        successors = list(Credential.objects.filter(obtained_with=held, revoked_at=None))
        if not is_to_be_renewed(held, now) or any(one.last_used_at is not None for one in successors):
            raise RenewalRefused
        for one in successors:
            revoke(one, actor=f"node {node.name}", now=now)
        version = node.push_key_version + 1
        token = issue_node_credential(
            node=node, actor=f"node {node.name}", now=now, obtained_with=held, push_key_version=version
        )
    return token, push_key(node, version=version)


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
    return _revoke_all(_live(node.pk), actor, now)


def revoke_tokens_of(user: AbstractBaseUser, *, actor: str, now: datetime) -> int:
    """Take back all API tokens of an account; returns how many there were."""
    rows = Credential.objects.filter(kind=Credential.Kind.API, user_id=user.pk, revoked_at=None)
    return _revoke_all(rows, actor, now)


def push_key(node: Node, *, version: int = 0) -> str:
    """The key with which requests to this node are signed. Derived from the server's secret, stored nowhere.

    ``version`` 0: the one in use, which is the newest that the node is known to have.
    """
    number = version or node.push_key_version
    # The first has no number: nodes of earlier versions of the dispatcher go on with it.
    material = f"taskdist push key, node {node.pk}" + (f", version {number}" if number > 1 else "")
    return hmac.new(settings.SECRET_KEY.encode(), material.encode(), hashlib.sha256).hexdigest()


def _live(node_id: int) -> QuerySet[Credential]:
    return Credential.objects.filter(node_id=node_id, kind=Credential.Kind.NODE, revoked_at=None)


def _revoke_all(rows: QuerySet[Credential], actor: str, now: datetime) -> int:
    with transaction.atomic():
        live = list(rows)
        for credential in live:
            revoke(credential, actor=actor, now=now)
    return len(live)


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

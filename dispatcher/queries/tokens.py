"""API tokens as people see them in lists."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from dispatcher import credentials
from dispatcher.models import Credential

#: Lists end here: nobody reads further, and nobody makes so many by hand.
MAX_TOKENS = 500


class ApiTokenRow(TypedDict):
    """One token. ``ended``: why it opens nothing any more, "" while it does."""

    id: int
    prefix: str
    user: str
    label: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    ended: str


def api_tokens(now: datetime, *, user: Any = None, with_ended: bool = False) -> list[ApiTokenRow]:
    """Tokens, newest first, at most ``MAX_TOKENS``; those of one account, or of all."""
    rows = Credential.objects.filter(kind=Credential.Kind.API).select_related("user").order_by("-id")
    if user is not None:
        rows = rows.filter(user=user)
    if not with_ended:
        rows = rows.filter(revoked_at=None).exclude(expires_at__lte=now)
    return [
        ApiTokenRow(
            id=row.pk,
            prefix=row.prefix,
            user=str(row.user),
            label=row.label,
            scopes=row.scopes,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            ended=credentials.why_ended(row, now),
        )
        for row in rows[:MAX_TOKENS]
    ]

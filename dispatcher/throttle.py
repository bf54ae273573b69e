"""How often something may be tried: counted in the database, so that all web processes count together.

A try is counted before it is made. Counting only what has failed would let through whatever is tried at the same time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest

from dispatcher.conf import conf
from dispatcher.models import Throttle

WINDOW: Final = timedelta(minutes=1)
#: Failed sign-ins from one address under any names, in relation to those under one name.
ADDRESS_FACTOR: Final = 10
#: Addresses of IPv6 that count as one: a home or a machine has so many of them for itself.
_IPV6_PREFIX: Final = 64
#: Refusals kept in memory, so that a flood of what is refused anyway costs no writes.
_MAX_KNOWN: Final = 10_000

_refused_until: dict[str, datetime] = {}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries of this kind by these within ``WINDOW``."""

    kind: str
    parts: tuple[str, ...]
    most: int

    @property
    def key(self) -> str:
        """What it is counted under."""
        return hashlib.sha256("\0".join((self.kind, *self.parts)).encode("utf-8", "replace")).hexdigest()


def sign_in_limits(request: HttpRequest, name: str) -> list[Limit]:
    """What a sign-in under this name counts against."""
    address, most = client_address(request), conf().login_failures_per_minute
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    return [
        Limit("sign-in from", (address,), most * ADDRESS_FACTOR),
        Limit("sign-in", (address, folded), most),
    ]


def token_limits(request: HttpRequest) -> list[Limit]:
    """What a request with a token that is no good counts against."""
    return [Limit("token", (client_address(request),), conf().token_failures_per_minute)]


def take(limits: Sequence[Limit], *, now: datetime) -> float:
    """Count a try against all limits; 0.0 if it may be made, else the seconds to wait.

    The first limit that is reached ends the counting: a try that is refused is not counted against the others.
    """
    for limit in limits:
        until = _refused_until.get(limit.key)
        if until is not None and until > now:
            return (until - now).total_seconds()
        ends_at = _count(limit, now)
        if ends_at is not None:
            _remember(limit.key, ends_at, now)
            return max(1.0, (ends_at - now).total_seconds())
    return 0.0


def forgive(limits: Sequence[Limit]) -> None:
    """The try was a good one: take it back, and all earlier ones under the last, narrowest limit."""
    *wide, narrow = limits
    with transaction.atomic():
        for limit in wide:
            Throttle.objects.filter(pk=limit.key, count__gt=0).update(count=F("count") - 1)
        Throttle.objects.filter(pk=narrow.key).delete()
    _refused_until.pop(narrow.key, None)


def client_address(request: HttpRequest) -> str:
    """The address that a request comes from; for IPv6 its network. "" where that is unknown (a Unix socket).

    ``X-Forwarded-For`` counts only as far as our own proxies wrote it: anybody can send one.
    """
    address = str(request.META.get("REMOTE_ADDR") or "")
    proxies = conf().num_proxies
    hops = [hop.strip() for hop in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    if 0 < proxies <= len(hops) and _parsed(hops[-proxies]) is not None:
        address = hops[-proxies]
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, _IPV6_PREFIX), strict=False))
    return address[:100]


def prune(*, now: datetime, limit: int) -> int:
    """Delete counts whose window has ended; how many."""
    keys = list(Throttle.objects.filter(ends_at__lte=now).values_list("pk", flat=True)[:limit])
    return Throttle.objects.filter(pk__in=keys, ends_at__lte=now).delete()[0]


def forget() -> None:
    """Empty what this process remembers."""
    _refused_until.clear()


def _count(limit: Limit, now: datetime) -> datetime | None:
    """Count one try; the end of the window if it is one too many."""
    for _ in range(3):
        with transaction.atomic():
            row = Throttle.objects.select_for_update().filter(pk=limit.key).first()
            if row is not None:
                if row.ends_at <= now:
                    row.ends_at, row.count = now + WINDOW, 0
                row.count += 1
                if row.count > limit.most:
                    return row.ends_at
                row.save(update_fields=["ends_at", "count"])
                return None
        try:
            with transaction.atomic():
                Throttle.objects.create(key=limit.key, ends_at=now + WINDOW, count=1)
            return None
        except IntegrityError:
            # Another process made the row, or deletes it, at this moment.
            continue
    return now + WINDOW


def _remember(key: str, ends_at: datetime, now: datetime) -> None:
    if len(_refused_until) >= _MAX_KNOWN:
        for known in [known for known, until in _refused_until.items() if until <= now] or list(_refused_until):
            _refused_until.pop(known, None)
    _refused_until[key] = ends_at


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None

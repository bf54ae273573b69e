"""Whether the person behind a websocket is still signed in: looked up anew for as long as the socket is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest

#: How often it is looked up, in seconds. With the pause between two looks at the socket that makes 20.
SESSION_CHECK_SECONDS = 15.0
#: How often the socket looks whether that is due, and whether frames are acknowledged.
WATCH_SECONDS = 5.0
#: Longest wait for one answer of the database.
LOOKUP_SECONDS = 4.0
#: A socket whose session could not be looked up for so long is closed: it must not outlast the database that says no.
LIMIT_SECONDS = 30.0

logger = logging.getLogger(__name__)


class SessionGuard:
    """Of one socket, whose session was good at ``now``, on a monotonic clock."""

    def __init__(self, look_up: Callable[[], Awaitable[bool]], now: float) -> None:
        self._look_up = look_up
        self._good_at = now

    async def is_over(self, clock: Callable[[], float]) -> bool | None:
        """True if the session has ended; None if nobody can say for so long that the socket has to end as well."""
        if clock() - self._good_at < SESSION_CHECK_SECONDS:
            return False
        began = clock()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                is_good = await self._look_up()
        except Exception:
            # The database is away: ask again in a moment, if there is time for that.
            logger.warning("live: could not look up a session, trying again", exc_info=True)
            unknown = clock() - self._good_at
            return None if unknown + WATCH_SECONDS + LOOKUP_SECONDS > LIMIT_SECONDS else False
        if is_good:
            # As of the question: what ended while it was on its way is seen the next time.
            self._good_at = began
        return not is_good


@database_sync_to_async  # type: ignore[untyped-decorator]  # channels has no types
def is_signed_in(scope: Mapping[str, Any]) -> bool:
    """Look up the session anew: it may have ended, the user been switched off, or the password been changed."""
    key = scope["session"].session_key if "session" in scope else None
    if not key:
        return False
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = auth.get_user(request)
    return user.is_authenticated and user.is_active

"""Whether this process lives, and whether the installation can work. No credentials, and no more said than that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Final

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from dispatcher.api.problems import Problem, respond
from dispatcher.api.views import answer
from dispatcher.models import EngineProcess
from dispatcher.models.schema import pending_migrations

logger = logging.getLogger(__name__)

#: An engine counts as running when it was heard from within this time.
ENGINE_SILENCE: Final = timedelta(seconds=30)

_migrated = False


def _read_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """GET and HEAD; anything else is 405. Exempt, or the middleware would answer by a page about cookies."""

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return respond(Problem(405, f'Method "{request.method}" not allowed.', headers={"Allow": "GET, HEAD"}))
        return view(request)

    return checked


@_read_only
def live(_request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers."""
    return answer({"status": "ok"})


@_read_only
def ready(_request: HttpRequest) -> HttpResponse:
    """200 if the database answers, its tables are up to date and an engine works; 503 with what is missing."""
    looks = {
        "database": _database_answers,
        "migrations": _is_migrated,
        "engine": _engine_runs,
        "engine loops": _engine_works,
    }
    missing = ""
    for name, look in looks.items():
        try:
            if look():
                continue
        except (DatabaseError, InterfaceError):
            logger.warning("not ready: %s", name, exc_info=True)
        missing = name
        break
    if missing:
        return answer({"status": "unavailable", "missing": missing}, status=503, headers={"Retry-After": "1"})
    return answer({"status": "ok"})


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone())


def _is_migrated() -> bool:
    """Whether no migration is missing. Looked up until it is so once: tables do not go back while a process runs."""
    global _migrated  # noqa: PLW0603 - what this process has seen
    if not _migrated:
        _migrated = not pending_migrations()
    return _migrated


def _engine_runs() -> bool:
    return _engines().exists()


def _engine_works() -> bool:
    """Whether all loops of at least one engine come round: a process that is there may still do nothing."""
    now = timezone.now()
    return any(not engine.late_loops(now) for engine in _engines())


def _engines() -> QuerySet[EngineProcess]:
    return EngineProcess.objects.filter(last_seen_at__gte=timezone.now() - ENGINE_SILENCE)

"""Settings: how one person likes the pages, who they are here, what stays how long, and how the installation does."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from dispatcher import queries, roles
from dispatcher.dashboard import preferences
from dispatcher.dashboard.views import page_of
from dispatcher.dashboard.zones import known_zones
from dispatcher.live.version import VERSION


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Another language from now on, and back to where the form stood. Also for who has not signed in yet."""
    response = HttpResponseRedirect(_back(request, "/"))
    _keep_language(response, request.POST.get("language", ""))
    return response


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """The page, and what its form and the small ones of the top bar send: any of the preferences."""
    if request.method != "POST":
        return _page(request)
    given = {name: request.POST[name].strip() for name in preferences.NAMES if name in request.POST}
    zone = given.get("zone", "")
    if zone:
        given["zone"] = {name.lower(): name for name in known_zones()}.get(zone.lower(), "")
        if not given["zone"]:
            return _page(request, status=400, wrong_zone=zone[:100])
    response = HttpResponseRedirect(_back(request, reverse("dashboard:settings") + "?saved"))
    preferences.keep(response, preferences.preferences_of(request).with_some(given))
    _keep_language(response, request.POST.get("language", ""))
    return response


def _back(request: HttpRequest, otherwise: str) -> str:
    """Where the form stood, if that is here."""
    address = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if is_ours else otherwise


def _keep_language(response: HttpResponse, code: str) -> None:
    if code not in dict(settings.LANGUAGES):
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite="Lax",
        secure=settings.LANGUAGE_COOKIE_SECURE,
    )


def _page(request: HttpRequest, *, status: int = 200, wrong_zone: str = "") -> HttpResponse:
    now = timezone.now()
    may_operate = roles.may_operate(request.user)
    installation = queries.installation(now)
    return page_of(
        request,
        "settings",
        "settings",
        status=status,
        role=_role(request),
        fields=_choices(request),
        zones=sorted(known_zones()),
        zone=wrong_zone or preferences.preferences_of(request).zone,
        wrong_zone=wrong_zone,
        is_saved="saved" in request.GET,
        retention=_retention(installation["kept_days"]),
        version=VERSION,
        # Hosts and process numbers are for those who look after them.
        installation=installation if may_operate else None,
        hints=_hints(installation) if may_operate else [],
    )


def _role(request: HttpRequest) -> tuple[str, str]:
    """The role of the account, and what it may do."""
    if roles.may_administer(request.user):
        return _("Administrator"), _("May do everything, hand out tokens and manage accounts.")
    if roles.may_operate(request.user):
        return _("Operator"), _("May submit, retry and cancel tasks, pause queues and drain nodes.")
    return _("Viewer"), _("May look at everything. To change something takes the operator role.")


def _choices(request: HttpRequest) -> list[dict[str, Any]]:
    """The preferences that are chosen among a few, as groups of options: (value, label, whether it is in force)."""
    chosen = preferences.preferences_of(request)
    groups: list[tuple[str, str, str, list[tuple[str, str]]]] = [
        ("theme", _("Theme"), "", [("", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]),
        ("density", _("Density"), "", [("", _("Comfortable")), ("compact", _("Compact"))]),
        (
            "keys",
            _("Single-letter keys"),
            _("Off for speech input, or if you press keys by accident."),
            [("", _("On")), ("off", _("Off"))],
        ),
        (
            "announce",
            _("Announcements"),
            _("What screen readers are told of changes, at most every ten seconds."),
            [("", _("All")), ("failures", _("Failures only")), ("off", _("Off"))],
        ),
        (
            "pace",
            _("Live updates"),
            _("How often figures and rows change on the screen."),
            [("", _("As they come")), ("1", _("Every second")), ("5", _("Every 5 seconds"))],
        ),
    ]
    return [
        {
            "name": name,
            "title": title,
            "hint": hint,
            "options": [(value, label, getattr(chosen, name) == value) for value, label in options],
        }
        for name, title, hint, options in groups
    ]


def _retention(kept_days: dict[str, float]) -> list[tuple[str, str, str]]:
    """What stays how long: its name, the time, the variable that says so."""
    names = {
        "keep_tasks_days": _("Finished tasks with results and logs"),
        "keep_feed_days": _("The change feed"),
        "keep_audit_days": _("What operators did"),
        "keep_rollup_days": _("Figures per minute, for charts"),
        "keep_idempotency_days": _("Idempotency keys"),
    }
    return [(names[name], _days(days), f"TASKDIST_{name.upper()}") for name, days in kept_days.items()]


def _days(days: float) -> str:
    # Half a day is "0.5 days", in Chinese without a plural anyway.
    number = 1 if days == 1 else 2
    return ngettext("%(days)g day", "%(days)g days", number) % {"days": days}


def _hints(installation: queries.Installation) -> list[str]:
    """What is wrong, as far as it can be seen from here."""
    online = [engine for engine in installation["engines"] if engine["is_online"]]
    if not online:
        return [_("No engine is running: tasks are taken, but none is handed out.")]
    return [
        _("The engine on %(host)s is behind with: %(loops)s.")
        % {"host": engine["host"], "loops": ", ".join(engine["late_loops"])}
        for engine in online
        if engine["late_loops"]
    ]

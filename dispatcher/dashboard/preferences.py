"""How one person likes the pages: theme, time zone, density, keys, announcements. Kept in a cookie of the browser.

The cookie holds ``name:value`` pairs with ``|`` between, values percent-encoded; scripts read and write it too
(``static/js/preferences.js``). It is nobody's secret and decides nothing but looks: what is not understood is left out.
The language is in a cookie of its own, the one that Django reads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Final
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from dispatcher.dashboard.zones import zone_of
from dispatcher.queries import FilterError
from dispatcher.queries.ranges import RANGES
from dispatcher.queries.task_look import cols_of

COOKIE: Final = "taskdist_view"
#: A year, in seconds: as long as browsers keep one that is renewed now and then.
MAX_AGE: Final = 365 * 24 * 3600

#: What each preference may be, beside "" for its default. Zones are looked up instead.
CHOICES: Final = {
    "theme": ("light", "dark"),
    "density": ("compact",),
    "keys": ("off",),
    "announce": ("failures", "off"),
    "pace": ("1", "5"),
    "range": tuple(RANGES),
}
_ZONES: Final = ("zone", "local")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the cookie says; "" is the default of each."""

    #: "": what the system says.
    theme: str = ""
    #: "": comfortable.
    density: str = ""
    #: Single-letter keys; "": on.
    keys: str = ""
    #: What screen readers are told without being asked; "": everything.
    announce: str = ""
    #: Seconds between two changes of figures and rows on the screen; "": as they come, four times a second at most.
    pace: str = ""
    #: The stretch of time that charts show, the last that was chosen; "": an hour.
    range: str = ""
    #: Columns of the list of tasks, with commas between; "": the usual ones.
    cols: str = ""
    #: The time zone that was chosen, an IANA name; "": the browser's.
    zone: str = ""
    #: The browser's own zone, as a script last saw it: the first paint needs it before any script runs.
    local: str = ""

    @property
    def shown_zone(self) -> ZoneInfo:
        """The zone times are shown in."""
        return zone_of(self.zone) or zone_of(self.local) or ZoneInfo("UTC")

    def with_some(self, given: dict[str, str]) -> Preferences:
        """These with those of ``given`` that make sense in their place."""
        return replace(self, **{name: value for name, value in given.items() if _is_valid(name, value)})

    def as_cookie(self) -> str:
        """The value of the cookie."""
        return "|".join(f"{name}:{quote(value, safe='')}" for name, value in asdict(self).items() if value)


def _is_valid(name: str, value: str) -> bool:
    if name in _ZONES:
        return not value or zone_of(value) is not None
    if name == "cols":
        return _are_columns(value)
    return name in CHOICES and (not value or value in CHOICES[name])


def _are_columns(text: str) -> bool:
    try:
        return cols_of(text) == text
    except FilterError:
        return False


def parse(text: str) -> Preferences:
    """What a cookie says; the defaults for what it does not say or says wrongly."""
    pairs = (part.partition(":") for part in text[:1000].split("|"))
    return Preferences().with_some({name: unquote(value) for name, colon, value in pairs if colon})


def preferences_of(request: HttpRequest) -> Preferences:
    """Those of who asks, read once per request."""
    known: Preferences | None = getattr(request, "_taskdist_preferences", None)
    if known is None:
        known = parse(request.COOKIES.get(COOKIE, ""))
        request._taskdist_preferences = known  # type: ignore[attr-defined] # noqa: SLF001 - a note of our own on it
    return known


def keep(response: HttpResponseBase, preferences: Preferences) -> None:
    """Send the cookie. Scripts read it: they have to know the theme before the first paint."""
    response.set_cookie(
        COOKIE, preferences.as_cookie(), max_age=MAX_AGE, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )


def context(request: HttpRequest) -> dict[str, object]:
    """A context processor: ``preferences`` for every template, and the address to come back to."""
    return {"preferences": preferences_of(request), "here": request.get_full_path()}


#: The names of all preferences that a form may carry.
NAMES: Final = tuple(field.name for field in fields(Preferences) if field.name != "local")

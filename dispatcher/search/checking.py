"""Whether there is such a key, and whether a value makes sense for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dispatcher.search.errors import Place, SearchError, closest, gettext_noop
from dispatcher.search.keys import ALIASES, ARGS, KEYS, MEMBER, STATE_WORDS, Key, Kind
from dispatcher.search.values import (
    canonical_duration,
    canonical_time,
    decimal_of,
    id_of,
    number_of,
    seconds_of,
    time_of,
)

MAX_PATH: Final = 8
_SHOWN_CHARS: Final = 60


def resolve_key(written: str, place: Place) -> tuple[Key, tuple[str, ...]]:
    """The key called ``written``, and the path if it is one into the payload."""
    for prefix in (ARGS, "payload."):
        if written.startswith(prefix):
            return MEMBER, _path(written.removeprefix(prefix), place)
    name = written.lower()
    name = ALIASES.get(name, name)
    if name in KEYS:
        return KEYS[name], ()
    raise _unknown_key(written, place)


def _unknown_key(written: str, place: Place) -> SearchError:
    if not written:
        return replace(place, end=place.end + 1).error(gettext_noop("A key is missing before the colon."), meant="")
    shown = written[:_SHOWN_CHARS]
    if written in ("args", "payload"):
        message = gettext_noop("%(key)s needs the path of a member, as in %(example)s.")
        return place.error(message, key=shown, example=MEMBER.example)
    meant = closest(written, [*KEYS, *ALIASES])
    if meant:
        message = gettext_noop("There is no key %(key)s. Did you mean %(meant)s?")
        return place.error(message, meant=ALIASES.get(meant, meant), key=shown)
    message = gettext_noop("There is no key %(key)s. There are: %(known)s. A text with a colon has to stand in quotes.")
    return place.error(message, key=shown, known=", ".join([*KEYS, "args.…"]))


def _path(written: str, place: Place) -> tuple[str, ...]:
    """The names of members from outside in; a number is a place in a list."""
    path = tuple(written.split("."))
    is_right = len(path) <= MAX_PATH and all(
        0 < len(name) <= _SHOWN_CHARS and name.replace("-", "_").replace("_", "a").isalnum() for name in path
    )
    if not is_right:
        message = gettext_noop(
            "The path of a member consists of names and numbers with dots between them, as in %(example)s."
        )
        raise place.error(message, example=MEMBER.example)
    return path


def check_value(key: Key, operator: str, value: str, place: Place, *, key_at: int = -1) -> str:
    """The value in its canonical form. ``key_at``: where its term begins, without a sign."""
    if key.kind is Kind.WORD:
        return _word(key, value, place, key_at)
    if key.kind is Kind.ID and id_of(value) is not None:
        return str(id_of(value))
    if key.kind is Kind.NUMBER and number_of(value) is not None:
        return str(number_of(value))
    if key.kind is Kind.DURATION and seconds_of(value) is not None:
        return canonical_duration(value)
    if key.kind is Kind.TIME and time_of(value) is not None:
        return canonical_time(value)
    if key.kind is Kind.NAME or (key.kind is Kind.MEMBER and (not operator or decimal_of(value) is not None)):
        return value
    raise _nonsense(key, operator, value, place)


def _word(key: Key, value: str, place: Place, key_at: int) -> str:
    word = value.lower()
    if word in key.words:
        return word
    shown = value[:_SHOWN_CHARS]
    if key.name == "state" and word in STATE_WORDS:
        term = STATE_WORDS[word]
        # Among other values only one of the same key can take its place.
        is_alone = place.text[place.end : place.end + 1] != "," and place.text[place.start - 1 : place.start] == ":"
        message = gettext_noop("There is no state %(value)s. Did you mean %(meant)s?")
        if is_alone:
            return _refuse(replace(place, start=key_at).error(message, meant=term, value=shown))
        if term.startswith("state:"):
            return _refuse(place.error(message, meant=term.removeprefix("state:"), value=shown))
    meant = closest(word, key.words)
    if meant:
        message = gettext_noop("%(key)s has no value %(value)s. Did you mean %(meant)s?")
        raise place.error(message, meant=meant, key=key.name, value=shown)
    message = gettext_noop("%(key)s has no value %(value)s. There are: %(known)s.")
    raise place.error(message, key=key.name, value=shown, known=", ".join(key.words))


def _refuse(error: SearchError) -> str:
    raise error


def _nonsense(key: Key, operator: str, value: str, place: Place) -> SearchError:
    """What a value of this kind looks like."""
    shown = value[:_SHOWN_CHARS]
    if key.kind is Kind.ID:
        return place.error(gettext_noop("%(value)s is no task id."), value=shown)
    if key.kind is Kind.NUMBER:
        return place.error(gettext_noop("%(value)s is no whole number."), value=shown)
    if key.kind is Kind.MEMBER:
        message = gettext_noop("%(operator)s compares numbers, and %(value)s is none.")
        return place.error(message, operator=operator, value=shown)
    meant = f"{value}s" if seconds_of(f"{value}s") is not None else None
    if key.kind is Kind.DURATION:
        message = gettext_noop("%(value)s is no duration: a number and ms, s, m, h, d or w, as in 90s.")
        return place.error(message, meant=meant, value=shown)
    message = gettext_noop("%(value)s is no time: a day as 2026-11-01, a moment as 2026-11-01T10:00Z, or an age as 1h.")
    return place.error(message, meant=meant, value=shown)

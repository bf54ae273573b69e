"""Problem documents in the reader's language, for pages: what they ask, they ask with the browser's session.

Views say what is wrong in English, for programs and their logs. Here stand the same sentences as templates, so that one
that was said is found again, with what was filled in, and is said anew. What is not found stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from dispatcher.api.problems import FieldError, Problem, in_one_line, problem_of, respond

_SENTENCES: Final = (
    # Of any request.
    gettext_noop("The body is empty."),
    gettext_noop("The body is larger than {n} bytes."),
    gettext_noop("The body is not valid JSON: {error}."),
    gettext_noop("The JSON is nested more than {n} levels deep."),
    gettext_noop("The JSON holds a NUL character or half of a surrogate pair."),
    gettext_noop("The JSON holds an integer beyond the range of 64 bits."),
    gettext_noop("The JSON holds an object with the same key twice."),
    gettext_noop("The request is malformed."),
    gettext_noop("Not allowed."),
    gettext_noop("Something went wrong here; it was logged."),
    gettext_noop("There is no such thing."),
    gettext_noop("There is nothing of that name."),
    gettext_noop("{n} errors; nothing was changed."),
    gettext_noop("{n} errors, of which the first {most} are listed; nothing was changed."),
    gettext_noop("The database cannot be reached; try again."),
    gettext_noop("The database is busy; nothing was changed. Try again."),
    gettext_noop("The disk of the database is full; nothing was changed. Reading still works."),
    gettext_noop("The database takes no changes now; nothing was changed. Try again."),
    gettext_noop("This takes an account that is active."),
    gettext_noop("This takes the role of an operator."),
    gettext_noop("This takes the role of an admin."),
    gettext_noop("Seeing secrets takes the role of an operator."),
    # Of tasks and bulk actions.
    gettext_noop("{n} tasks in one request; the most is {most}."),
    gettext_noop("There is no such task."),
    gettext_noop("The task has ended already."),
    gettext_noop("The task has not ended yet."),
    gettext_noop("The idempotency key was used before with another task; nothing was stored."),
    gettext_noop("The idempotency key was used before with another bulk action; nothing was begun."),
    gettext_noop("This form was sent before with other values: open it anew."),
    gettext_noop("There is no such bulk action."),
    gettext_noop("It has ended already: {state}."),
    gettext_noop("There are {n} tasks waiting, of at most {most}; nothing was stored. Try again later."),
    gettext_noop("The queue {name} has {n} tasks waiting, of at most {most}; nothing was stored. Try again later."),
    # Of nodes, queues and types.
    gettext_noop("There is no such node."),
    gettext_noop("This node has no credential that is good: nothing to rotate."),
    gettext_noop("There is no queue called {name}."),
    gettext_noop("There is a queue called {name} already."),
    gettext_noop("There is no task type of that name."),
)
_COMPLAINTS: Final = (
    gettext_noop("is required"),
    gettext_noop("is missing"),
    gettext_noop("is too long"),
    gettext_noop("is no task id"),
    gettext_noop("is for retries only"),
    gettext_noop("is not JSON: {error}"),
    gettext_noop("is nested deeper than {n} levels"),
    gettext_noop("is {n} bytes of JSON; the most is {most}"),
    gettext_noop("is not known; there is {names}"),
    gettext_noop("is not known; no members are"),
    gettext_noop("must not be given"),
    gettext_noop("must not be empty"),
    gettext_noop("must be {wanted}"),
    gettext_noop("must be {wanted}, not {got}"),
    gettext_noop("must be one of {names}"),
    gettext_noop("must be at least {n}"),
    gettext_noop("must be at most {n}"),
    gettext_noop("must be more than {n}"),
    gettext_noop("must be less than {n}"),
    gettext_noop("must be at least {n} characters long"),
    gettext_noop("must be at most {n} characters long"),
    gettext_noop("must be 1 to {n} printable characters"),
    gettext_noop("must be a whole number from {least} to {most}"),
    gettext_noop("must be a multiple of {n}"),
    gettext_noop("must be one line of printable characters"),
    gettext_noop("must be letters, digits and {signs}, and begin with a letter or digit"),
    gettext_noop("must be a time with its zone, such as {example}"),
    gettext_noop("must be a time such as {example}"),
    gettext_noop("must be later than {name}"),
    gettext_noop("must be at most {n} days before to"),
    gettext_noop("must be what the previous page gave as {name}"),
    gettext_noop("must hold at least {n} items"),
    gettext_noop("must hold at most {n} items"),
    gettext_noop("must hold at least {n} members"),
    gettext_noop("must hold at most {n} members"),
    gettext_noop("must hold at least one task"),
    gettext_noop("must match {pattern}"),
    gettext_noop("must not hold the same item twice"),
    gettext_noop("must not lie before the year {year}"),
    gettext_noop("must not lie in the future"),
    gettext_noop("must not lie more than ten years ahead"),
    gettext_noop("fits none of the {n} forms that it may have"),
    gettext_noop("may be given only once"),
    gettext_noop("cannot be given together with {name}"),
    gettext_noop("give either run_at or delay_seconds"),
    gettext_noop("differs from the header Idempotency-Key"),
    gettext_noop("was used before with another task"),
    gettext_noop("unknown; did you mean {name}?"),
    gettext_noop("unknown; there are {names}"),
    gettext_noop("unknown field; did you mean {name}?"),
    gettext_noop("unknown field; this route takes {names}"),
    gettext_noop("unknown field beside tasks"),
    gettext_noop("unknown parameter; this route takes {names}"),
    gettext_noop("a name in it {complaint}"),
    gettext_noop("a value in it {complaint}"),
)
#: Kinds of values, as complaints name them, with " or " between.
_KINDS: Final = (
    gettext_noop("a whole number"),
    gettext_noop("a number"),
    gettext_noop("a decimal number"),
    gettext_noop("text"),
    gettext_noop("true or false"),
    gettext_noop("a list"),
    gettext_noop("an object"),
    gettext_noop("a time"),
    gettext_noop("a time, such as {example}"),
    gettext_noop("a date, such as {example}"),
    gettext_noop("a time of day, such as {example}"),
    gettext_noop("a UUID"),
    gettext_noop("an e-mail address"),
    gettext_noop("an address with its scheme, such as {example}"),
    gettext_noop("an IPv4 address"),
    gettext_noop("an IPv6 address"),
)
#: What is filled in and is itself to be said anew.
_PLACES_OF_KINDS: Final = frozenset({"wanted", "got"})
_PLACE: Final = re.compile(r"\\\{(\w+)\\\}")


@cache
def _patterns(templates: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Those with the most words of their own first: "must be {wanted}" fits many others."""
    ranked = sorted(templates, key=lambda one: -len(re.sub(r"\{\w+\}", "", one)))
    return [(re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(one)), re.DOTALL), one) for one in ranked]


def said(text: str, templates: tuple[str, ...] = _SENTENCES + _COMPLAINTS) -> str:
    """An English sentence or complaint in the language that is active; as it is if it is none of ours."""
    for pattern, template in _patterns(templates):
        if found := pattern.fullmatch(text):
            filled = {name: _filled(name, value) for name, value in found.groupdict().items()}
            return _(template).format(**filled)
    return text


def _filled(name: str, value: str) -> str:
    if name == "complaint":
        return said(value, _COMPLAINTS)
    if name not in _PLACES_OF_KINDS:
        return value
    # "true or false" is one kind.
    kinds = re.split(r" or (?!false\b)", value)
    return _(" or ").join(said(kind, _KINDS) for kind in kinds)


def for_reader(problem: Problem, request: HttpRequest) -> Problem:
    """The problem as the page that asked can show it. Programs, which have a token, get it in English."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or "Authorization" in request.headers:
        return problem
    with translation.override(translation.get_language_from_request(request)):
        if (translation.get_language() or "en").startswith("en"):
            return problem
        errors = [msgspec.structs.replace(error, message=said(error.message)) for error in problem.errors]
        is_of_one = bool(errors) and problem.detail == in_one_line(problem.errors[0])
        detail = _one(errors[0]) if is_of_one else said(problem.detail)
    return Problem(problem.status, detail, type=problem.type, errors=errors, headers=problem.headers)


def _one(error: FieldError) -> str:
    """The error with its place, as ``in_one_line`` says it."""
    place = "" if error.index is None else _("item {n}").format(n=error.index)
    return ": ".join(part for part in (_(", ").join(filter(None, (place, error.field))), error.message) if part)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler: what a view raises becomes a problem document, in words for whoever asked."""
    problem = problem_of(error, context)
    request = context.get("request")
    return respond(problem if request is None else for_reader(problem, request))

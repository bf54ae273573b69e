"""Each page in the language and the time zone of who reads it; what programs read stays in English and UTC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation

from dispatcher.api.fallback import is_for_programs
from dispatcher.dashboard.preferences import preferences_of

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class PageLocale:
    """Django's ``LocaleMiddleware`` for pages, with the time zone beside the language.

    The language is that of the cookie, else the first of the browser's that we have. Answers for programs are left
    alone: they cost nothing here, and a client can look for words in them whatever its user's browser speaks.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request in the language and the zone of who asks."""
        if is_for_programs(request.path_info):
            return self._get_response(request)
        if self._is_async:
            return self._answered_later(request)
        _activate(request)
        try:
            response = self._get_response(request)
            assert isinstance(response, HttpResponseBase)
            return _labelled(response)
        finally:
            _deactivate()

    async def _answered_later(self, request: HttpRequest) -> HttpResponseBase:
        _activate(request)
        try:
            answer = self._get_response(request)
            assert not isinstance(answer, HttpResponseBase)
            return _labelled(await answer)
        finally:
            _deactivate()


def _activate(request: HttpRequest) -> None:
    language = translation.get_language_from_request(request)
    translation.activate(language)
    # Templates and Django's own views ask the request.
    request.LANGUAGE_CODE = language
    timezone.activate(preferences_of(request).shown_zone)


def _deactivate() -> None:
    # A thread serves others afterwards, some of them programs.
    translation.deactivate()
    timezone.deactivate()


def _labelled(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Content-Language", translation.get_language() or "en")
    return response

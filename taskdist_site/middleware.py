"""The content security policy: every response tells browsers to run and load nothing but our own files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

HEADER = "Content-Security-Policy"

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class ContentSecurityPolicy:
    """Set the policy of `settings.TASKDIST_CSP` on every response that does not carry its own.

    Django 6 has a middleware for this and 5.2 has none; one of our own behaves alike on both.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._policy = "; ".join(f"{name} {value}" for name, value in settings.TASKDIST_CSP.items())
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request and add the header, waiting for the answer where the server is asynchronous."""
        response = self._get_response(request)
        if isinstance(response, HttpResponseBase):
            return self._protected(response)
        return self._protected_later(response)

    async def _protected_later(self, response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
        return self._protected(await response)

    def _protected(self, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault(HEADER, self._policy)
        return response

"""What every response tells browsers: run and load nothing but our own files, keep no copy, stay out of frames."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

CSP = "Content-Security-Policy"

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def headers_of(policy: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of every response, for a content security policy by directive."""
    return {
        CSP: "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        # No other site can load an answer as an image or a script to look at how it went.
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # What shows tasks is in no cache, not even behind the back button of somebody who has signed out. Files that
        # are the same for everybody say otherwise themselves.
        "Cache-Control": "no-store",
    }


class SafeHeaders:
    """Set the headers on every response that does not carry its own. The outermost middleware: it sees errors too.

    Django 6 has a middleware for the policy and 5.2 has none; one of our own behaves alike on both.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._headers = headers_of(settings.TASKDIST_CSP)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request and add the headers, waiting for the answer where the server is asynchronous."""
        response = self._get_response(request)
        if isinstance(response, HttpResponseBase):
            return self._protected(response)
        return self._protected_later(response)

    async def _protected_later(self, response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
        return self._protected(await response)

    def _protected(self, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        return response

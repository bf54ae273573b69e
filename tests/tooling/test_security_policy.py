from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client

from taskdist_site.middleware import CSP, SafeHeaders


def directives(policy: str) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/no/such/page", "/static/admin/css/base.css"])
def test_every_response_allows_only_our_own_files(path: str) -> None:
    response = Client().get(path)
    response.close()
    policy = directives(response.headers[CSP])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


@pytest.mark.django_db
async def test_it_holds_for_asynchronous_servers_too() -> None:
    response = await AsyncClient().get("/admin/login/")
    assert directives(response.headers[CSP])["script-src"] == "'self'"


def test_a_response_with_a_policy_of_its_own_keeps_it() -> None:
    middleware = SafeHeaders(lambda _request: HttpResponse(headers={CSP: "sandbox"}))
    assert middleware(HttpRequest()).headers[CSP] == "sandbox"


async def test_it_waits_for_an_asynchronous_view() -> None:
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("late")

    response = await SafeHeaders(view)(HttpRequest())
    assert CSP in response.headers
